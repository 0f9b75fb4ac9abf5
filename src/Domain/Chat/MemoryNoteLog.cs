using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>The notes of one process, gone when it ends. Bounded: beyond <see cref="ChatOptions.MaxNotes"/> the oldest are dropped.</summary>
public sealed class MemoryNoteLog(ChatOptions options) : INoteLog
{
    private readonly Lock _gate = new();
    private readonly Dictionary<Coordinate, Page> _pages = [];

    // The place of each kept note, oldest first: tells whose turn it is to be dropped.
    private readonly Queue<Coordinate> _order = [];
    private long _sequence;

    public ValueTask<long> AppendAsync(Guid author, RouteNote note, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (!_pages.TryGetValue(note.Location, out var page))
            {
                _pages.Add(note.Location, page = new Page());
            }

            page.Append(new LoggedNote(++_sequence, author, note));
            _order.Enqueue(note.Location);
            if (_order.Count > options.MaxNotes)
            {
                DropOldestNeedsLock();
            }

            return ValueTask.FromResult(_sequence);
        }
    }

    public ValueTask<ReadOnlyMemory<LoggedNote>> ReadAfterAsync(Coordinate location, long after, int limit, CancellationToken cancellationToken)
    {
        var notes = Read(location);
        var start = CountUpTo(notes.Span, after);
        return ValueTask.FromResult(notes.Slice(start, Math.Min(limit, notes.Length - start)));
    }

    public ValueTask<ReadOnlyMemory<LoggedNote>> ReadBeforeAsync(Coordinate location, long before, int limit, CancellationToken cancellationToken)
    {
        var notes = Read(location);
        var end = CountUpTo(notes.Span, before - 1);
        var start = Math.Max(0, end - limit);
        return ValueTask.FromResult(notes[start..end]);
    }

    /// <summary>How many of these notes have a sequence of at most this.</summary>
    private static int CountUpTo(ReadOnlySpan<LoggedNote> notes, long sequence)
    {
        var (low, high) = (0, notes.Length);
        while (low < high)
        {
            var middle = (low + high) / 2;
            (low, high) = notes[middle].Sequence <= sequence ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private ReadOnlyMemory<LoggedNote> Read(Coordinate location)
    {
        lock (_gate)
        {
            return _pages.TryGetValue(location, out var page) ? page.Notes : default;
        }
    }

    private void DropOldestNeedsLock()
    {
        var location = _order.Dequeue();
        if (!_pages[location].DropOldest())
        {
            _pages.Remove(location);
        }
    }

    /// <summary>The notes at one place. Readers hold slices of its array: what was once written there is never changed, only left behind.</summary>
    private sealed class Page
    {
        private LoggedNote[] _notes = new LoggedNote[1];
        private int _start;
        private int _end;

        public ReadOnlyMemory<LoggedNote> Notes => _notes.AsMemory(_start, _end - _start);

        public void Append(LoggedNote note)
        {
            if (_end == _notes.Length)
            {
                // Dropped notes are left behind here, so that a place with a steady flow does not grow.
                var kept = Notes;
                _notes = new LoggedNote[Math.Max(4, kept.Length * 2)];
                kept.CopyTo(_notes);
                (_start, _end) = (0, kept.Length);
            }

            _notes[_end++] = note;
        }

        /// <returns>Whether any are left.</returns>
        public bool DropOldest() => ++_start < _end;
    }
}
