using System.Diagnostics.Metrics;
using RouteService.Domain.Geography;
using RouteService.Domain.Watch;

namespace RouteService.Domain.Tests;

/// <summary>The watches of one replica over a log, as the service composes them.</summary>
internal sealed class WatchFixture : IAsyncDisposable
{
    private readonly ChangeFeed _feed;
    private readonly FeatureWatches _watches;
    private readonly CancellationTokenSource _ending = new();
    private readonly Task _following;

    public WatchFixture(IChangeLog log, WatchOptions? options = null, TimeProvider? clock = null)
    {
        options ??= new WatchOptions();
        clock ??= TimeProvider.System;
        var metrics = new WatchMetrics(new Meters());
        _feed = new ChangeFeed(log, options, metrics);
        _watches = new FeatureWatches(log, _feed, options, clock, metrics);
        _following = FollowAsync();
    }

    public FeatureWatch Open(Area? area = null, long? after = null, string client = "") => _watches.Open(client, area, after);

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _following;
        _ending.Dispose();
        _feed.Dispose();
    }

    private async Task FollowAsync()
    {
        try
        {
            await _feed.FollowAsync(_ending.Token);
        }
        catch (OperationCanceledException)
        {
        }
    }

    private sealed class Meters : IMeterFactory
    {
        public Meter Create(MeterOptions options) => new(options);

        public void Dispose()
        {
        }
    }
}
