using System.Collections.Concurrent;
using System.Diagnostics;
using System.Threading.Channels;
using Npgsql;
using RouteService.Domain;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Writes that arrive while others are made share the next transaction, because a commit takes far longer than a write: it waits for the
/// disk, one at a time in the whole database, as it holds the lock of the change log. No write is delayed to fill a group. Where another
/// transaction holds up a group, or PostgreSQL refuses a value in it, each of its writes is made by itself, and depends on no other.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
internal sealed class GroupedWrites : IAsyncDisposable
{
    // Two, so that one group is prepared while the other is committed.
    private const int Writers = 2;

    // A group ends with the write that reaches one of these.
    private const int MaxWrites = 256;
    private const int MaxChanges = 1_000;

    // Writes that are made by themselves, each with a connection: so many that do not wait for a lock, and so many that do. More would
    // leave no connection for others, while one row is locked or an import merges.
    private const int MaxAlone = 2;

    // How long a write waits for its turn to wait for a lock: as long as for the lock.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    // Callers beyond this capacity wait, which is the backpressure.
    private const int Capacity = 10_000;

    private readonly Func<IReadOnlyList<FeatureWrite>, bool, CancellationToken, Task<IReadOnlyList<WriteOutcome>>> _write;
    private readonly Channel<Waiter> _waiting = Channel.CreateBounded<Waiter>(Capacity);
    private readonly SemaphoreSlim _alone = new(MaxAlone);
    private readonly SemaphoreSlim _heldUp = new(MaxAlone);

    // Of single writes that wait for a lock: another write to one of them would be held up as well, and with it a group. A write that had
    // its turn says that the next one may try again.
    private readonly ConcurrentDictionary<Coordinate, bool> _heldUpPlaces = new();
    private readonly Task _writing;

    /// <param name="write">
    /// Makes writes in one transaction, in turn; the flag says whether it gives up soon where another transaction holds it up.
    /// </param>
    public GroupedWrites(Func<IReadOnlyList<FeatureWrite>, bool, CancellationToken, Task<IReadOnlyList<WriteOutcome>>> write)
    {
        _write = write;
        _writing = Task.WhenAll(Enumerable.Range(0, Writers).Select(_ => Task.Run(RunAsync)));
    }

    /// <summary>Makes a write.</summary>
    /// <param name="write">The write.</param>
    /// <param name="cancellationToken">Stops waiting. The write is not made, unless it is being made in a group.</param>
    /// <returns>The features afterwards, in the order of its changes; null where there is none.</returns>
    public async Task<IReadOnlyList<CatalogFeature?>> WriteAsync(FeatureWrite write, CancellationToken cancellationToken)
    {
        var waiter = new Waiter(write, cancellationToken);
        await using (cancellationToken.UnsafeRegister(static (waiter, token) => ((Waiter)waiter!).TrySetCanceled(token), waiter))
        {
            await _waiting.Writer.WriteAsync(waiter, cancellationToken);
            return await waiter.Task;
        }
    }

    /// <summary>Makes the writes that wait, then ends.</summary>
    public async ValueTask DisposeAsync()
    {
        _waiting.Writer.TryComplete();
        await _writing;
    }

    private async Task RunAsync()
    {
        while (await _waiting.Reader.WaitToReadAsync())
        {
            var group = new List<Waiter>();
            var changes = 0;
            while (group.Count < MaxWrites && changes < MaxChanges && _waiting.Reader.TryRead(out var waiter))
            {
                if (waiter.Task.IsCompleted)
                {
                    continue;
                }

                if (IsHeldUp(waiter.Write))
                {
                    _ = WriteAloneAsync(waiter);
                    continue;
                }

                group.Add(waiter);
                changes += waiter.Write.Changes.Count;
            }

            if (group.Count > 0)
            {
                await WriteAsync(group);
            }
        }
    }

    private async Task WriteAsync(List<Waiter> group)
    {
        StoreTelemetry.Writes(group.Count);
        using var activity = StoreTelemetry.Follow(
            "write", "routeservice.writes.batch.size", group.ConvertAll(static waiter => waiter.Caller));
        try
        {
            var outcomes = await _write(group.ConvertAll(static waiter => waiter.Write), true, CancellationToken.None);
            for (var i = 0; i < group.Count; i++)
            {
                group[i].Answer(outcomes[i]);
            }
        }
        catch (StoreUnavailableException e) when (IsRolledBack(e))
        {
            // These do not hold up the next groups.
            foreach (var waiter in group)
            {
                _ = WriteAloneAsync(waiter);
            }
        }
        catch (Exception e)
        {
            // The failure is the writers', not this loop's.
            foreach (var waiter in group)
            {
                waiter.Fail(e);
            }
        }
    }

    /// <summary>
    /// Whether one of the writes is to blame, by a lock that it waits for, by a value, because the database does not make it, or by what
    /// another program has left at its place. Nothing was written then.
    /// </summary>
    private static bool IsRolledBack(StoreUnavailableException e) => IsHeldUp(e)
        || e is { Failure: StoreFailure.Refused, InnerException: PostgresException } or { InnerException: null or InvalidValueException };

    private bool IsHeldUp(FeatureWrite write) =>
        !_heldUpPlaces.IsEmpty && write.Changes.Any(change => _heldUpPlaces.ContainsKey(change.Location));

    private static bool IsHeldUp(StoreUnavailableException e) =>
        e is { Failure: StoreFailure.TooSlow, InnerException: PostgresException };

    /// <summary>Makes a write by itself. Does not throw.</summary>
    private async Task WriteAloneAsync(Waiter waiter)
    {
        using var activity = StoreTelemetry.Follow("write", "routeservice.writes.batch.size", [waiter.Caller]);
        try
        {
            waiter.Answer(await TryWriteAloneAsync(waiter) ?? await WriteHeldUpAsync(waiter));
        }
        catch (Exception e)
        {
            waiter.Fail(e);
        }
    }

    /// <returns>Null where another transaction holds it up.</returns>
    private async Task<WriteOutcome?> TryWriteAloneAsync(Waiter waiter)
    {
        await _alone.WaitAsync(waiter.CancellationToken);
        try
        {
            if (IsHeldUp(waiter.Write))
            {
                return null;
            }

            return (await _write([waiter.Write], true, waiter.CancellationToken))[0];
        }
        catch (StoreUnavailableException e) when (IsHeldUp(e))
        {
            // Of a batch, which place it is cannot be told.
            if (waiter.Write.Changes is [var change])
            {
                _heldUpPlaces[change.Location] = true;
            }

            return null;
        }
        finally
        {
            _alone.Release();
        }
    }

    private async Task<WriteOutcome> WriteHeldUpAsync(Waiter waiter)
    {
        if (!await _heldUp.WaitAsync(Patience, waiter.CancellationToken))
        {
            throw new StoreUnavailableException(
                "Another transaction holds up this write, and others before it; nothing was written.", StoreFailure.TooSlow);
        }

        try
        {
            return (await _write([waiter.Write], false, waiter.CancellationToken))[0];
        }
        finally
        {
            _heldUp.Release();
            foreach (var change in waiter.Write.Changes)
            {
                _heldUpPlaces.TryRemove(change.Location, out _);
            }
        }
    }

    private sealed class Waiter(FeatureWrite write, CancellationToken cancellationToken)
        : TaskCompletionSource<IReadOnlyList<CatalogFeature?>>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public FeatureWrite Write { get; } = write;

        public CancellationToken CancellationToken { get; } = cancellationToken;

        /// <summary>The caller's span, if any.</summary>
        public ActivityContext Caller { get; } = Activity.Current?.Context ?? default;

        public void Answer(WriteOutcome outcome)
        {
            if (outcome.Refusal is { } refusal)
            {
                TrySetException(refusal);
            }
            else
            {
                TrySetResult(outcome.Features);
            }
        }

        public void Fail(Exception e) => TrySetException(StoreUnavailableException.ForOneOfMany(e));
    }
}
