using System.Collections.Concurrent;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>
/// Follows the log, and notifies the subscriptions of its notes. A notification carries no notes: each stream reads from its own cursor and
/// at its own pace, new notes from the cache and the backlog from the log. A slow consumer therefore delays no other, and takes no memory.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public sealed class NoteFeed(INoteLog log, ChatOptions options, ChatMetrics metrics) : IDisposable
{
    private const int FollowPageSize = 4_096;

    // Estimated size of a note, by which the cache is filled at the start.
    private const int UsualNoteBytes = 320;

    private readonly NoteCache _cache = new(options.CacheMegabytes * 1024L * 1024L);
    private readonly ConcurrentDictionary<Coordinate, Subscription[]> _subscriptions = [];

    // One advance at a time: after a commit of this process, or after a hint of another's.
    private readonly SemaphoreSlim _advancing = new(1);
    private bool _isStarted;
    private volatile bool _hasCaughtUp;

    /// <summary>The sequence up to which this process has seen all notes.</summary>
    internal long Head => _cache.Head;

    /// <summary>
    /// Follows what other processes post, until cancelled; returns when no other process writes to the log. May be called again after a
    /// failure, and then continues from where it was.
    /// </summary>
    /// <exception cref="StoreUnavailableException">The log cannot answer.</exception>
    public async Task FollowAsync(CancellationToken cancellationToken)
    {
        try
        {
            await AdvanceAsync(cancellationToken);
            await foreach (var _ in log.ListenAsync(cancellationToken))
            {
                await AdvanceAsync(cancellationToken);
                metrics.Follows(true);
            }

            metrics.Follows(true);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            metrics.Follows(false);
            throw;
        }
    }

    public void Dispose() => _advancing.Dispose();

    /// <summary>Returns when the log has been read to its end once; reads it if that has not happened yet.</summary>
    internal Task CatchUpAsync(CancellationToken cancellationToken) => _hasCaughtUp ? Task.CompletedTask : AdvanceAsync(cancellationToken);

    /// <summary>Advances over what this process has just appended, and over what others have appended before it.</summary>
    internal async Task AdvanceAsync(IReadOnlyList<LoggedNote> appended)
    {
        await _advancing.WaitAsync();
        try
        {
            var head = Head;
            if (_isStarted && appended.Index().All(note => note.Item.Sequence == head + 1 + note.Index))
            {
                // No other process has appended meanwhile, so these notes are the next in the log.
                Publish(appended);
            }
            else
            {
                await ReadOnAsync(CancellationToken.None);
            }
        }
        finally
        {
            _advancing.Release();
        }
    }

    /// <summary>Notifies a subscription from here on. The caller reads the log only after that, so that no note is missed.</summary>
    internal void Subscribe(Subscription subscription)
    {
        _subscriptions.AddOrUpdate(
            subscription.Location,
            static (_, subscription) => [subscription],
            static (_, others, subscription) => [.. others, subscription],
            subscription);
        subscription.Since = Head;
    }

    internal void Unsubscribe(Subscription subscription)
    {
        while (_subscriptions.TryGetValue(subscription.Location, out var all))
        {
            Subscription[] others = [.. all.Where(other => other != subscription)];
            var isDone = others.Length == 0
                ? _subscriptions.TryRemove(KeyValuePair.Create(subscription.Location, all))
                : _subscriptions.TryUpdate(subscription.Location, others, all);
            if (isDone)
            {
                return;
            }
        }
    }

    /// <summary>The first notes at a location above a sequence, in order.</summary>
    internal async ValueTask<ReadOnlyMemory<LoggedNote>> ReadAfterAsync(
        Coordinate location, long after, int limit, CancellationToken cancellationToken)
    {
        if (_cache.TryReadAfter(location, after, limit, out var notes))
        {
            return notes;
        }

        metrics.ReadFromLog();
        return (await log.ReadAfterAsync([location], after, limit, cancellationToken)).ToArray();
    }

    /// <summary>The first notes at any of these locations above a sequence, in order of all.</summary>
    internal async ValueTask<ReadOnlyMemory<LoggedNote>> ReadAfterAsync(
        IReadOnlyCollection<Coordinate> locations, long after, int limit, CancellationToken cancellationToken)
    {
        // The first ones of each location have the first ones of all.
        var all = new List<LoggedNote>();
        foreach (var location in locations)
        {
            if (!_cache.TryReadAfter(location, after, limit, out var notes))
            {
                metrics.ReadFromLog();
                return (await log.ReadAfterAsync(locations, after, limit, cancellationToken)).ToArray();
            }

            all.AddRange(notes.Span);
        }

        all.Sort(static (one, other) => one.Sequence.CompareTo(other.Sequence));
        return all.GetRange(0, Math.Min(limit, all.Count)).ToArray();
    }

    /// <summary>The newest notes at a location below a sequence, in order.</summary>
    internal async ValueTask<ReadOnlyMemory<LoggedNote>> ReadBeforeAsync(
        Coordinate location, long before, int limit, CancellationToken cancellationToken)
    {
        // A stream that was further in another process may be ahead of this one.
        var isAhead = before > Head + 1;
        if (_cache.TryReadBefore(location, before, limit, out var newer, out var completeAbove) && !isAhead)
        {
            return newer;
        }

        metrics.ReadFromLog();
        if (before <= completeAbove || isAhead)
        {
            return (await log.ReadBeforeAsync([location], before, limit, cancellationToken)).ToArray();
        }

        // The notes read are cached, so that the next post here is answered from memory.
        var older = await log.ReadBeforeAsync([location], completeAbove + 1, limit - newer.Length, cancellationToken);
        _cache.Prepend(location, older, completeAbove, areAll: older.Count < limit - newer.Length);
        return (LoggedNote[])[.. older, .. newer.Span];
    }

    /// <summary>The newest notes at any of these locations below a sequence, in order of all.</summary>
    internal async ValueTask<ReadOnlyMemory<LoggedNote>> ReadBeforeAsync(
        IReadOnlyCollection<Coordinate> locations, long before, int limit, CancellationToken cancellationToken) =>
        (await log.ReadBeforeAsync(locations, before, limit, cancellationToken)).ToArray();

    private async Task AdvanceAsync(CancellationToken cancellationToken)
    {
        await _advancing.WaitAsync(cancellationToken);
        try
        {
            await ReadOnAsync(cancellationToken);
        }
        finally
        {
            _advancing.Release();
        }
    }

    /// <summary>Reads the log on to its end.</summary>
    private async Task ReadOnAsync(CancellationToken cancellationToken)
    {
        if (!_isStarted)
        {
            // Begins with as many notes as the cache holds, so that a small log is in memory whole.
            var head = await log.ReadHeadAsync(cancellationToken);
            _cache.Start(Math.Max(0, head - (options.CacheMegabytes * 1024L * 1024L / UsualNoteBytes)));
            _isStarted = true;
        }

        IReadOnlyList<LoggedNote> page;
        do
        {
            page = await log.ReadAfterAsync(Head, FollowPageSize, cancellationToken);
            Publish(page);
        }
        while (page.Count == FollowPageSize);
        _hasCaughtUp = true;
    }

    /// <summary>Every note, of this process or another, passes here once and in the log's order.</summary>
    private void Publish(IReadOnlyList<LoggedNote> notes)
    {
        _cache.Append(notes);
        foreach (var note in notes)
        {
            foreach (var subscription in _subscriptions.GetValueOrDefault(note.Note.Location) ?? [])
            {
                subscription.OnNote(note);
            }
        }
    }
}
