namespace RouteService.Client.Chat;

/// <summary>The notes that a stream has received, and so the position at which the next one resumes (docs/chat.md, "Sequenced").</summary>
/// <remarks>
/// The places that a stream listens at from its beginning arrive in one order, so one number covers all of them. A place that a post joins
/// is in that order from the acknowledgement of the post on. Its earlier notes arrive before that, in an order of their own, so each place
/// has a number as well. The next stream resumes after the lowest of these numbers, and notes that arrive a second time are skipped by the
/// number of their place.
/// <para>
/// Example: a stream listens at A and has received A's notes up to 10. It posts at B. B's earlier notes 3 and 5 arrive, and the connection
/// breaks before the acknowledgement. A is at 10 and B at 5, so the next stream listens at both and resumes after 5; of A, the notes up to
/// 10 are skipped.
/// </para>
/// </remarks>
internal sealed class ChatPosition(IReadOnlyCollection<Coordinate> listen, long? after)
{
    // For each place, the sequence up to which its notes were received or are not due.
    private readonly Dictionary<Coordinate, long> _last = [];

    // Places that are in the order of the stream now.
    private readonly HashSet<Coordinate> _inOrder = [.. listen];

    // Whether the stream listens at places from its beginning.
    private readonly bool _listens = listen.Count > 0;

    // All notes at those places up to here were received; null if the stream began with the newest notes and none was received.
    private long? _all = after;

    /// <summary>Number of notes received.</summary>
    public long Count { get; private set; }

    /// <summary>Whether the note was received before.</summary>
    public bool Has(Coordinate place, long sequence) => _last.TryGetValue(place, out var last) && sequence <= last;

    /// <summary>Records a note, which may have been received before.</summary>
    public void Take(Coordinate place, long sequence)
    {
        if (_inOrder.Contains(place))
        {
            _all = Math.Max(_all ?? 0, sequence);
        }

        if (!Has(place, sequence))
        {
            _last[place] = sequence;
            Count++;
        }
    }

    /// <summary>Records a note that has arrived and could not be kept: the next stream has to send it again.</summary>
    public void Leave(Coordinate place, long sequence)
    {
        // The notes of a place arrive in order, so the first that is left says from where on they are due.
        if (_inOrder.Contains(place))
        {
            _all ??= sequence - 1;
        }
        else
        {
            _last.TryAdd(place, sequence - 1);
        }
    }

    /// <summary>
    /// Records the acknowledgement of a post that was sent in this stream only: its place is in the order of the stream from here on.
    /// </summary>
    public void Join(Coordinate place, long sequence)
    {
        _inOrder.Add(place);
        _all = Math.Max(_all ?? 0, sequence);
    }

    /// <summary>
    /// The places that another stream listens at from its beginning, and the sequence that it resumes after; null starts with the newest
    /// notes.
    /// </summary>
    public (IReadOnlyCollection<Coordinate> Listen, long? After) Resume()
    {
        var alone = _last
            .Where(place => !_inOrder.Contains(place.Key))
            .Select(static place => place.Value)
            .DefaultIfEmpty(long.MaxValue)
            .Min();
        _inOrder.UnionWith(_last.Keys);

        // If notes of joined places were received and none of the places listened at, these had none when the stream began: all of their
        // notes are new.
        var nothingYet = _all is null && alone < long.MaxValue;
        _all = alone == long.MaxValue ? _all : _listens && nothingYet ? 0 : Math.Min(_all ?? long.MaxValue, alone);
        return (_inOrder, _all);
    }

    /// <summary>Gives up the places beyond this many, after <see cref="Resume"/>.</summary>
    /// <returns>The position of another stream at those places; null if there are none.</returns>
    public ChatPosition? Split(int places)
    {
        Coordinate[] moved = [.. _inOrder.Skip(places)];
        if (moved.Length == 0)
        {
            return null;
        }

        var other = new ChatPosition(moved, _all);
        foreach (var place in moved)
        {
            _inOrder.Remove(place);
            if (_last.Remove(place, out var last))
            {
                other._last.Add(place, last);
            }
        }

        return other;
    }
}
