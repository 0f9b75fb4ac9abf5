using System.Collections.Concurrent;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>
/// Coordinates all chat streams. The log is the truth. Streams are only notified that a place has new notes; each reads at its own pace,
/// new notes from memory and old ones from the log, so a slow stream delays no other and takes no memory. RouteChat.Commit.cs writes posts
/// to the log, and RouteChat.Follow.cs reads the posts of other processes from it.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public sealed partial class RouteChat : IAsyncDisposable
{
    private readonly INoteLog _log;
    private readonly ChatOptions _options;
    private readonly TimeProvider _clock;
    private readonly ChatMetrics _metrics;
    private readonly NoteCache _cache;
    private readonly ConcurrentDictionary<Coordinate, Seat[]> _seats = [];
    private readonly ConcurrentDictionary<string, int> _streams = [];

    /// <summary>Starts the commits. Notes of other processes are seen while <see cref="FollowAsync"/> runs.</summary>
    public RouteChat(INoteLog log, ChatOptions options, TimeProvider clock, ChatMetrics metrics)
    {
        _log = log;
        _options = options;
        _clock = clock;
        _metrics = metrics;
        _cache = new NoteCache(options.CacheMegabytes * 1024L * 1024L);
        _committing = Task.Run(CommitAsync);
    }

    /// <summary>The sequence up to which this process has seen all notes.</summary>
    internal long Head => _cache.Head;

    /// <summary>Opens a stream of notes.</summary>
    /// <exception cref="ChatLimitException">The client has too many streams, or listens at too many places.</exception>
    public ChatSession Join(ChatJoin join)
    {
        if (join.Listen.Count > _options.MaxLocationsPerStream)
        {
            throw new ChatLimitException(ChatLimit.LocationsPerStream, join.Listen.Count, _options.MaxLocationsPerStream);
        }

        var streams = _streams.AddOrUpdate(join.Client, 1, static (_, count) => count + 1);
        if (_options.MaxStreamsPerClient > 0 && streams > _options.MaxStreamsPerClient)
        {
            LeaveClient(join.Client);
            throw new ChatLimitException(ChatLimit.StreamsPerClient, streams, _options.MaxStreamsPerClient);
        }

        _metrics.Joined();
        return new ChatSession(this, join, _options, _clock);
    }

    /// <summary>Posts what has been handed in, and ends.</summary>
    public async ValueTask DisposeAsync()
    {
        _posts.Writer.TryComplete();
        await _committing;
        _advancing.Dispose();
    }

    internal void Left(ChatJoin join)
    {
        LeaveClient(join.Client);
        _metrics.Left();
    }

    internal void Enter(Seat seat) =>
        _seats.AddOrUpdate(seat.Location, static (_, seat) => [seat], static (_, others, seat) => [.. others, seat], seat);

    internal void Leave(Seat seat)
    {
        while (_seats.TryGetValue(seat.Location, out var taken))
        {
            Seat[] left = [.. taken.Where(other => other != seat)];
            var isLeft = left.Length == 0
                ? _seats.TryRemove(KeyValuePair.Create(seat.Location, taken))
                : _seats.TryUpdate(seat.Location, left, taken);
            if (isLeft)
            {
                return;
            }
        }
    }

    /// <summary>The first notes at a place above a sequence, in order.</summary>
    internal async ValueTask<ReadOnlyMemory<LoggedNote>> ReadAfterAsync(
        Coordinate place, long after, int limit, CancellationToken cancellationToken)
    {
        if (_cache.TryReadAfter(place, after, limit, out var notes))
        {
            return notes;
        }

        _metrics.ReadFromLog();
        return (await _log.ReadAfterAsync([place], after, limit, cancellationToken)).ToArray();
    }

    /// <summary>The first notes at any of these places above a sequence, in order of all.</summary>
    internal async ValueTask<ReadOnlyMemory<LoggedNote>> ReadAfterAsync(
        IReadOnlyCollection<Coordinate> places, long after, int limit, CancellationToken cancellationToken)
    {
        var all = new List<LoggedNote>();

        // Above this some may be missing, as one of the places has more than were read.
        var upTo = long.MaxValue;
        foreach (var place in places)
        {
            if (!_cache.TryReadAfter(place, after, limit, out var notes))
            {
                _metrics.ReadFromLog();
                return (await _log.ReadAfterAsync(places, after, limit, cancellationToken)).ToArray();
            }

            all.AddRange(notes.Span);
            upTo = notes.Length == limit ? Math.Min(upTo, notes.Span[^1].Sequence) : upTo;
        }

        all.Sort(static (one, other) => one.Sequence.CompareTo(other.Sequence));
        var count = all.FindIndex(note => note.Sequence > upTo) is >= 0 and var beyond ? beyond : all.Count;
        return all.GetRange(0, Math.Min(limit, count)).ToArray();
    }

    /// <summary>The newest notes at a place below a sequence, in order.</summary>
    internal async ValueTask<ReadOnlyMemory<LoggedNote>> ReadBeforeAsync(
        Coordinate place, long before, int limit, CancellationToken cancellationToken)
    {
        // A stream that was further in another process may be ahead of this one.
        var isAhead = before > Head + 1;
        if (_cache.TryReadBefore(place, before, limit, out var newer, out var completeAbove) && !isAhead)
        {
            return newer;
        }

        _metrics.ReadFromLog();
        if (before <= completeAbove || isAhead)
        {
            return (await _log.ReadBeforeAsync([place], before, limit, cancellationToken)).ToArray();
        }

        // The notes read are cached, so that the next post here is answered from memory.
        var older = await _log.ReadBeforeAsync([place], completeAbove + 1, limit - newer.Length, cancellationToken);
        _cache.Prepend(place, older, completeAbove, areAll: older.Count < limit - newer.Length);
        return (LoggedNote[])[.. older, .. newer.Span];
    }

    /// <summary>The newest notes at any of these places below a sequence, in order of all.</summary>
    internal async ValueTask<ReadOnlyMemory<LoggedNote>> ReadBeforeAsync(
        IReadOnlyCollection<Coordinate> places, long before, int limit, CancellationToken cancellationToken) =>
        (await _log.ReadBeforeAsync(places, before, limit, cancellationToken)).ToArray();

    /// <summary>A stream has ended for being behind too long.</summary>
    internal void FellBehind() => _metrics.FellBehind();

    /// <summary>Records the delivery delay of what a stream has had to be sent since this timestamp.</summary>
    internal void Delivered(long since) => _metrics.Delivered(_clock.GetElapsedTime(since));

    private void LeaveClient(string client)
    {
        if (_streams.AddOrUpdate(client, 0, static (_, count) => count - 1) == 0)
        {
            _streams.TryRemove(KeyValuePair.Create(client, 0));
        }
    }
}

/// <summary>How a stream joins.</summary>
public sealed record ChatJoin
{
    /// <summary>Whether each note comes at most once, with its sequence, one's own too; else as published.</summary>
    public bool IsSequenced { get; init; }

    /// <summary>Where a sequenced stream listens from the beginning.</summary>
    public IReadOnlyCollection<Coordinate> Listen { get; init; } = [];

    /// <summary>Resume after this sequence; null starts with the newest notes.</summary>
    public long? After { get; init; }

    /// <summary>The client, for the bound on streams of one client.</summary>
    public string Client { get; init; } = "";
}
