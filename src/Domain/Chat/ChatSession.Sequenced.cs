using System.Runtime.CompilerServices;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>
/// The sequenced stream. Notes at all its places arrive in one order of sequences, so the highest sequence a client has seen says where to
/// resume. One exception: a first post at a place joins that place, and the earlier notes there arrive outside of the order, before the
/// post itself.
/// </summary>
public sealed partial class ChatSession
{
    // The reader's: all notes at its places up to this sequence have been sent.
    private long _position;

    // The reader's: for each joined place, the sequence above which notes are sent in order, and the one above which any have been sent.
    private readonly Dictionary<Coordinate, (long InOrderAbove, long SentAbove)> _joined = [];

    // The reader's: whether all that it was told of has been sent.
    private bool _isCurrent;

    // The first note that the reader has not been told of; 0 for none.
    private long _news;

    private void TellSequenced(long sequence)
    {
        // Notes are told in order, so the first since the reader last looked is the lowest.
        if (Interlocked.CompareExchange(ref _news, sequence, 0) == 0)
        {
            Queue(seat: null, own: null);
        }
    }

    private async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> ReadSequencedAsync(
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var page in OpenAsync(cancellationToken))
        {
            yield return page;
        }

        while (await _turns.Reader.WaitToReadAsync(cancellationToken))
        {
            bool any;
            _isCurrent = true;
            do
            {
                // A place is joined before its first post is handed in. The head is therefore read before the turns are taken: every place
                // with an own post up to that head is joined by then, and its notes arrive in order.
                var upTo = _chat.Head;
                any = false;
                var oldest = 0L;
                while (_turns.Reader.TryRead(out var turn))
                {
                    oldest = any ? oldest : turn.QueuedAt;
                    any = true;
                    if (turn is { Seat: { } joined, Own: null })
                    {
                        // Notes due at the other places are sent before the history of this one: a client resumes at the highest sequence
                        // it has seen, so no lower one may still be pending.
                        await foreach (var page in ForwardAsync(joined.EnteredAt, cancellationToken))
                        {
                            yield return page;
                        }
                    }

                    var extra = await TakeAsync(turn, cancellationToken);
                    if (!extra.IsEmpty)
                    {
                        yield return extra;
                    }

                    _turnsDone++;
                }

                await foreach (var page in ForwardAsync(upTo, cancellationToken))
                {
                    yield return page;
                }

                if (any)
                {
                    _chat.Delivered(oldest);
                }
            }
            while (any);
        }
    }

    /// <returns>The notes that arrive outside of the order.</returns>
    private ValueTask<ReadOnlyMemory<LoggedNote>> TakeAsync(Turn turn, CancellationToken cancellationToken) => turn switch
    {
        { Seat: null } => SkipToNews(),
        { Own: { } sequence } => AnswerAsync(turn.Seat.Location, sequence, cancellationToken),
        _ => JoinAsync(turn.Seat, cancellationToken),
    };

    /// <summary>Where the client listens: the notes since it left, or the newest.</summary>
    private async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> OpenAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // The stream is told of every note from here on only.
        await _chat.StartAsync(cancellationToken);
        _position = _join.After ?? _chat.Head;
        var sentAbove = _position;
        if (_join.After is null && _join.Listen.Count > 0)
        {
            var newest = await _chat.ReadBeforeAsync(_join.Listen, _position + 1, _options.HistoryPerPost, cancellationToken);
            if (!newest.IsEmpty)
            {
                sentAbove = newest.Span[0].Sequence - 1;
                yield return newest;
            }
        }

        foreach (var place in _join.Listen)
        {
            _joined[place] = (_position, sentAbove);
        }

        await foreach (var page in ForwardAsync(_chat.Head, cancellationToken))
        {
            yield return page;
        }
    }

    /// <summary>
    /// Moves the position to just before the first new note. The reader waits only when every note it was told of has been sent, so our
    /// places have no note in between, and the cache need not hold that range.
    /// </summary>
    private ValueTask<ReadOnlyMemory<LoggedNote>> SkipToNews()
    {
        var news = Interlocked.Exchange(ref _news, 0);
        _position = _isCurrent ? Math.Max(_position, news - 1) : _position;
        _isCurrent = false;
        return default;
    }

    /// <summary>
    /// Joins the place of a first post: returns the earlier notes there, up to the stream's position, which is not before the seat was
    /// taken. The stream is told of every later note, the post included, and those arrive in order.
    /// </summary>
    private async ValueTask<ReadOnlyMemory<LoggedNote>> JoinAsync(Seat seat, CancellationToken cancellationToken)
    {
        var history = await _chat.ReadBeforeAsync(seat.Location, _position + 1, _options.HistoryPerPost, cancellationToken);
        _joined[seat.Location] = (_position, history.IsEmpty ? _position : history.Span[0].Sequence - 1);
        return history;
    }

    /// <summary>
    /// An own post is in the log. It arrives in order, unless it repeats a note that is older than what this stream sends of its place.
    /// </summary>
    private async ValueTask<ReadOnlyMemory<LoggedNote>> AnswerAsync(Coordinate place, long own, CancellationToken cancellationToken)
    {
        _unanswered.Release();
        if (own > _joined[place].SentAbove)
        {
            return default;
        }

        var note = await _chat.ReadAfterAsync(place, own - 1, 1, cancellationToken);
        return note.IsEmpty || note.Span[0].Sequence != own ? default : note;
    }

    /// <summary>From the position on, all notes at the joined places up to a sequence.</summary>
    private async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> ForwardAsync(
        long upTo, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (_position < upTo)
        {
            var page = _joined.Count == 1
                ? await _chat.ReadAfterAsync(_joined.First().Key, _position, PageSize, cancellationToken)
                : await _chat.ReadAfterAsync(_joined.Keys, _position, PageSize, cancellationToken);
            page = page[..CountUpTo(page, upTo)];
            _position = page.Length < PageSize ? upTo : page.Span[^1].Sequence;
            var due = InOrder(page);
            if (!due.IsEmpty)
            {
                yield return due;
            }
        }
    }

    /// <summary>Without the notes that came with the joining of their place.</summary>
    private ReadOnlyMemory<LoggedNote> InOrder(ReadOnlyMemory<LoggedNote> page)
    {
        foreach (var note in page.Span)
        {
            if (note.Sequence <= _joined[note.Note.Location].InOrderAbove)
            {
                return page.ToArray().Where(each => each.Sequence > _joined[each.Note.Location].InOrderAbove).ToArray();
            }
        }

        return page;
    }

    private static int CountUpTo(ReadOnlyMemory<LoggedNote> page, long sequence)
    {
        var count = page.Length;
        while (count > 0 && page.Span[count - 1].Sequence > sequence)
        {
            count--;
        }

        return count;
    }
}
