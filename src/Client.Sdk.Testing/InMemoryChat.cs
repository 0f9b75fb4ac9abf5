using System.Threading.Channels;

namespace RouteService.Client.Testing;

/// <summary>The notes of all sessions, in their order.</summary>
internal sealed class InMemoryChatLog
{
    /// <summary>Limit of the earlier notes that are sent when a place is joined; the service's default.</summary>
    public const int History = 1_000;

    /// <summary>Held for every use of the log, so that sessions are sent notes in the log's order.</summary>
    public Lock Lock { get; } = new();

    public List<RouteNote> Notes { get; } = [];

    public Dictionary<string, RouteNote> ById { get; } = new(StringComparer.Ordinal);

    public HashSet<InMemoryChat> Sessions { get; } = [];
}

internal sealed class InMemoryChat : IRouteChat
{
    // The default of the service and of the client.
    private const int MaxNoteBytes = 4_096;

    private readonly InMemoryChatLog _log;
    private readonly Action<string> _throwFault;
    private readonly HashSet<Coordinate> _places;
    private readonly HashSet<string> _own = new(StringComparer.Ordinal);
    private readonly Channel<RouteNote> _notes = Channel.CreateUnbounded<RouteNote>();
    private bool _isCompleted;
    private bool _isDisposed;
    private int _reading;

    public InMemoryChat(InMemoryChatLog log, HashSet<Coordinate> places, long? after, Action<string> throwFault)
    {
        _log = log;
        _throwFault = throwFault;
        _places = places;
        lock (log.Lock)
        {
            var due = log.Notes.Where(note => places.Contains(note.Location) && note.Sequence > (after ?? 0)).ToList();
            foreach (var note in after is null ? due.TakeLast(InMemoryChatLog.History) : due)
            {
                Send(note);
            }

            log.Sessions.Add(this);
        }
    }

    public Task<RouteNote> PostAsync(
        Coordinate location, string message, string? noteId = null, CancellationToken cancellationToken = default)
    {
        Arguments.CheckPost(message, MaxNoteBytes, noteId);
        return PostCheckedAsync(location, message, noteId ?? Guid.NewGuid().ToString("N"), cancellationToken);
    }

    public Task CompleteAsync(CancellationToken cancellationToken = default)
    {
        lock (_log.Lock)
        {
            ThrowIfOver();
            _isCompleted = true;
            End();
        }

        return Task.CompletedTask;
    }

    public async IAsyncEnumerator<RouteNote> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        if (Interlocked.Exchange(ref _reading, 1) != 0)
        {
            throw new InvalidOperationException("The session is being enumerated already; one enumeration at a time.");
        }

        try
        {
            await foreach (var note in _notes.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return note;
            }
        }
        finally
        {
            Volatile.Write(ref _reading, 0);
        }
    }

    public ValueTask DisposeAsync()
    {
        lock (_log.Lock)
        {
            _isDisposed = true;
            End(new ObjectDisposedException(nameof(IRouteChat), "The chat session has been disposed of."));
        }

        return default;
    }

    private async Task<RouteNote> PostCheckedAsync(Coordinate location, string message, string noteId, CancellationToken cancellationToken)
    {
        await Task.Yield();
        cancellationToken.ThrowIfCancellationRequested();
        _throwFault("Post");
        lock (_log.Lock)
        {
            ThrowIfOver();
            if (_log.ById.TryGetValue(noteId, out var kept)
                && (kept.Location != location || !string.Equals(kept.Message, message, StringComparison.Ordinal)))
            {
                throw Arguments.TakenId(noteId, $"{kept.Sequence}");
            }

            if (_places.Count >= Arguments.MaxPlaces && !_places.Contains(location))
            {
                throw Arguments.TooManyPlaces(location);
            }

            _own.Add(noteId);
            if (_places.Add(location))
            {
                foreach (var earlier in _log.Notes.Where(note => note.Location == location).TakeLast(InMemoryChatLog.History))
                {
                    Send(earlier);
                }
            }

            if (kept is null)
            {
                kept = new RouteNote(location, message, _log.Notes.Count + 1, noteId);
                _log.Notes.Add(kept);
                _log.ById.Add(noteId, kept);
                foreach (var session in _log.Sessions)
                {
                    session.SendIfThere(kept);
                }
            }

            return kept with { IsOwn = true };
        }
    }

    private void SendIfThere(RouteNote note)
    {
        if (_places.Contains(note.Location))
        {
            Send(note);
        }
    }

    private void Send(RouteNote note) => _notes.Writer.TryWrite(note with { IsOwn = note.Id is not null && _own.Contains(note.Id) });

    private void End(Exception? failure = null)
    {
        _log.Sessions.Remove(this);
        _notes.Writer.TryComplete(failure);
    }

    private void ThrowIfOver()
    {
        ObjectDisposedException.ThrowIf(_isDisposed, typeof(IRouteChat));
        if (_isCompleted)
        {
            throw new InvalidOperationException("The chat session has been completed; nothing more can be posted.");
        }
    }
}
