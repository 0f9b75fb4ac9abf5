using System.Diagnostics;
using System.Threading.Channels;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Look-ups that arrive while queries run share the next query. A single look-up is queried immediately; others gather only while all
/// askers are busy. No look-up is delayed to fill a batch.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
internal sealed class CoalescedLookUps : IAsyncDisposable
{
    // Two, so that the database works on one batch while the answers of the other are handed out; more would make the batches smaller.
    private const int Askers = 2;

    private const int AnsweredTogether = 32;

    // Callers beyond this capacity wait, which is the backpressure.
    private const int Capacity = 10_000;

    private readonly Func<ReadOnlyMemory<Coordinate>, Task<string?[]>> _lookUp;
    private readonly int _maxBatch;
    private readonly Channel<Waiter> _waiting = Channel.CreateBounded<Waiter>(Capacity);
    private readonly Task _asking;

    /// <param name="lookUp">The names at these locations, in their order; null for none.</param>
    /// <param name="maxBatch">Limit of the locations of one query.</param>
    public CoalescedLookUps(Func<ReadOnlyMemory<Coordinate>, Task<string?[]>> lookUp, int maxBatch)
    {
        _lookUp = lookUp;
        _maxBatch = maxBatch;
        _asking = Task.WhenAll(Enumerable.Range(0, Askers).Select(_ => Task.Run(AskAsync)));
    }

    /// <summary>The name at this location, or null.</summary>
    /// <param name="location">The location.</param>
    /// <param name="cancellationToken">Stops waiting; the query also serves others, and goes on.</param>
    public async ValueTask<string?> FindAsync(Coordinate location, CancellationToken cancellationToken)
    {
        var waiter = new Waiter(location);
        if (!_waiting.Writer.TryWrite(waiter))
        {
            await _waiting.Writer.WriteAsync(waiter, cancellationToken);
        }

        await using (cancellationToken.UnsafeRegister(static (waiter, token) => ((Waiter)waiter!).TrySetCanceled(token), waiter))
        {
            return await waiter.Task;
        }
    }

    /// <summary>Answers the waiters, then ends.</summary>
    public async ValueTask DisposeAsync()
    {
        _waiting.Writer.TryComplete();
        await _asking;
    }

    private async Task AskAsync()
    {
        while (await _waiting.Reader.WaitToReadAsync())
        {
            var batch = new List<Waiter>();
            while (batch.Count < _maxBatch && _waiting.Reader.TryRead(out var waiter))
            {
                batch.Add(waiter);
            }

            if (batch.Count > 0)
            {
                await AnswerAsync(batch);
            }
        }
    }

    private async Task AnswerAsync(List<Waiter> batch)
    {
        StoreTelemetry.LooksUpForGetFeature(batch.Count);
        using var activity = Follow(batch);
        try
        {
            var names = await _lookUp(batch.ConvertAll(static waiter => waiter.Location).ToArray());
            HandOut(batch, (waiter, i) => waiter.TrySetResult(names[i]));
        }
        catch (Exception e)
        {
            // The failure is the waiters', not this loop's.
            HandOut(batch, (waiter, _) => waiter.TrySetException(StoreUnavailableException.ForOneOfMany(e)));
        }
    }

    /// <summary>Starts the query's span, and records how long each has waited.</summary>
    private static Activity? Follow(List<Waiter> batch)
    {
        if (StoreTelemetry.TimesWaits)
        {
            foreach (var waiter in batch)
            {
                StoreTelemetry.HasWaited(TimeProvider.System.GetElapsedTime(waiter.Came));
            }
        }

        return StoreTelemetry.Follow(
            "look up", "routeservice.lookups.batch.size", batch.ConvertAll(static waiter => waiter.Caller));
    }

    /// <summary>
    /// Resumes the waiters on the thread pool, several in one work item: a work item each would cost more than most of them still have to
    /// do. This loop sends the next query meanwhile.
    /// </summary>
    private static void HandOut(List<Waiter> batch, Action<Waiter, int> answer)
    {
        for (var start = 0; start < batch.Count; start += AnsweredTogether)
        {
            ThreadPool.UnsafeQueueUserWorkItem(
                static state =>
                {
                    for (var i = state.start; i < Math.Min(state.start + AnsweredTogether, state.batch.Count); i++)
                    {
                        state.answer(state.batch[i], i);
                    }
                },
                (batch, start, answer),
                preferLocal: false);
        }
    }

    private sealed class Waiter(Coordinate location) : TaskCompletionSource<string?>
    {
        public Coordinate Location { get; } = location;

        /// <summary>Timestamp of arrival; 0 when waits are not measured.</summary>
        public long Came { get; } = StoreTelemetry.TimesWaits ? TimeProvider.System.GetTimestamp() : 0;

        /// <summary>The caller's span, if any.</summary>
        public ActivityContext Caller { get; } = Activity.Current?.Context ?? default;
    }
}
