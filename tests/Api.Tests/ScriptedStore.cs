using System.Runtime.CompilerServices;
using System.Threading.Channels;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Api.Tests;

/// <summary>A store in memory that fails when it is told to.</summary>
internal sealed class ScriptedStore(params Feature[] features) : IFeatureStore
{
    private readonly Dictionary<Coordinate, Feature> _features = features.ToDictionary(feature => feature.Location);

    /// <summary>What the next calls throw; null for answering.</summary>
    public Exception? Failure { get; set; }

    /// <summary>After so many features a listing waits until its token fires; null for never.</summary>
    public int? StallAfter { get; set; }

    /// <summary>Completes when a listing that stalled was cancelled.</summary>
    public TaskCompletionSource Cancelled { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The features of imports, each as soon as it has come.</summary>
    public Channel<FeatureContent> Imported { get; } = Channel.CreateUnbounded<FeatureContent>();

    /// <summary>What an import waits for after each feature.</summary>
    public Task Staging { get; set; } = Task.CompletedTask;

    public ValueTask<Feature?> FindAsync(Coordinate location, CancellationToken cancellationToken)
    {
        ThrowIfFailing();
        return ValueTask.FromResult(_features.GetValueOrDefault(location));
    }

    public ValueTask<int> CountAtAsync(ReadOnlyMemory<Coordinate> locations, CancellationToken cancellationToken)
    {
        ThrowIfFailing();
        return ValueTask.FromResult(locations.ToArray().Count(_features.ContainsKey));
    }

    public async IAsyncEnumerable<ReadOnlyMemory<Feature>> PagesInAreaAsync(
        BoundingBox area, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var sent = 0;
        foreach (var feature in _features.Values.Where(feature => area.Contains(feature.Location)))
        {
            ThrowIfFailing();
            if (sent++ == StallAfter)
            {
                try
                {
                    await Task.Delay(Timeout.Infinite, cancellationToken);
                }
                finally
                {
                    Cancelled.SetResult();
                }
            }

            yield return new[] { feature };
        }
    }

    public ValueTask<long> CountAsync(CancellationToken cancellationToken) => ValueTask.FromResult<long>(_features.Count);

    public async ValueTask<ImportSummary> ImportAsync(
        IAsyncEnumerable<FeatureContent> input, FeatureImport import, CancellationToken cancellationToken)
    {
        var read = 0;
        await foreach (var feature in input.WithCancellation(cancellationToken))
        {
            await Imported.Writer.WriteAsync(feature, cancellationToken);
            await Staging.WaitAsync(cancellationToken);
            read++;
        }

        return new ImportSummary(read, Superseded: 0, Overwritten: 0, Total: read);
    }

    public IAsyncEnumerable<FeatureContent> ReadAllAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    private void ThrowIfFailing()
    {
        if (Failure is not null)
        {
            throw Failure;
        }
    }
}
