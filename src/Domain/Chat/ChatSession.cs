using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>
/// One traveller's stream: posts go in, notes come out. A published stream gets, for each post, the earlier notes at the post's place,
/// without the post itself. After its first post at a place it also gets what others post there. Notes at one place arrive in the log's
/// order. A sequenced stream (ChatSession.Sequenced.cs) gets each note once, including its own.
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

    // Work for the reader, in order. Bounded although the channel is not: _unanswered bounds the own posts, and a woken seat or stream is
    // queued only once until the reader takes it.
    private readonly Channel<Turn> _turns = Channel.CreateUnbounded<Turn>(new UnboundedChannelOptions
    {
        SingleReader = true, // Only ReadAllAsync reads.
    });

    private long _turnsQueued;
    private long _turnsDone;
    private readonly SemaphoreSlim _unanswered;

    // Uncommitted posts, plus one while the poster is active. Reaching zero completes the turns.
    private int _uncommitted = 1;
    private Exception? _error;

    internal ChatSession(RouteChat chat, ChatJoin join, ChatOptions options, TimeProvider clock)
    {
        _chat = chat;
        _join = join;
        _options = options;
        _clock = clock;
        _unanswered = new SemaphoreSlim(options.MaxUnansweredPosts);

        // Seated before the reader looks where the log stands: later posts must wake it.
        foreach (var place in join.Listen)
        {
            Sit(place);
        }
    }

    /// <summary>The sequence of the last note that the reader was given; 0 for none.</summary>
    public long LastSequence { get; private set; }

    /// <summary>
    /// Posts a note. It is durable once its answer (or, in a sequenced stream, the note itself) is emitted. Waits while too many earlier
    /// posts are unanswered.
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

    /// <summary>Ends the posts. Pending output is still emitted; then the stream ends, with this error if one is given.</summary>
    public void Complete(Exception? error = null) => Release(error);

    /// <summary>What this stream is sent, in pages, until <see cref="Complete"/>.</summary>
    /// <exception cref="ChatLimitException">The reader has been behind for too long.</exception>
    /// <exception cref="StoreUnavailableException">The log cannot answer; unanswered posts may be kept or lost.</exception>
    public async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // The lag of a stream is the time until everything queued now has been read.
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

    /// <summary>The error that ends a stream which does not keep up; counts it.</summary>
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

    /// <summary>
    /// A post of this stream may be missing from the log. The error ends the stream, as its client may be waiting for that answer.
    /// </summary>
    internal void Failed(Exception error)
    {
        _turns.Writer.TryComplete(
            error is StoreUnavailableException store ? new StoreUnavailableException(store.Message, store.Failure, store) : error);
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

    private async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> ReadPublishedAsync(
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var (turnSeat, own, queuedAt) in _turns.Reader.ReadAllAsync(cancellationToken))
        {
            var seat = turnSeat!;
            if (own is null)
            {
                seat.Sleep();
            }

            // The output at a place follows the log: a note of another stream is sent itself, an own post is answered with the history
            // before it. Own posts arrive as turns, in order, so only notes of others lie before the next one.
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

                // A wake-up before this turn stopped short of the own post; the notes behind that are sent now.
                await foreach (var page in LiveAsync(seat, cancellationToken))
                {
                    yield return page;
                }
            }

            _turnsDone++;
            _chat.Delivered(queuedAt);
        }
    }

    /// <summary>The notes of others after the seat's cursor, up to the next own post or the end.</summary>
    private async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> LiveAsync(
        Seat seat, [EnumeratorCancellation] CancellationToken cancellationToken)
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
/// A unit of work for a stream's reader. With <paramref name="Own"/>, answer the own post of this sequence. With a seat alone, a published
/// stream sends what others have posted there, and a sequenced stream joins the place. With neither (sequenced only), send what is new.
/// </summary>
/// <param name="Seat">The seat that the work is about; null for the whole stream.</param>
/// <param name="Own">The sequence of the stream's own post; null for none.</param>
/// <param name="QueuedAt">The clock's timestamp when the work came up.</param>
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

    /// <returns>False when it is awake already and so has a turn queued.</returns>
    public bool TryWake() => Interlocked.Exchange(ref _awake, 1) == 0;

    /// <summary>Called before the reader looks at the log: later notes wake the seat again.</summary>
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
