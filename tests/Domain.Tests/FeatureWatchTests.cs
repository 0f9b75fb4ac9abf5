using Microsoft.Extensions.Time.Testing;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Domain.Watch;

namespace RouteService.Domain.Tests;

/// <summary>What a watch sends, whatever the store: order, resets, heartbeats and limits.</summary>
public sealed class FeatureWatchTests : IAsyncDisposable
{
    private static readonly Coordinate Here = new(1, 2);
    private static readonly Coordinate There = new(300_000_000, 4);
    private static readonly Area Near = new Box(new Coordinate(0, 0), new Coordinate(10, 10));

    private readonly FakeTimeProvider _clock = new();
    private readonly List<WatchFixture> _replicas = [];
    private readonly MemoryChangeLog _log;

    public FeatureWatchTests() => _log = new MemoryChangeLog(_clock);

    public async ValueTask DisposeAsync()
    {
        foreach (var replica in _replicas)
        {
            await replica.DisposeAsync();
        }
    }

    [Fact]
    public async Task Changes_that_come_together_are_one_with_the_last_state_at_the_place_of_the_last()
    {
        _log.Put(Here, "a");
        _log.Put(There, "b");
        _log.Put(Here, "c");
        _log.Put(There, null);

        Assert.Equal([(WatchEventKind.Created, 3, "c"), (WatchEventKind.Deleted, 4, null)], await NextAsync(Open(after: 0), 2));
        Assert.Equal([(WatchEventKind.Updated, 3, "c"), (WatchEventKind.Deleted, 4, null)], await NextAsync(Open(after: 2), 2));
    }

    [Fact]
    public async Task A_feature_that_was_deleted_and_is_there_again_is_an_update()
    {
        _log.Put(Here, "a");
        _log.Put(Here, null);
        _log.Put(Here, "b");

        Assert.Equal([(WatchEventKind.Updated, 3, "b")], await NextAsync(Open(after: 1), 1));
    }

    [Fact]
    public async Task A_reset_stands_for_what_was_before_it_and_only_for_areas_that_it_meets()
    {
        _log.Put(Here, "a");
        _log.Reset(new BoundingBox(There, There));
        _log.Put(Here, "b");
        _log.Reset(new BoundingBox(Here, Here));
        _log.Reset(new BoundingBox(There, There));
        _log.Put(There, "c");
        _log.Put(Here, "d");

        Assert.Equal([(WatchEventKind.Reset, 5, null), (WatchEventKind.Created, 6, "c"), (WatchEventKind.Updated, 7, "d")], await NextAsync(Open(after: 0), 3));
        Assert.Equal([(WatchEventKind.Reset, 4, null), (WatchEventKind.Updated, 7, "d")], await NextAsync(Open(Near, after: 0), 2));
    }

    /// <summary>The feed has the newest 32 768 changes in memory. The log has the others.</summary>
    [Fact]
    public async Task A_watch_as_far_behind_as_the_memory_reaches_gets_each_change_once()
    {
        const int Memory = 32_768;
        const int Changes = Memory + 20;
        var first = Open();
        await NextAsync(first, 0);
        for (var i = 1; i <= Changes; i++)
        {
            _log.Put(new Coordinate(i, 0), "new");
        }

        await NextAsync(first, Changes);
        for (var behind = Memory - 5; behind <= Memory + 5; behind++)
        {
            var after = Changes - behind;
            Assert.Equal(Enumerable.Range(after + 1, 3), (await NextAsync(Open(after: after), 3)).ConvertAll(static next => next.Sequence));
        }
    }

    [Fact]
    public async Task A_sequence_that_was_removed_is_answered_with_a_reset_after_which_it_goes_on()
    {
        for (var i = 0; i < 10; i++)
        {
            _log.Put(Here, $"{i}");
        }

        await _log.RemoveAsync(TimeSpan.FromDays(1), keep: 4, limit: 100, default);

        Assert.Equal([(WatchEventKind.Updated, 10, "9")], await NextAsync(Open(after: 6), 1));
        var watch = Open(after: 5);
        Assert.Equal([(WatchEventKind.Reset, 10, null)], await NextAsync(watch, 1));
        _log.Put(There, "next");
        Assert.Equal([(WatchEventKind.Created, 11, "next")], await NextAsync(watch, 1));
        await _log.RemoveAsync(TimeSpan.FromDays(1), keep: 0, limit: 100, default);
        var last = Open(after: 11);
        _log.Put(There, "last");
        Assert.Equal([(WatchEventKind.Updated, 12, "last")], await NextAsync(last, 1));
    }

    [Fact]
    public async Task A_log_that_has_gone_back_is_a_reset_for_those_who_watch()
    {
        _log.Put(Here, "a");
        _log.Put(Here, "b");
        var watch = Open();
        Assert.Empty(await NextAsync(watch, 0));
        _log.Put(Here, "c");
        Assert.Equal([(WatchEventKind.Updated, 3, "c")], await NextAsync(watch, 1));

        _log.GoBackTo(1);
        Assert.Equal([(WatchEventKind.Reset, 1, null)], await NextAsync(watch, 1));

        // Behind the same sequence, another change.
        _log.Put(There, "d");
        Assert.Equal([(WatchEventKind.Created, 2, "d")], await NextAsync(watch, 1));
        _clock.Advance(TimeSpan.FromSeconds(1));
        _log.Notifies = false;
        _log.GoBackTo(1);
        _log.Put(Here, "e");
        _log.Notifies = true;
        _log.Put(Here, "f");
        Assert.Equal([(WatchEventKind.Reset, 3, null)], await NextAsync(watch, 1));
    }

    [Fact]
    public async Task A_sequence_from_the_future_is_refused_and_one_of_another_replica_is_not()
    {
        _log.Put(Here, "a");
        var first = Open();
        Assert.Empty(await NextAsync(first, 0));
        _log.Notifies = false;
        _log.Put(Here, "b");

        Assert.Empty(await NextAsync(Open(after: 2), 0));
        var refusal = await Assert.ThrowsAsync<InvalidValueException>(() => NextAsync(Open(after: 3), 0));
        Assert.Equal("after_sequence", refusal.Place);
    }

    [Fact]
    public async Task After_twenty_seconds_without_a_message_comes_a_heartbeat_with_how_far_it_is()
    {
        var watch = Open(Near);
        Assert.Empty(await NextAsync(watch, 0));
        var next = watch.MoveNextAsync().AsTask();
        _log.Put(There, "of no interest");
        while (!next.IsCompleted)
        {
            // Twenty of these, whenever it begins to wait.
            await Task.Delay(5, TestContext.Current.CancellationToken);
            _clock.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.True(await next);
        Assert.Equal((WatchEventKind.Heartbeat, 1), (watch.Current.Kind, watch.Current.Sequence));
    }

    [Fact]
    public async Task A_heartbeat_is_not_sent_while_the_log_cannot_be_read()
    {
        var watch = Open();
        Assert.Empty(await NextAsync(watch, 0));
        var next = watch.MoveNextAsync().AsTask();
        _log.IsAway = true;
        while (!next.IsCompleted)
        {
            await Task.Delay(5, TestContext.Current.CancellationToken);
            _clock.Advance(TimeSpan.FromSeconds(1));
        }

        await Assert.ThrowsAsync<StoreUnavailableException>(() => next);
    }

    [Fact]
    public async Task A_client_that_does_not_read_a_message_is_ended_after_a_time()
    {
        using var watch = Replica(new WatchOptions { MaxSecondsBehind = 5 }).Open();
        var write = new TaskCompletionSource();

        var waiting = watch.WaitForClientAsync(write.Task, default);
        _clock.Advance(TimeSpan.FromSeconds(4));
        Assert.False(waiting.IsCompleted);
        _clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(WatchLimit.SecondsBehind, (await Assert.ThrowsAsync<WatchLimitException>(() => waiting)).Limit);
    }

    [Fact]
    public async Task A_watch_that_catches_up_in_the_log_does_not_overtake_the_feed()
    {
        _log.Put(Here, "a");
        var watch = Open(after: 0);
        Assert.Empty(await NextAsync(watch, 0));
        _log.Notifies = false;
        _log.Put(There, "b");

        Assert.Equal([(WatchEventKind.Created, 1, "a")], await NextAsync(watch, 1));
        _log.Notifies = true;
        _log.Put(Here, "c");
        Assert.Equal([(WatchEventKind.Created, 2, "b"), (WatchEventKind.Updated, 3, "c")], await NextAsync(watch, 2));
    }

    [Fact]
    public async Task Whoever_is_far_behind_reads_the_log_and_misses_nothing()
    {
        var slow = Open();
        Assert.Empty(await NextAsync(slow, 0));
        for (var i = 0; i < 40_000; i++)
        {
            _log.Put(new Coordinate(i, 0), "a");
        }

        var sequences = (await NextAsync(slow, 40_000)).ConvertAll(static e => e.Sequence);

        Assert.Equal(Enumerable.Range(1, 40_000), sequences);
    }

    private WatchFixture Replica(WatchOptions? options = null)
    {
        _replicas.Add(new WatchFixture(_log, options, _clock));
        return _replicas[^1];
    }

    private IAsyncEnumerator<WatchEvent> Open(Area? area = null, long? after = null)
    {
        var replica = _replicas.FirstOrDefault() ?? Replica();
        return Own(replica.Open(area, after)).GetAsyncEnumerator();

        static async IAsyncEnumerable<WatchEvent> Own(FeatureWatch opened)
        {
            using var watch = opened;
            await foreach (var happened in watch.ReadAllAsync(TestContext.Current.CancellationToken))
            {
                yield return happened;
            }
        }
    }

    /// <summary>The next events, without the heartbeat that comes first.</summary>
    private static async Task<List<(WatchEventKind Kind, int Sequence, string? Name)>> NextAsync(IAsyncEnumerator<WatchEvent> watch, int count)
    {
        if (watch.Current is null)
        {
            Assert.True(await watch.MoveNextAsync());
            Assert.Equal(WatchEventKind.Heartbeat, watch.Current!.Kind);
        }

        var events = new List<(WatchEventKind, int, string?)>();
        while (events.Count < count)
        {
            Assert.True(await watch.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(1)));
            events.Add((watch.Current.Kind, (int)watch.Current.Sequence, watch.Current.Feature?.Name));
        }

        return events;
    }
}
