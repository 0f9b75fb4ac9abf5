using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>
/// One traveller's stream: posts go in, and what is owed for them comes out. Each post is answered with the earlier notes at its place, without
/// itself; from a stream's first post at a place on, it is also sent what others post there. At each place everything comes in the log's order.
/// </summary>
/// <threadsafety>One poster and one reader at a time; these two may run at once.</threadsafety>
public sealed class ChatSession : IAsyncDisposable
{
    // Live notes are read from the log in pages of this many.
    private const int PageSize = 256;

    private readonly RouteChat _chat;
    private readonly INoteLog _log;
    private readonly ChatOptions _options;
    private readonly Guid _id = Guid.NewGuid();

    // The poster's: where this stream sits.
    private readonly Dictionary<Coordinate, Seat> _seats = [];

    // What the reader has to look at, in order. Bounded although the channel is not: own posts by _unanswered, and a seat that was woken is in
    // it once until the reader has come to it.
    private readonly Channel<Turn> _turns = Channel.CreateUnbounded<Turn>(new UnboundedChannelOptions
    {
        SingleReader = true, // Only ReadAllAsync reads.
    });

    private readonly SemaphoreSlim _unanswered;

    internal ChatSession(RouteChat chat, INoteLog log, ChatOptions options)
    {
        _chat = chat;
        _log = log;
        _options = options;
        _unanswered = new SemaphoreSlim(options.MaxUnansweredPosts);
    }

    /// <summary>Leaves a note. When this returns the note is kept. Waits while too many earlier ones are not answered.</summary>
    /// <exception cref="ChatLimitException">The note is too long, or the stream has posted at too many places.</exception>
    public async ValueTask PostAsync(RouteNote note, CancellationToken cancellationToken)
    {
        Check(note);
        await _unanswered.WaitAsync(cancellationToken);
        if (!_seats.TryGetValue(note.Location, out var seat))
        {
            // Seated before the note is kept: what others post after it must wake us.
            seat = new Seat(note.Location, _turns.Writer);
            _chat.Enter(seat);
            _seats.Add(note.Location, seat);
        }

        var sequence = await _log.AppendAsync(_id, note, cancellationToken);
        _turns.Writer.TryWrite(new Turn(seat, sequence));
        _chat.Announce(seat);
    }

    /// <summary>The last post was made: what is owed for it and before it still comes out, and then the end, or this error.</summary>
    public void Complete(Exception? error = null) => _turns.Writer.TryComplete(error);

    /// <summary>What this stream is sent, in pages, until <see cref="Complete"/>.</summary>
    public async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var (seat, own) in _turns.Reader.ReadAllAsync(cancellationToken))
        {
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
                var history = await _log.ReadBeforeAsync(seat.Location, sequence, _options.HistoryPerPost, cancellationToken);
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
        }
    }

    public ValueTask DisposeAsync()
    {
        Complete();
        foreach (var seat in _seats.Values)
        {
            _chat.Leave(seat);
        }

        _unanswered.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>From the seat's cursor on, the notes of others, as far as there are any or an own post comes.</summary>
    private async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> LiveAsync(Seat seat, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var page = await _log.ReadAfterAsync(seat.Location, seat.Cursor, PageSize, cancellationToken);
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

    private void Check(RouteNote note)
    {
        if (System.Text.Encoding.UTF8.GetByteCount(note.Message) is var bytes && bytes > _options.MaxMessageBytes)
        {
            throw new ChatLimitException(ChatLimit.MessageBytes, bytes, _options.MaxMessageBytes);
        }

        if (_seats.Count >= _options.MaxLocationsPerStream && !_seats.ContainsKey(note.Location))
        {
            throw new ChatLimitException(ChatLimit.LocationsPerStream, _seats.Count + 1, _options.MaxLocationsPerStream);
        }
    }
}

/// <summary>Something for a stream's reader to do: answer its own post of this sequence or, without one, see what others have posted.</summary>
internal readonly record struct Turn(Seat Seat, long? Own);

/// <summary>A stream's place at a location.</summary>
internal sealed class Seat(Coordinate location, ChannelWriter<Turn> turns)
{
    private int _awake;

    public Coordinate Location => location;

    /// <summary>The reader's: the sequence up to which the place has been seen.</summary>
    public long Cursor { get; set; }

    /// <summary>The reader's: whether the first own post here has been answered.</summary>
    public bool IsLive { get; set; }

    /// <summary>Queues a turn, unless one is queued already.</summary>
    public void Wake()
    {
        if (Interlocked.Exchange(ref _awake, 1) == 0)
        {
            turns.TryWrite(new Turn(this, null));
        }
    }

    /// <summary>Before the reader looks at the log: what is written from here on wakes it anew.</summary>
    public void Sleep() => Interlocked.Exchange(ref _awake, 0);
}

public enum ChatLimit
{
    MessageBytes,
    LocationsPerStream,
}

/// <summary>A post is over one of the bounds of <see cref="ChatOptions"/>.</summary>
public sealed class ChatLimitException(ChatLimit limit, long value, long maximum)
    : Exception(FormattableString.Invariant($"{limit} is {value}; the most is {maximum}."))
{
    public ChatLimit Limit => limit;

    public long Value => value;

    public long Maximum => maximum;
}
