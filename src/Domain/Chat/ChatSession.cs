using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>
/// One traveller's stream: posts go in, and what is owed for them comes out. As published, each post is answered with the earlier notes at its place,
/// without itself, and from a stream's first post at a place on it is also sent what others post there; at each place everything comes in the log's
/// order. A sequenced stream (ChatSession.Sequenced.cs) gets each note once, its own too.
/// </summary>
/// <threadsafety>One poster and one reader at a time; these two may run at once.</threadsafety>
public sealed partial class ChatSession : IAsyncDisposable
{
    // Notes are read in pages of this many.
    private const int PageSize = 256;

    private readonly RouteChat _chat;
    private readonly ChatJoin _join;
    private readonly ChatOptions _options;
    private readonly TimeProvider _clock;
    private readonly Guid _id = Guid.NewGuid();

    // The poster's: where this stream sits.
    private readonly Dictionary<Coordinate, Seat> _seats = [];

    // What the reader has to look at, in order. Bounded although the channel is not: own posts by _unanswered, and a seat or stream that was woken is in
    // it once until the reader has come to it.
    private readonly Channel<Turn> _turns = Channel.CreateUnbounded<Turn>(new UnboundedChannelOptions
    {
        SingleReader = true, // Only ReadAllAsync reads.
    });

    private long _turnsQueued;
    private long _turnsDone;
    private readonly SemaphoreSlim _unanswered;

    // Posts handed in and not committed, and one for the poster itself until it completes: who brings it to zero ends the turns.
    private int _uncommitted = 1;
    private Exception? _error;

    internal ChatSession(RouteChat chat, ChatJoin join, ChatOptions options, TimeProvider clock)
    {
        _chat = chat;
        _join = join;
        _options = options;
        _clock = clock;
        _unanswered = new SemaphoreSlim(options.MaxUnansweredPosts);

        // Seated before the reader looks where the log stands: what is posted after that must wake it.
        foreach (var place in join.Listen)
        {
            Sit(place);
        }
    }

    /// <summary>The sequence of the last note that the reader was given; 0 for none.</summary>
    public long LastSequence { get; private set; }

    /// <summary>
    /// Leaves a note. It is kept when its answer, or in a sequenced stream itself, comes out. Waits while too many earlier ones are not answered.
    /// </summary>
    /// <param name="note">The note.</param>
    /// <param name="id">The traveller's own name for it, unique among all notes: posted again it is not kept again. Null for none.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <exception cref="ChatLimitException">The note is too long, or the stream has posted at too many places.</exception>
    public async ValueTask PostAsync(RouteNote note, string? id, CancellationToken cancellationToken)
    {
        Check(note, id);
        await _unanswered.WaitAsync(cancellationToken);
        if (!_seats.TryGetValue(note.Location, out var seat))
        {
            // Seated before the note is kept, and before the reader looks where the log stands: what others post after that must wake us.
            seat = Sit(note.Location);
            if (_join.IsSequenced)
            {
                Queue(seat, own: null);
            }
        }

        Interlocked.Increment(ref _uncommitted);
        try
        {
            await _chat.PostAsync(new Post(this, seat, new NewNote(_id, note, id)), cancellationToken);
        }
        catch
        {
            Release(error: null);
            throw;
        }
    }

    /// <summary>The last post was made: what is owed for it and before it still comes out, and then the end, or this error.</summary>
    public void Complete(Exception? error = null) => Release(error);

    /// <summary>What this stream is sent, in pages, until <see cref="Complete"/>.</summary>
    /// <exception cref="ChatLimitException">The reader has been behind for too long.</exception>
    /// <exception cref="StoreUnavailableException">The log cannot answer; whether posts without an answer are kept is not known.</exception>
    public async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // A stream is as far behind as the time it takes for what is waiting now to be taken.
        var (waiting, since) = (0L, _clock.GetTimestamp());
        await foreach (var page in _join.IsSequenced ? ReadSequencedAsync(cancellationToken) : ReadPublishedAsync(cancellationToken))
        {
            LastSequence = page.Span[^1].Sequence;
            yield return page;

            if (_turnsDone >= waiting)
            {
                (waiting, since) = (Volatile.Read(ref _turnsQueued), _clock.GetTimestamp());
            }
            else if (_clock.GetElapsedTime(since).TotalSeconds > _options.MaxSecondsBehind)
            {
                throw Behind();
            }
        }
    }

    /// <summary>The end of a stream that does not keep up, for whoever notices it.</summary>
    public ChatLimitException Behind()
    {
        _chat.FellBehind();
        return new ChatLimitException(ChatLimit.SecondsBehind, _options.MaxSecondsBehind, _options.MaxSecondsBehind);
    }

    public ValueTask DisposeAsync()
    {
        _turns.Writer.TryComplete();
        foreach (var seat in _seats.Values)
        {
            _chat.Leave(seat);
        }

        _chat.Left(_join);
        return ValueTask.CompletedTask;
    }

    /// <summary>A post of this stream is in the log, under this number.</summary>
    internal void Committed(Seat seat, long sequence)
    {
        Queue(seat, sequence);
        Release(error: null);
    }

    /// <summary>A post of this stream may not be in the log. The stream ends with that, as its client may be waiting for nothing but the answer.</summary>
    internal void Failed(Exception error)
    {
        _turns.Writer.TryComplete(error is StoreUnavailableException store ? new StoreUnavailableException(store.Message, store.Failure, store) : error);
        Release(error: null);
    }

    /// <summary>There is a note at one of this stream's places. Notes are told in the log's order.</summary>
    internal void Tell(Seat seat, in LoggedNote note)
    {
        if (_join.IsSequenced)
        {
            TellSequenced(note.Sequence);
        }
        else if (note.Author != _id && seat.TryWake())
        {
            Queue(seat, own: null);
        }
    }

    private async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> ReadPublishedAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var (turnSeat, own, queuedAt) in _turns.Reader.ReadAllAsync(cancellationToken))
        {
            var seat = turnSeat!;
            if (own is null)
            {
                seat.Sleep();
            }

            // At a place the output follows the log: what others posted as it is, an own post as the history before it. The own posts come as
            // turns, in order, so the way to the next one has only notes of others.
            if (seat.IsLive)
            {
                await foreach (var page in LiveAsync(seat, cancellationToken))
                {
                    yield return page;
                }
            }

            if (own is { } sequence)
            {
                Debug.Assert(seat.Cursor < sequence, "Own posts come in order.");
                var history = await _chat.ReadBeforeAsync(seat.Location, sequence, _options.HistoryPerPost, cancellationToken);
                if (!history.IsEmpty)
                {
                    yield return history;
                }

                seat.Cursor = sequence;
                seat.IsLive = true;
                _unanswered.Release();

                // A wake-up that came before this turn stopped short of the own post; what it was for is sent now.
                await foreach (var page in LiveAsync(seat, cancellationToken))
                {
                    yield return page;
                }
            }

            _turnsDone++;
            _chat.Delivered(queuedAt);
        }
    }

    /// <summary>From the seat's cursor on, the notes of others, as far as there are any or an own post comes.</summary>
    private async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> LiveAsync(Seat seat, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var page = await _chat.ReadAfterAsync(seat.Location, seat.Cursor, PageSize, cancellationToken);
            var others = 0;
            while (others < page.Length && page.Span[others].Author != _id)
            {
                others++;
            }

            if (others > 0)
            {
                seat.Cursor = page.Span[others - 1].Sequence;
                yield return page[..others];
            }

            if (others < PageSize)
            {
                yield break;
            }
        }
    }

    private void Queue(Seat? seat, long? own)
    {
        Interlocked.Increment(ref _turnsQueued);
        _turns.Writer.TryWrite(new Turn(seat, own, _clock.GetTimestamp()));
    }

    private Seat Sit(Coordinate place)
    {
        var seat = new Seat(this, place);
        _chat.Enter(seat);
        seat.EnteredAt = _chat.Head;
        _seats.Add(place, seat);
        return seat;
    }

    private void Release(Exception? error)
    {
        if (error is not null)
        {
            Interlocked.CompareExchange(ref _error, error, null);
        }

        if (Interlocked.Decrement(ref _uncommitted) == 0)
        {
            _turns.Writer.TryComplete(_error);
        }
    }

    private void Check(RouteNote note, string? id)
    {
        if (System.Text.Encoding.UTF8.GetByteCount(note.Message) is var bytes && bytes > _options.MaxMessageBytes)
        {
            throw new ChatLimitException(ChatLimit.MessageBytes, bytes, _options.MaxMessageBytes);
        }

        if (id is not null && System.Text.Encoding.UTF8.GetByteCount(id) is var idBytes && idBytes > ChatOptions.MaxIdBytes)
        {
            throw new ChatLimitException(ChatLimit.IdBytes, idBytes, ChatOptions.MaxIdBytes);
        }

        if (_seats.Count >= _options.MaxLocationsPerStream && !_seats.ContainsKey(note.Location))
        {
            throw new ChatLimitException(ChatLimit.LocationsPerStream, _seats.Count + 1, _options.MaxLocationsPerStream);
        }
    }
}

/// <summary>
/// Something for a stream's reader to do. As published: answer the own post of this sequence or, without one, see what others have posted at this seat.
/// Sequenced: the same for an own post; without one, join this seat's place or, without that too, see what is new. With the clock's time of when it came up.
/// </summary>
internal readonly record struct Turn(Seat? Seat, long? Own, long QueuedAt);

/// <summary>A stream's place at a location.</summary>
internal sealed class Seat(ChatSession session, Coordinate location)
{
    private int _awake;

    public ChatSession Session => session;

    public Coordinate Location => location;

    /// <summary>The sequence after which the stream is told of every note here.</summary>
    public long EnteredAt { get; set; }

    /// <summary>The reader's: the sequence up to which the place has been seen.</summary>
    public long Cursor { get; set; }

    /// <summary>The reader's: whether the first own post here has been answered.</summary>
    public bool IsLive { get; set; }

    /// <returns>False where it is awake already, and so has a turn queued.</returns>
    public bool TryWake() => Interlocked.Exchange(ref _awake, 1) == 0;

    /// <summary>Before the reader looks at the log: what is written from here on wakes it anew.</summary>
    public void Sleep() => Interlocked.Exchange(ref _awake, 0);
}

public enum ChatLimit
{
    MessageBytes,
    IdBytes,
    LocationsPerStream,
    StreamsPerClient,
    SecondsBehind,
}

/// <summary>A stream is over one of the bounds of <see cref="ChatOptions"/>.</summary>
public sealed class ChatLimitException(ChatLimit limit, long value, long maximum)
    : Exception(FormattableString.Invariant($"{limit} is {value}; the most is {maximum}."))
{
    public ChatLimit Limit => limit;

    public long Value => value;

    public long Maximum => maximum;
}
