using System.Collections.Concurrent;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Infrastructure.Tests;

public sealed class CoalescedLookUpsTests
{
    [Fact]
    public async Task A_lone_look_up_is_asked_at_once()
    {
        var database = new SlowDatabase();
        await using var lookUps = new CoalescedLookUps(database.AskAsync, maxBatch: 100);

        var found = lookUps.FindAsync(new Coordinate(1, 0), default);
        await database.AnswerNextAsync();

        Assert.Equal("1", await found);
        Assert.Equal([1], database.Batches);
    }

    [Fact]
    public async Task Those_that_come_while_queries_are_under_way_share_one_and_each_gets_its_own_answer()
    {
        var database = new SlowDatabase();
        await using var lookUps = new CoalescedLookUps(database.AskAsync, maxBatch: 1_000);

        // Two may be under way at once; what comes then has to gather.
        var first = lookUps.FindAsync(new Coordinate(1, 0), default);
        await database.AskedAsync(1);
        var second = lookUps.FindAsync(new Coordinate(2, 0), default);
        await database.AskedAsync(2);
        var rest = Enumerable.Range(3, 500).Select(i => lookUps.FindAsync(new Coordinate(i, 0), default).AsTask()).ToList();
        await database.AnswerNextAsync();
        await database.AnswerNextAsync();
        await database.AnswerNextAsync();

        Assert.Equal(("1", "2"), (await first, await second));
        Assert.Equal(Enumerable.Range(3, 500).Select(i => i % 7 == 0 ? null : $"{i}"), await Task.WhenAll(rest));
        Assert.Equal([1, 1, 500], database.Batches);
    }

    [Fact]
    public async Task No_batch_is_larger_than_it_may_be()
    {
        var database = new SlowDatabase();
        await using var lookUps = new CoalescedLookUps(database.AskAsync, maxBatch: 3);
        database.AnswerAll();

        await Task.WhenAll(Enumerable.Range(1, 100).Select(i => lookUps.FindAsync(new Coordinate(i, 0), default).AsTask()));

        Assert.All(database.Batches, size => Assert.InRange(size, 1, 3));
        Assert.Equal(100, database.Batches.Sum());
    }

    [Fact]
    public async Task A_query_that_fails_fails_those_it_was_for_and_the_next_is_asked_again()
    {
        var database = new SlowDatabase();
        await using var lookUps = new CoalescedLookUps(database.AskAsync, maxBatch: 100);

        var found = lookUps.FindAsync(new Coordinate(1, 0), default);
        await database.FailNextAsync(new StoreUnavailableException("away", StoreFailure.Overloaded));
        var error = await Assert.ThrowsAsync<StoreUnavailableException>(async () => await found);
        Assert.Equal(("away", StoreFailure.Overloaded), (error.Message, error.Failure));

        database.AnswerAll();
        Assert.Equal("2", await lookUps.FindAsync(new Coordinate(2, 0), default));
    }

    [Fact]
    public async Task Each_of_those_that_fail_together_gets_an_exception_of_its_own()
    {
        var database = new SlowDatabase();
        await using var lookUps = new CoalescedLookUps(database.AskAsync, maxBatch: 100);
        var first = lookUps.FindAsync(new Coordinate(1, 0), default);
        await database.AskedAsync(1);
        var second = lookUps.FindAsync(new Coordinate(2, 0), default);
        await database.AskedAsync(2);
        var together = Enumerable.Range(3, 2).Select(i => lookUps.FindAsync(new Coordinate(i, 0), default).AsTask()).ToList();
        await database.AnswerNextAsync();
        await database.AnswerNextAsync();
        await database.FailNextAsync(new StoreUnavailableException("away"));

        var errors = await Task.WhenAll(together.Select(found => Assert.ThrowsAsync<StoreUnavailableException>(() => found)));
        Assert.NotSame(errors[0], errors[1]);
        Assert.Equal(("1", "2"), (await first, await second));
    }

    [Fact]
    public async Task Its_end_waits_for_the_query_that_is_under_way()
    {
        var database = new SlowDatabase();
        var lookUps = new CoalescedLookUps(database.AskAsync, maxBatch: 100);
        var found = lookUps.FindAsync(new Coordinate(1, 0), default);
        await database.AskedAsync(1);

        var ending = lookUps.DisposeAsync().AsTask();
        Assert.False(ending.IsCompleted);
        database.AnswerAll();

        await ending;
        Assert.Equal("1", await found);
    }

    [Fact]
    public async Task Who_gives_up_waiting_takes_nothing_from_the_others()
    {
        var database = new SlowDatabase();
        await using var lookUps = new CoalescedLookUps(database.AskAsync, maxBatch: 100);
        using var cancellation = new CancellationTokenSource();

        var gone = lookUps.FindAsync(new Coordinate(1, 0), cancellation.Token);
        await database.AskedAsync(1);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await gone);

        database.AnswerAll();
        Assert.Equal("2", await lookUps.FindAsync(new Coordinate(2, 0), default));
    }

    /// <summary>Answers a query when it is told to: at (n, 0) there is a feature named n, unless n is a multiple of seven.</summary>
    private sealed class SlowDatabase
    {
        private readonly ConcurrentQueue<(int Size, TaskCompletionSource Answer)> _queries = [];
        private readonly ConcurrentQueue<TaskCompletionSource> _unanswered = [];
        private volatile bool _answering;

        public IEnumerable<int> Batches => _queries.Select(query => query.Size);

        public async Task<string?[]> AskAsync(ReadOnlyMemory<Coordinate> places)
        {
            var answer = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _queries.Enqueue((places.Length, answer));
            _unanswered.Enqueue(answer);
            if (!_answering)
            {
                await answer.Task;
            }

            return [.. places.ToArray().Select(place => place.LatitudeE7 % 7 == 0 ? null : $"{place.LatitudeE7}")];
        }

        /// <summary>Waits until so many queries have come in all.</summary>
        public async Task AskedAsync(int queries)
        {
            while (_queries.Count < queries)
            {
                await Task.Delay(1);
            }
        }

        public async Task AnswerNextAsync() => (await NextAsync()).SetResult();

        public async Task FailNextAsync(Exception error) => (await NextAsync()).SetException(error);

        public void AnswerAll()
        {
            _answering = true;
            while (_unanswered.TryDequeue(out var answer))
            {
                answer.TrySetResult();
            }
        }

        private async Task<TaskCompletionSource> NextAsync()
        {
            TaskCompletionSource? answer;
            while (!_unanswered.TryDequeue(out answer))
            {
                await Task.Delay(1);
            }

            return answer;
        }
    }
}
