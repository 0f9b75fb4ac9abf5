using RouteService.Domain.Features;

namespace RouteService.Domain.Chat;

/// <summary>
/// From the log to the streams. Every note, of this process or another, passes through <see cref="Publish"/> once and in the log's order:
/// it enters the cache, and then the streams at its place are notified.
/// </summary>
public sealed partial class RouteChat
{
    private const int FollowPage = 4_096;

    // Estimated size of a note, by which the cache is filled at the start.
    private const int UsualNoteBytes = 320;

    // One advance at a time: after a commit of this process, or after a hint of another's.
    private readonly SemaphoreSlim _advancing = new(1);
    private bool _isStarted;
    private volatile bool _hasCaughtUp;

    /// <summary>
    /// Follows what other processes post, until cancelled; returns when no other process writes to the log. May be called again after a
    /// failure and then continues where it was.
    /// </summary>
    /// <exception cref="StoreUnavailableException">The log cannot answer.</exception>
    public async Task FollowAsync(CancellationToken cancellationToken)
    {
        try
        {
            await AdvanceAsync(cancellationToken);
            await foreach (var _ in _log.ListenAsync(cancellationToken))
            {
                await AdvanceAsync(cancellationToken);
                _metrics.Follows(true);
            }

            _metrics.Follows(true);
        }
        catch (StoreUnavailableException)
        {
            _metrics.Follows(false);
            throw;
        }
    }

    /// <summary>Removes the notes that have been kept long enough, in small batches.</summary>
    /// <returns>How many.</returns>
    /// <exception cref="StoreUnavailableException">The log cannot answer.</exception>
    public async Task<int> RemoveOldAsync(CancellationToken cancellationToken)
    {
        const int BatchSize = 1_000;
        var removed = 0;
        int batch;
        do
        {
            batch = await _log.RemoveAsync(_clock.GetUtcNow() - TimeSpan.FromDays(_options.KeepDays), BatchSize, cancellationToken);
            removed += batch;
        }
        while (batch == BatchSize);
        return removed;
    }

    /// <summary>Returns when the log has been read to its end once; reads it if that has not happened yet.</summary>
    internal Task StartAsync(CancellationToken cancellationToken) => _hasCaughtUp ? Task.CompletedTask : AdvanceAsync(cancellationToken);

    /// <summary>After a commit of ours.</summary>
    private async Task AdvanceAsync(List<NewNote> notes, IReadOnlyList<long> sequences)
    {
        await _advancing.WaitAsync();
        try
        {
            var head = Head;
            if (_isStarted && sequences.Index().All(each => each.Item == head + 1 + each.Index))
            {
                // No other process has posted meanwhile, so these notes are the next in the log.
                Publish([.. notes.Select((note, i) => new LoggedNote(sequences[i], note.Author, note.Note, note.Id))]);
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

    private async Task ReadOnAsync(CancellationToken cancellationToken)
    {
        if (!_isStarted)
        {
            // Begins with as many notes as the cache holds, so that a small log is in memory whole.
            var head = await _log.ReadHeadAsync(cancellationToken);
            _cache.Start(Math.Max(0, head - (_options.CacheMegabytes * 1024L * 1024L / UsualNoteBytes)));
            _isStarted = true;
        }

        IReadOnlyList<LoggedNote> page;
        do
        {
            page = await _log.ReadAfterAsync(Head, FollowPage, cancellationToken);
            Publish(page);
        }
        while (page.Count == FollowPage);
        _hasCaughtUp = true;
    }

    private void Publish(IReadOnlyList<LoggedNote> notes)
    {
        _cache.Append(notes);
        foreach (var note in notes)
        {
            foreach (var seat in _seats.GetValueOrDefault(note.Note.Location) ?? [])
            {
                seat.Session.Tell(seat, note);
            }
        }
    }
}
