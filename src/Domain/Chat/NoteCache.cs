using System.Diagnostics;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>
/// The newest notes, in memory, and for every location the sequence above which the cache is complete. Bounded by size, first in, first
/// out; evicted notes are read from the log.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
internal sealed class NoteCache(long maxBytes)
{
    // Bytes of a note besides its text: the note itself, and its entries in the page and in the queue.
    private const int NoteOverhead = 160;

    private readonly Lock _gate = new();
    private readonly Dictionary<Coordinate, Page> _pages = [];

    // The location of each note, in the order of arrival, which is the order of eviction.
    private readonly Queue<Coordinate> _order = [];

    // Completeness bound for locations that have no page. Unknown before the start.
    private long _completeAbove = long.MaxValue;
    private long _head;
    private long _bytes;

    /// <summary>The sequence up to which all notes were appended; 0 before the start.</summary>
    public long Head => Volatile.Read(ref _head);

    /// <summary>Begins after this sequence; older notes are in the log only.</summary>
    public void Start(long head)
    {
        lock (_gate)
        {
            _completeAbove = head;
            _head = head;
        }
    }

    /// <summary>Adds the next notes of the log.</summary>
    public void Append(IReadOnlyList<LoggedNote> notes)
    {
        lock (_gate)
        {
            foreach (var note in notes)
            {
                Debug.Assert(note.Sequence > _head, "Notes come in order.");
                if (!_pages.TryGetValue(note.Note.Location, out var page))
                {
                    _pages.Add(note.Note.Location, page = new Page(_completeAbove));
                }

                page.Append(note);
                CountNeedsLock(note);
                Volatile.Write(ref _head, note.Sequence);
            }

            TrimNeedsLock();
        }
    }

    /// <summary>The first notes at a location above a sequence, in order.</summary>
    /// <returns>False if some may be missing here.</returns>
    public bool TryReadAfter(Coordinate location, long after, int limit, out ReadOnlyMemory<LoggedNote> notes)
    {
        lock (_gate)
        {
            var page = _pages.GetValueOrDefault(location);
            var all = page?.Notes ?? default;
            var start = CountUpTo(all.Span, after);
            notes = all.Slice(start, Math.Min(limit, all.Length - start));
            return after >= (page?.CompleteAbove ?? _completeAbove);
        }
    }

    /// <summary>The newest notes at a location below a sequence, in order.</summary>
    /// <returns>
    /// False if some may be missing here; <paramref name="notes"/> then has only those above <paramref name="completeAbove"/>.
    /// </returns>
    public bool TryReadBefore(Coordinate location, long before, int limit, out ReadOnlyMemory<LoggedNote> notes, out long completeAbove)
    {
        lock (_gate)
        {
            var page = _pages.GetValueOrDefault(location);
            var all = page?.Notes ?? default;
            var end = CountUpTo(all.Span, before - 1);
            var start = Math.Max(0, end - limit);
            notes = all[start..end];
            completeAbove = page?.CompleteAbove ?? _completeAbove;
            return end - start == limit || completeAbove == 0;
        }
    }

    /// <summary>Adds older notes of a location, read from the log because they were missing here.</summary>
    /// <param name="location">The location.</param>
    /// <param name="notes">The last notes up to <paramref name="upTo"/>, in order.</param>
    /// <param name="upTo">The completeness bound when they were read; if it has changed since, they are not added.</param>
    /// <param name="areAll">Whether there are no older ones.</param>
    public void Prepend(Coordinate location, IReadOnlyList<LoggedNote> notes, long upTo, bool areAll)
    {
        lock (_gate)
        {
            if (!_pages.TryGetValue(location, out var page))
            {
                if (_completeAbove != upTo || notes.Count == 0)
                {
                    // A page without notes would never be evicted.
                    return;
                }

                _pages.Add(location, page = new Page(_completeAbove));
            }

            if (page.CompleteAbove == upTo)
            {
                page.Prepend(notes, completeAbove: areAll ? 0 : notes[0].Sequence - 1);
                foreach (var note in notes)
                {
                    CountNeedsLock(note);
                }

                TrimNeedsLock();
            }
        }
    }

    /// <summary>Number of notes with a sequence of at most this.</summary>
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

    private static long Size(LoggedNote note) => NoteOverhead + (2 * note.Note.Message.Length);

    private void CountNeedsLock(LoggedNote note)
    {
        _order.Enqueue(note.Note.Location);
        _bytes += Size(note);
    }

    private void TrimNeedsLock()
    {
        while (_bytes > maxBytes && _order.TryDequeue(out var location))
        {
            var page = _pages[location];
            var oldest = page.DropOldest();
            _bytes -= Size(oldest);
            if (page.Notes.IsEmpty)
            {
                // The location's own bound goes with its page, so the bound of locations without a page must not be lower.
                _pages.Remove(location);
                _completeAbove = Math.Max(_completeAbove, oldest.Sequence);
            }
        }
    }

    /// <summary>
    /// The notes at one location. Readers hold slices of its array, so a written element is never changed, only left behind.
    /// </summary>
    private sealed class Page(long completeAbove)
    {
        private LoggedNote[] _notes = new LoggedNote[1];
        private int _start;
        private int _end;

        public long CompleteAbove { get; private set; } = completeAbove;

        public ReadOnlyMemory<LoggedNote> Notes => _notes.AsMemory(_start, _end - _start);

        public void Append(LoggedNote note)
        {
            if (_end == _notes.Length)
            {
                // Dropped notes are left behind here, so that a location with a steady flow does not grow.
                var kept = Notes;
                _notes = new LoggedNote[Math.Max(4, kept.Length * 2)];
                kept.CopyTo(_notes);
                (_start, _end) = (0, kept.Length);
            }

            _notes[_end++] = note;
        }

        public void Prepend(IReadOnlyList<LoggedNote> notes, long completeAbove)
        {
            LoggedNote[] all = [.. notes, .. Notes.Span];
            (_notes, _start, _end) = (all, 0, all.Length);
            CompleteAbove = completeAbove;
        }

        public LoggedNote DropOldest()
        {
            var oldest = _notes[_start++];
            CompleteAbove = Math.Max(CompleteAbove, oldest.Sequence);
            return oldest;
        }
    }
}
