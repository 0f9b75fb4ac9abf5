using System.Diagnostics;
using System.Threading.Channels;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Look-ups that come while a query is under way share the next one. A lone look-up waits for nobody: it is asked for at once, and only when all
/// askers are out do others gather. Nothing is delayed in the hope of company.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
internal sealed class CoalescedLookUps : IAsyncDisposable
{
    // Two, so that the database works on one batch while the answers of the other are handed out; more would make the batches smaller.
    private const int Askers = 2;

    private const int AnsweredTogether = 32;

    // Who comes beyond this waits to be let in, and is so slowed to the database's pace.
    private const int Capacity = 10_000;

    private readonly Func<ReadOnlyMemory<Coordinate>, Task<string?[]>> _lookUp;
    private readonly int _maxBatch;
    private readonly Channel<Waiter> _waiting = Channel.CreateBounded<Waiter>(Capacity);
    private readonly Task _asking;

    /// <param name="lookUp">The names at these places, in their order; null where there is none.</param>
    /// <param name="maxBatch">The most places of one query.</param>
    public CoalescedLookUps(Func<ReadOnlyMemory<Coordinate>, Task<string?[]>> lookUp, int maxBatch)
    {
        _lookUp = lookUp;
        _maxBatch = maxBatch;
        _asking = Task.WhenAll(Enumerable.Range(0, Askers).Select(_ => Task.Run(AskAsync)));
    }

    /// <summary>The name at this place, or null.</summary>
    /// <param name="location">The place.</param>
    /// <param name="cancellationToken">Ends the waiting; the query is others' too, and goes on.</param>
    public async ValueTask<string?> FindAsync(Coordinate location, CancellationToken cancellationToken)
    {
        var waiter = new Waiter(location);
        if (!_waiting.Writer.TryWrite(waiter))
        {
            await _waiting.Writer.WriteAsync(waiter, cancellationToken);
        }

        return await waiter.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Answers those who wait, then ends.</summary>
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
            // It is each waiter's failure, and none of this loop's. Each gets an exception of its own, as throwing one writes to it.
            HandOut(batch, (waiter, _) => waiter.TrySetException(
                e is StoreUnavailableException store ? new StoreUnavailableException(store.Message, store.Failure, e) : e));
        }
    }

    /// <summary>
    /// The query's place in a trace: under the first of the recorded callers that asked for it, and linked to the others. Without one it is in
    /// none, or Npgsql would begin a trace for each query of callers that were not sampled. Tells how long they have waited.
    /// </summary>
    private static Activity? Follow(List<Waiter> batch)
    {
        if (StoreTelemetry.TimesWaits)
        {
            foreach (var waiter in batch)
            {
                StoreTelemetry.HasWaited(TimeProvider.System.GetElapsedTime(waiter.Came));
            }
        }

        if (!StoreTelemetry.Source.HasListeners())
        {
            return null;
        }

        var callers = batch.ConvertAll(static waiter => waiter.Caller)
            .FindAll(static caller => caller.TraceFlags.HasFlag(ActivityTraceFlags.Recorded));
        return callers.Count == 0
            ? new Activity("look up").Start()
            : StoreTelemetry.Source.StartActivity(
                "look up",
                ActivityKind.Internal,
                callers[0],
                [new("routeservice.lookups.batch.size", batch.Count)],
                callers.Skip(1).Select(static caller => new ActivityLink(caller)));
    }

    /// <summary>
    /// Lets the waiters go on, some to a work item of the thread pool: a work item each would cost more than what most of them still have to do, and
    /// this loop is to ask the next question meanwhile.
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

        /// <summary>When it came, where that is measured.</summary>
        public long Came { get; } = StoreTelemetry.TimesWaits ? TimeProvider.System.GetTimestamp() : 0;

        /// <summary>The span that asks, where there is one.</summary>
        public ActivityContext Caller { get; } = Activity.Current?.Context ?? default;
    }
}
