namespace RouteService.Client.Chat;

/// <summary>
/// What a session has of the log, and so where its next stream goes on (docs/chat.md, "Sequenced"). In a stream the places that it listens at from its beginning come in one
/// order, so that one number says what has come of all of them. A place that a post joins comes in that order too, but only from the post's acknowledgement on; before
/// it, its earlier notes come by themselves, in their own order. So each place has a number as well, and a stream goes on behind the lowest that counts; what
/// that brings a second time is left out by the place's number.
/// </summary>
internal sealed class ChatPosition(HashSet<Coordinate> listen, long? after)
{
    // The last note that came of each place.
    private readonly Dictionary<Coordinate, long> _last = [];

    // The places that come in the stream's order now.
    private readonly HashSet<Coordinate> _inOrder = [.. listen];

    // All notes at those places up to here have come; null where the stream began with the newest and none has come.
    private long? _all = after;

    /// <summary>Notes that have come.</summary>
    public long Count { get; private set; }

    public bool Knows(Coordinate place) => _last.ContainsKey(place);

    /// <summary>Whether it has come before.</summary>
    public bool Has(Coordinate place, long sequence) => _last.TryGetValue(place, out var last) && sequence <= last;

    /// <summary>A note has come, perhaps not for the first time.</summary>
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

    /// <summary>A post of this stream, and of none before, is acknowledged: from here on its place comes in the stream's order.</summary>
    public void Join(Coordinate place, long sequence)
    {
        _inOrder.Add(place);
        _all = Math.Max(_all ?? 0, sequence);
    }

    /// <summary>Where another stream listens from its beginning, and behind which note it goes on; null for from the newest.</summary>
    public (IReadOnlyCollection<Coordinate> Listen, long? After) Resume()
    {
        var alone = _last.Where(place => !_inOrder.Contains(place.Key)).Select(static place => place.Value).DefaultIfEmpty(long.MaxValue).Min();
        _inOrder.UnionWith(_last.Keys);

        // Where notes of joined places have come and none of the places listened at, these had none when the stream began: all of theirs are new.
        var nothingYet = _all is null && alone < long.MaxValue;
        _all = alone == long.MaxValue ? _all : listen.Count > 0 && nothingYet ? 0 : Math.Min(_all ?? long.MaxValue, alone);
        return ([.. _inOrder], _all);
    }
}
