using System.Threading.Channels;
using RouteService.Client.Calls;
using RouteService.Contracts.Routeguide;

namespace RouteService.Client.Chat;

/// <summary>
/// A chat session: streams in the sequenced mode (docs/chat.md), which are opened again when they break. Reading and the end are here,
/// posting is in ChatSession.Posting.cs, the streams are in ChatSession.Lane.cs, and <see cref="ChatPosition"/> decides where the next
/// stream resumes.
/// </summary>
/// <remarks>
/// The headers of a call hold only so many places, so a session at more than <see cref="MaxPlacesPerStream"/> has several streams at once.
/// Each place belongs to one of these lanes. Posts join places without headers, so a lane may have more of them until its stream breaks.
/// </remarks>
internal sealed partial class ChatSession : IRouteChat
{
    /// <summary>
    /// Places that one stream names in its headers: 24 bytes each at most, which leaves a quarter of the 64 KiB that the service takes by
    /// default for a token and the headers of gateways.
    /// </summary>
    private const int MaxPlacesPerStream = 2_000;

    // The service's limit of unacknowledged posts in a stream.
    private const int MaxUnacknowledged = 64;
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

        try
        {
            await Task.WhenAll(unacknowledged).WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The caller of a post has stopped waiting for it meanwhile. None was refused, and the others are acknowledged.
        }
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

        // The post that waits for room sees the end, and lets in the next.
        _room.Release();

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
}
