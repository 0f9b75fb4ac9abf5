using System.Runtime.CompilerServices;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>
/// The sequenced stream: each note comes at most once, own notes included, and those of all its locations come in one order of sequences,
/// so the highest sequence that a client has received says where to resume. One exception: a first post at a location joins it, and the
/// backlog there is sent outside of the order, before the post itself.
/// </summary>
internal sealed class SequencedStream : ChatStream
{
    private readonly ChatJoin _join;

    // Used by the reader only, as the fields below. For each joined location: the sequence above which notes are sent in order, and the
    // one above which notes have been sent at all.
    private readonly Dictionary<Coordinate, (long InOrderAbove, long SentAbove)> _joined = [];

    // All notes at the joined locations up to this sequence have been sent.
    private long _cursor;

    // Whether all notes of which the reader was notified have been sent.
    private bool _isLive;

    // The first note of which the feed has notified since the reader looked; 0 for none.
    private long _firstNew;

    public SequencedStream(
        ChatJoin join,
        NoteFeed feed,
        NoteWriter writer,
        ChatOptions options,
        TimeProvider clock,
        ChatMetrics metrics,
        Action onDispose)
        : base(feed, writer, options, clock, metrics, onDispose)
    {
        _join = join;

        // Subscribed before the reader looks at the end of the log: later notes must be notified.
        foreach (var location in join.Listen)
        {
            Subscribe(location);
        }
    }

    private protected override void OnNote(Subscription subscription, in LoggedNote note)
    {
        // Notes are notified in order, so the first since the reader last looked is the lowest.
        if (Interlocked.CompareExchange(ref _firstNew, note.Sequence, 0) == 0)
        {
            Enqueue(WorkKind.SendNew, subscription: null);
        }
    }

    private protected override void OnFirstPost(Subscription subscription) => Enqueue(WorkKind.Join, subscription);

    private protected override async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> ReadAsync(
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var page in OpenAsync(cancellationToken))
        {
            yield return page;
        }

        while (await Queue.WaitToReadAsync(cancellationToken))
        {
            int count;
            _isLive = true;
            do
            {
                // A location is joined before its first post is queued for the log. The head is therefore read before the work is taken:
                // every location with an own post up to that head is joined by then, and its notes are sent in order.
                var head = Feed.Head;
                count = 0;
                var oldest = 0L;
                while (Queue.TryRead(out var work))
                {
                    oldest = count++ == 0 ? work.QueuedAt : oldest;
                    if (work.Kind is WorkKind.Join)
                    {
                        // Notes due at the other locations are sent before the backlog of this one: a client resumes at the highest
                        // sequence it has received, so no lower one may still be due.
                        await foreach (var page in CatchUpAsync(work.Subscription!.Since, cancellationToken))
                        {
                            yield return page;
                        }
                    }

                    var outside = work.Kind switch
                    {
                        WorkKind.Join => await JoinAsync(work.Subscription!.Location, cancellationToken),
                        WorkKind.Answer => await AnswerAsync(work.Subscription!.Location, work.Sequence, cancellationToken),
                        _ => SkipToFirstNew(),
                    };
                    if (!outside.IsEmpty)
                    {
                        yield return outside;
                    }
                }

                await foreach (var page in CatchUpAsync(head, cancellationToken))
                {
                    yield return page;
                }

                if (count > 0)
                {
                    Done(count, oldest);
                }
            }
            while (count > 0);
        }
    }

    /// <summary>Sends the backlog where the client listens: the notes after the one it resumes at, or the newest.</summary>
    private async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> OpenAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // The feed notifies only of notes from here on.
        await Feed.CatchUpAsync(cancellationToken);
        _cursor = _join.After ?? Feed.Head;
        var sentAbove = _cursor;
        if (_join.After is null && _join.Listen.Count > 0)
        {
            var newest = await Feed.ReadBeforeAsync(_join.Listen, _cursor + 1, Options.HistoryPerPost, cancellationToken);
            if (!newest.IsEmpty)
            {
                sentAbove = newest.Span[0].Sequence - 1;
                yield return newest;
            }
        }

        foreach (var location in _join.Listen)
        {
            _joined[location] = (_cursor, sentAbove);
        }

        await foreach (var page in CatchUpAsync(Feed.Head, cancellationToken))
        {
            yield return page;
        }
    }

    /// <summary>Joins the location of a first post.</summary>
    /// <returns>
    /// The backlog there, up to the cursor, which is not before the subscription. The feed notifies of every later note, the post included,
    /// and those are sent in order.
    /// </returns>
    private async ValueTask<ReadOnlyMemory<LoggedNote>> JoinAsync(Coordinate location, CancellationToken cancellationToken)
    {
        var backlog = await Feed.ReadBeforeAsync(location, _cursor + 1, Options.HistoryPerPost, cancellationToken);
        _joined[location] = (_cursor, backlog.IsEmpty ? _cursor : backlog.Span[0].Sequence - 1);
        return backlog;
    }

    /// <summary>Acknowledges an own post by its note, which is sent in order.</summary>
    /// <returns>The note, if the post repeats one older than the backlog of its location; else none: the note is sent in order.</returns>
    private async ValueTask<ReadOnlyMemory<LoggedNote>> AnswerAsync(Coordinate location, long sequence, CancellationToken cancellationToken)
    {
        Answered();
        if (sequence > _joined[location].SentAbove)
        {
            return default;
        }

        var note = await Feed.ReadAfterAsync(location, sequence - 1, 1, cancellationToken);
        return note.IsEmpty || note.Span[0].Sequence != sequence ? default : note;
    }

    /// <summary>
    /// Moves the cursor to just before the first new note. A live stream has sent every note of which it was notified, so its locations
    /// have no note in between, and the cache need not reach back to the cursor.
    /// </summary>
    /// <returns>No note outside of the order.</returns>
    private ReadOnlyMemory<LoggedNote> SkipToFirstNew()
    {
        var firstNew = Interlocked.Exchange(ref _firstNew, 0);
        _cursor = _isLive ? Math.Max(_cursor, firstNew - 1) : _cursor;
        _isLive = false;
        return default;
    }

    /// <summary>Sends the notes after the cursor, up to a sequence.</summary>
    private async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> CatchUpAsync(
        long upTo, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (_cursor < upTo)
        {
            var page = _joined.Count == 1
                ? await Feed.ReadAfterAsync(_joined.First().Key, _cursor, PageSize, cancellationToken)
                : await Feed.ReadAfterAsync(_joined.Keys, _cursor, PageSize, cancellationToken);
            page = page[..CountUpTo(page, upTo)];
            _cursor = page.Length < PageSize ? upTo : page.Span[^1].Sequence;
            var due = InOrder(page);
            if (!due.IsEmpty)
            {
                yield return due;
            }
        }
    }

    /// <summary>Without the notes that were sent in the backlog of their location.</summary>
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
