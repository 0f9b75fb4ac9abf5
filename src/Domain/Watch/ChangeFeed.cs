using RouteService.Domain.Features;

namespace RouteService.Domain.Watch;

/// <summary>
/// Follows the change log, and wakes the watches. Each watch reads from its own position and at its own pace: recent changes from memory,
/// older ones from the log. A slow watch therefore delays no other, and takes no memory.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public sealed class ChangeFeed(IChangeLog log, WatchOptions options, WatchMetrics metrics) : IDisposable
{
    /// <summary>Changes of one read.</summary>
    internal const int PageSize = 4_096;

    // Changes in memory, 48 bytes each.
    private const int MaxRecent = 32_768;

    // One advance at a time.
    private readonly SemaphoreSlim _advancing = new(1);
    private readonly Lock _gate = new();

    // The newest changes, up to the head without a gap: each at its sequence modulo the length.
    private readonly LoggedChange[] _recent = new LoggedChange[MaxRecent];

    // Changes above this sequence are in memory.
    private long _recentAbove;

    // The last change; null where the log does not have it.
    private LoggedChange? _last;
    private FeedPosition _head = new(Life: 0, Sequence: 0);
    private TaskCompletionSource _advanced = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isStarted;
    private int _watches;

    /// <summary>Follows the log until cancelled. May be called again after a failure, and then continues from where it was.</summary>
    /// <exception cref="StoreUnavailableException">The log cannot answer.</exception>
    public async Task FollowAsync(CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var _ in log.ListenAsync(cancellationToken))
            {
                await AdvanceAsync(cancellationToken);
                metrics.Follows(true);
            }
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            metrics.Follows(false);
            throw;
        }
    }

    /// <summary>Removes the changes that are too old or too many, in small batches.</summary>
    /// <returns>Number of changes removed.</returns>
    /// <exception cref="StoreUnavailableException">The log cannot answer.</exception>
    public async Task<int> RemoveOldAsync(CancellationToken cancellationToken)
    {
        const int BatchSize = 10_000;
        var removed = 0;
        int batch;
        do
        {
            batch = await log.RemoveAsync(TimeSpan.FromDays(options.KeepDays), options.KeepChanges, BatchSize, cancellationToken);
            removed += batch;
        }
        while (batch == BatchSize);
        return removed;
    }

    public void Dispose() => _advancing.Dispose();

    /// <summary>The log is read only while somebody watches.</summary>
    internal void Open() => Interlocked.Increment(ref _watches);

    internal void Close() => Interlocked.Decrement(ref _watches);

    /// <summary>Reads the log to its end, if anybody watches.</summary>
    /// <returns>The position there.</returns>
    /// <exception cref="StoreUnavailableException">The log cannot answer.</exception>
    internal async Task<FeedPosition> AdvanceAsync(CancellationToken cancellationToken)
    {
        await _advancing.WaitAsync(cancellationToken);
        try
        {
            if (Volatile.Read(ref _watches) == 0)
            {
                // The next watch begins at the end.
                _isStarted = false;
            }
            else if (!_isStarted)
            {
                await StartAsync(cancellationToken);
            }
            else
            {
                while (await ReadOnAsync(cancellationToken))
                {
                }
            }

            return _head;
        }
        finally
        {
            _advancing.Release();
        }
    }

    /// <summary>Returns when there are changes after a position.</summary>
    internal Task WaitAsync(FeedPosition after)
    {
        lock (_gate)
        {
            return after == _head ? _advanced.Task : Task.CompletedTask;
        }
    }

    /// <summary>The first changes after a position; none where it is the head.</summary>
    internal async ValueTask<FeedPage> ReadAfterAsync(FeedPosition after, int limit, CancellationToken cancellationToken)
    {
        FeedPosition head;
        lock (_gate)
        {
            head = _head;
            if (after.Life != head.Life || after.Sequence > head.Sequence)
            {
                return FeedPage.Lost(head);
            }

            if (after.Sequence >= _recentAbove)
            {
                var recent = new LoggedChange[Math.Min(head.Sequence - after.Sequence, limit)];
                for (var i = 0; i < recent.Length; i++)
                {
                    recent[i] = _recent[(after.Sequence + 1 + i) % MaxRecent];
                }

                return new FeedPage(recent, after with { Sequence = after.Sequence + recent.Length });
            }
        }

        // Not beyond the head, which the log may be by now: a position there would be taken for one of another log.
        metrics.ReadFromLog();
        var due = (int)Math.Min(head.Sequence - after.Sequence, limit);
        var changes = await log.ReadFromAsync(after.Sequence + 1, due, cancellationToken);
        return changes.Count > 0 && IsNext(changes, after.Sequence)
            ? new FeedPage(changes.ToArray(), after with { Sequence = changes[^1].Sequence })
            : FeedPage.Lost(head);
    }

    /// <summary>Whether changes are those after a sequence, without a gap.</summary>
    private static bool IsNext(IEnumerable<LoggedChange> changes, long after) => changes.All(change => change.Sequence == ++after);

    /// <summary>Begins at the end of the log. Nobody has a position, or all are lost.</summary>
    private async Task StartAsync(CancellationToken cancellationToken)
    {
        var sequence = await log.ReadHeadAsync(cancellationToken);
        lock (_gate)
        {
            _last = null;
            _recentAbove = sequence;
            MoveNeedsLock(new FeedPosition(_head.Life + 1, sequence));
        }

        _isStarted = true;
    }

    /// <summary>
    /// Reads a page. It begins with the last change again, because a restored log may go on with others after the same sequence.
    /// </summary>
    /// <returns>Whether there may be more.</returns>
    private async Task<bool> ReadOnAsync(CancellationToken cancellationToken)
    {
        var head = _head.Sequence;
        var page = await log.ReadFromAsync(head, PageSize, cancellationToken);
        var hasLast = page.Count > 0 && page[0].Sequence == head;
        var next = hasLast ? page.Skip(1).ToList() : page;
        if ((hasLast && _last is { } last && page[0] != last) || (page.Count == 0 && head > 0) || !IsNext(next, head))
        {
            await StartAsync(cancellationToken);
            return false;
        }

        _last = page.Count > 0 ? page[^1] : null;
        if (next.Count > 0)
        {
            lock (_gate)
            {
                foreach (var change in next)
                {
                    _recent[change.Sequence % MaxRecent] = change;
                }

                _recentAbove = Math.Max(_recentAbove, next[^1].Sequence - MaxRecent);
                MoveNeedsLock(_head with { Sequence = next[^1].Sequence });
            }
        }

        return page.Count == PageSize;
    }

    private void MoveNeedsLock(FeedPosition head)
    {
        _head = head;
        _advanced.TrySetResult();
        _advanced = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>A position in the log.</summary>
/// <param name="Life">
/// Number of the time that the feed was started: after a start from scratch, positions from before it are lost.
/// </param>
/// <param name="Sequence">All changes up to this one are before the position.</param>
internal readonly record struct FeedPosition(int Life, long Sequence);

/// <summary>Changes after a position, and the position after them.</summary>
/// <param name="Changes">In order, without a gap.</param>
/// <param name="Next">Where to read on.</param>
internal readonly record struct FeedPage(ReadOnlyMemory<LoggedChange> Changes, FeedPosition Next)
{
    /// <summary>Whether the log does not have the changes between the two positions.</summary>
    public bool IsLost { get; private init; }

    public static FeedPage Lost(FeedPosition head) => new(ReadOnlyMemory<LoggedChange>.Empty, head) { IsLost = true };
}
