using System.Globalization;
using System.Text;
using System.Threading.Channels;
using Google.Rpc;
using RouteService.Client.Calls;
using RouteService.Contracts.Routeguide;

namespace RouteService.Client.Chat;

/// <summary>
/// A chat session: streams in the sequenced mode (docs/chat.md), which are opened again when they break. Posting and reading are here, the
/// streams are in ChatSession.Lane.cs, and <see cref="ChatPosition"/> decides where the next stream resumes.
/// </summary>
/// <remarks>
/// The headers of a call hold only so many places, so a session at more than <see cref="MaxPlacesPerStream"/> has several streams at once.
/// Each place belongs to one of these lanes. Posts join places without headers, so a lane may have more of them until its stream breaks.
/// </remarks>
internal sealed partial class ChatSession : IRouteChat
{
    /// <summary>Places that a session listens at, at most.</summary>
    public const int MaxPlaces = 10_000;

    /// <summary>
    /// Places that one stream names in its headers: 24 bytes each at most, which leaves a quarter of the 64 KiB that the service takes by
    /// default for a token and the headers of gateways.
    /// </summary>
    private const int MaxPlacesPerStream = 2_000;

    // The service's limit of unacknowledged posts in a stream.
    private const int MaxUnacknowledged = 64;
    private const int MaxIdBytes = 128;
    private const int MaxKnown = 1_000;

    private readonly CallContext _context;
    private readonly RouteGuide.RouteGuideClient _guide;
    private readonly Action<ChatSession> _onEnd;
    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _room = new(MaxUnacknowledged);

    // Held while a post waits for room: later posts queue behind it, so that posts are sent in the order in which they are made.
    private readonly SemaphoreSlim _turn = new(1);

    // Bounded: notes that are not read stay with the service.
    private readonly Channel<RouteNote> _notes;

    // Under the lock, as are the positions and the streams. Posts by id that are not acknowledged.
    private readonly Dictionary<string, Post> _pending = new(StringComparer.Ordinal);

    // Under the lock.
    private readonly List<Lane> _lanes = [];
    private readonly Dictionary<Coordinate, Lane> _laneOf = [];
    private long _received;
    private int _openLanes;

    // Under the lock: the last notes received with an id that may be posted again. The service sends no note twice in one stream, so it
    // does not acknowledge such a post. A post whose note is forgotten here is acknowledged in another stream, after the time that a stream
    // may be silent.
    private readonly Dictionary<string, RouteNote> _known = new(StringComparer.Ordinal);
    private readonly Queue<string> _knownOrder = new();
    private readonly string _idPrefix = $"{Guid.NewGuid():N}-";
    private long _posts;
    private bool _isCompleted;
    private Exception? _end;

    private int _reading;

    public ChatSession(
        CallContext context, RouteGuide.RouteGuideClient guide, HashSet<Coordinate> listen, long? after, Action<ChatSession> onEnd)
    {
        _context = context;
        _guide = guide;
        _onEnd = onEnd;
        _notes = Channel.CreateBounded<RouteNote>(new BoundedChannelOptions(context.Options.MaxBufferedNotes) { SingleReader = true });
        foreach (var places in listen.Count == 0 ? [[]] : listen.Chunk(MaxPlacesPerStream))
        {
            AddLane_NeedsLock(new ChatPosition(places, after), places);
        }
    }

    public void Start()
    {
        lock (_lock)
        {
            foreach (var lane in _lanes)
            {
                lane.Start();
            }
        }
    }

    public Task<RouteNote> PostAsync(
        Coordinate location, string message, string? noteId = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(message);
        Check(message, _context.Options.MaxNoteBytes, nameof(message), "note");
        if (noteId is not null)
        {
            ArgumentException.ThrowIfNullOrEmpty(noteId);
            Check(noteId, MaxIdBytes, nameof(noteId), "note's id");
        }

        return PostCheckedAsync(location, message, noteId, cancellationToken);
    }

    public async Task CompleteAsync(CancellationToken cancellationToken = default)
    {
        Task[] unacknowledged;
        lock (_lock)
        {
            ThrowIfOver();
            _isCompleted = true;
            unacknowledged = [.. _pending.Values.Select(static post => post.Acknowledged.Task)];
            foreach (var lane in _lanes)
            {
                lane.Complete_NeedsLock();
            }
        }

        await Task.WhenAll(unacknowledged).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    public async IAsyncEnumerator<RouteNote> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        if (Interlocked.Exchange(ref _reading, 1) != 0)
        {
            throw new InvalidOperationException("The session is being enumerated already; one enumeration at a time.");
        }

        try
        {
            do
            {
                while (_notes.Reader.TryRead(out var note))
                {
                    yield return note;
                }

                RequestLeftNotes();
            }
            while (await _notes.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false));
        }
        finally
        {
            Volatile.Write(ref _reading, 0);
        }
    }

    /// <summary>Ends the session without waiting.</summary>
    public void Stop()
    {
        End(new ObjectDisposedException(nameof(IRouteChat), "The chat session has been disposed of."));
        _stop.Cancel();
    }

    public async ValueTask DisposeAsync()
    {
        Stop();
        Task[] running;
        lock (_lock)
        {
            running = [.. _lanes.Select(static lane => lane.Running)];
        }

        await Task.WhenAll(running).ConfigureAwait(false);
    }

    private static void Check(string text, int maxBytes, string parameter, string what)
    {
        var bytes = Encoding.UTF8.GetByteCount(text);
        if (bytes > maxBytes)
        {
            throw new ArgumentException(
                string.Create(CultureInfo.InvariantCulture, $"A {what} has at most {maxBytes} bytes of UTF-8; this one has {bytes}."),
                parameter);
        }
    }

    private static ArgumentException IdTaken(string noteId, string sequence) =>
        new($"The id '{noteId}' is that of another note, {sequence}.", nameof(noteId));

    private async Task<RouteNote> PostCheckedAsync(Coordinate location, string message, string? noteId, CancellationToken cancellationToken)
    {
        var post = await EnqueueAsync(location, message, noteId, cancellationToken).ConfigureAwait(false);
        try
        {
            return await post.Acknowledged.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            lock (_lock)
            {
                // The caller no longer waits for the note, so it is not posted again.
                if (!post.Acknowledged.Task.IsCompleted && _pending.Remove(post.Id))
                {
                    _room.Release();
                }
            }

            throw;
        }
    }

    /// <summary>Waits for room, in the order in which posts are made.</summary>
    private async Task<Post> EnqueueAsync(Coordinate location, string message, string? noteId, CancellationToken cancellationToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stop.Token);
        await WaitAsync(_turn, over.Token, cancellationToken).ConfigureAwait(false);
        try
        {
            await WaitAsync(_room, over.Token, cancellationToken).ConfigureAwait(false);
            lock (_lock)
            {
                if (_end is not null || _isCompleted || (noteId is not null && _pending.ContainsKey(noteId)))
                {
                    _room.Release();
                    ThrowIfOver();
                    throw new ArgumentException($"A note with the id '{noteId}' is under way in this session.", nameof(noteId));
                }

                if (noteId is not null && _known.TryGetValue(noteId, out var known))
                {
                    _room.Release();
                    return known.Location == location && string.Equals(known.Message, message, StringComparison.Ordinal)
                        ? Post.AlreadyLeft(known)
                        : throw IdTaken(known.Id!, $"{known.Sequence}");
                }

                if (LaneFor_NeedsLock(location) is not { } lane)
                {
                    _room.Release();
                    throw new InvalidOperationException(FormattableString.Invariant(
                        $"The session is at {MaxPlaces} places, the most for one session. Post at {location} in another session."));
                }

                var number = ++_posts;
                var id = noteId ?? string.Create(CultureInfo.InvariantCulture, $"{_idPrefix}{number}");
                var post = new Post(number, id, location, message);
                _pending.Add(post.Id, post);
                lane.Send_NeedsLock(post);
                return post;
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Fails the post that the service has refused because its id is that of another note. The session goes on.</summary>
    /// <returns>False if there is no such post: its caller has stopped waiting.</returns>
    private bool Refuse(ErrorInfo info)
    {
        Post? post;
        lock (_lock)
        {
            if (!_pending.Remove(info.Metadata.GetValueOrDefault("note_id", ""), out post))
            {
                return false;
            }
        }

        if (post.Acknowledged.TrySetException(IdTaken(post.Id, info.Metadata.GetValueOrDefault("sequence", ""))))
        {
            _room.Release();
        }

        return true;
    }

    private async Task WaitAsync(SemaphoreSlim semaphore, CancellationToken over, CancellationToken cancellationToken)
    {
        try
        {
            await semaphore.WaitAsync(over).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            lock (_lock)
            {
                ThrowIfOver();
            }

            throw;
        }
    }

    private void ThrowIfOver()
    {
        switch (_end)
        {
            case null:
                break;

            case RouteServiceException failure:
                // A copy: one exception must not be thrown in two places.
                throw failure.Copy();

            case ObjectDisposedException:
                throw new ObjectDisposedException(nameof(IRouteChat), "The chat session has been disposed of.");

            default:
                throw new InvalidOperationException("The chat session is over.", _end);
        }

        if (_isCompleted)
        {
            throw new InvalidOperationException("The chat session has been completed; nothing more can be posted.");
        }
    }

    /// <summary>The lane of a place, which a post joins if it is new; null if the session has no room for another place.</summary>
    private Lane? LaneFor_NeedsLock(Coordinate place)
    {
        if (_laneOf.TryGetValue(place, out var lane) || _laneOf.Count >= MaxPlaces)
        {
            return lane;
        }

        // The last lane is the only one that may have room. It is split when its stream has to name more places than headers hold.
        lane = _lanes[^1];
        _laneOf.Add(place, lane);
        return lane;
    }

    private Lane AddLane_NeedsLock(ChatPosition position, IEnumerable<Coordinate> places)
    {
        var lane = new Lane(this, position);
        _lanes.Add(lane);
        _openLanes++;
        foreach (var place in places)
        {
            _laneOf[place] = lane;
        }

        return lane;
    }

    private void Remember_NeedsLock(RouteNote note)
    {
        if (note.Id is null || note.Id.StartsWith(_idPrefix, StringComparison.Ordinal) || !_known.TryAdd(note.Id, note))
        {
            return;
        }

        _knownOrder.Enqueue(note.Id);
        if (_knownOrder.Count > MaxKnown)
        {
            _known.Remove(_knownOrder.Dequeue());
        }
    }

    private bool IsOwn_NeedsLock(string id) => _pending.ContainsKey(id)
        || id.StartsWith(_idPrefix, StringComparison.Ordinal)
        || (_known.TryGetValue(id, out var known) && known.IsOwn);

    /// <summary>Requests the notes that were left with the service, after all that were received have been read.</summary>
    private void RequestLeftNotes()
    {
        lock (_lock)
        {
            foreach (var lane in _lanes)
            {
                lane.RequestLeftNotes_NeedsLock();
            }
        }
    }

    /// <summary>A lane has ended in order: the session is over when all of them have.</summary>
    private void OnLaneEnd()
    {
        bool isLast;
        lock (_lock)
        {
            isLast = --_openLanes == 0;
        }

        if (isLast)
        {
            End(null);
        }
    }

    /// <summary>Ends the session, in order if there is no failure.</summary>
    private void End(Exception? failure)
    {
        Post[] lost;
        lock (_lock)
        {
            if (_end is not null || !_notes.Writer.TryComplete(failure))
            {
                return;
            }

            _end = failure;
            lost = [.. _pending.Values];
            _pending.Clear();
        }

        foreach (var post in lost)
        {
            if (failure is not null && post.Acknowledged.TrySetException(failure))
            {
                _ = post.Acknowledged.Task.Exception;
            }
        }

        // The other lanes.
        _stop.Cancel();
        _onEnd(this);
    }

    /// <summary>A note on its way to the log.</summary>
    private sealed class Post(long number, string id, Coordinate location, string message)
    {
        public long Number { get; } = number;

        public string Id { get; } = id;

        public Coordinate Location { get; } = location;

        public string Message { get; } = message;

        public TaskCompletionSource<RouteNote> Acknowledged { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>A post whose note is in the log, and was received here.</summary>
        public static Post AlreadyLeft(RouteNote note)
        {
            var post = new Post(number: 0, note.Id!, note.Location, note.Message);
            post.Acknowledged.SetResult(note with { IsOwn = true });
            return post;
        }

        /// <summary>Whether the note may be in the log from an earlier stream.</summary>
        public bool IsRepeated { get; set; }

        /// <summary>The lane whose streams send it.</summary>
        public Lane? Lane { get; set; }

        /// <summary>Timestamp from which the acknowledgement is due: when the stream was ready to send the post.</summary>
        public long Since { get; set; }
    }
}
