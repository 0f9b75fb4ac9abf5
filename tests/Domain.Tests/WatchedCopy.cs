using System.Collections.Immutable;
using System.Threading.Channels;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Domain.Watch;

namespace RouteService.Domain.Tests;

/// <summary>What a client of a watch does: it lists after the first message and after a reset, and applies what comes.</summary>
internal sealed class WatchedCopy
{
    private readonly Channel<bool> _came = Channel.CreateUnbounded<bool>();
    private ImmutableList<WatchEvent> _events = [];

    public Dictionary<Coordinate, CatalogFeature> Features { get; private set; } = [];

    public IReadOnlyList<WatchEvent> Events => _events;

    public async Task FollowAsync(
        FeatureWatch watch, Func<Task<Dictionary<Coordinate, CatalogFeature>>> list, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var happened in watch.ReadAllAsync(cancellationToken))
            {
                if (happened.Kind is WatchEventKind.Reset || _events.IsEmpty)
                {
                    Features = await list();
                }
                else if (happened.Kind is WatchEventKind.Deleted)
                {
                    Features.Remove(happened.Location);
                }
                else if (happened.Feature is { } feature)
                {
                    Features[feature.Location] = feature;
                }

                _events = _events.Add(happened);
                _came.Writer.TryWrite(true);
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    /// <summary>Waits until the events are so.</summary>
    public async Task UntilAsync(Func<IReadOnlyList<WatchEvent>, bool> isSo)
    {
        while (!isSo(_events))
        {
            await _came.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(1));
        }
    }
}
