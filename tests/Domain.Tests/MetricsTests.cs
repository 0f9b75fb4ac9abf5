using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Watch;

namespace RouteService.Domain.Tests;

public sealed class MetricsTests : IDisposable
{
    private readonly RecordedMeters _meters = new();

    public void Dispose() => _meters.Dispose();

    [Fact]
    public void Times_are_in_seconds()
    {
        var (chat, watch) = (new ChatMetrics(_meters), new WatchMetrics(_meters));

        chat.Delivered(TimeSpan.FromMilliseconds(1_500));
        chat.Committed(3, TimeSpan.FromMilliseconds(250));
        watch.Delivered(TimeSpan.FromMilliseconds(750));

        Assert.Equal(1.5, _meters.Last("routeservice.chat.delivery.delay"));
        Assert.Equal(0.25, _meters.Last("routeservice.chat.commit.duration"));
        Assert.Equal(0.75, _meters.Last("routeservice.watch.delivery.delay"));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_log_counts_as_followed_from_its_first_answer_until_it_does_not_answer()
    {
        var (notes, changes) = (new MemoryNoteLog(), new MemoryChangeLog());
        using var chat = new NoteFeed(notes, new ChatOptions(), new ChatMetrics(_meters));
        using var watch = new ChangeFeed(changes, new WatchOptions(), new WatchMetrics(_meters));
        var end = TestContext.Current.CancellationToken;

        await CheckAsync("routeservice.chat.following", chat.FollowAsync, isAway => notes.IsAway = isAway, end);
        await CheckAsync("routeservice.watch.following", watch.FollowAsync, isAway => changes.IsAway = isAway, end);
    }

    private async Task CheckAsync(string gauge, Func<CancellationToken, Task> follow, Action<bool> setAway, CancellationToken end)
    {
        Assert.Equal(0, _meters.Last(gauge));
        await FollowAsync();
        setAway(true);
        await Assert.ThrowsAsync<StoreUnavailableException>(() => follow(CancellationToken.None));
        Assert.Equal(0, _meters.Last(gauge));
        setAway(false);
        await FollowAsync();

        async Task FollowAsync()
        {
            using var stop = new CancellationTokenSource();
            var following = follow(stop.Token);
            while (_meters.Last(gauge) < 1)
            {
                end.ThrowIfCancellationRequested();
                await Task.Yield();
            }

            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => following);
        }
    }
}
