using System.Diagnostics;
using System.Runtime.CompilerServices;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>
/// The stream as published: each post is answered with the earlier notes at its location, without itself. After its first post at a
/// location the stream is also sent what others post there, live.
/// </summary>
internal sealed class PublishedStream(
    NoteFeed feed, NoteWriter writer, ChatOptions options, TimeProvider clock, ChatMetrics metrics, Action onDispose)
    : ChatStream(feed, writer, options, clock, metrics, onDispose)
{
    private protected override Subscription CreateSubscription(Coordinate location) => new LocationCursor(this, location);

    private protected override void OnNote(Subscription subscription, in LoggedNote note)
    {
        if (note.Author != Id && ((LocationCursor)subscription).TryNotify())
        {
            Enqueue(WorkKind.SendNew, subscription);
        }
    }

    private protected override async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> ReadAsync(
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var work in Queue.ReadAllAsync(cancellationToken))
        {
            var at = (LocationCursor)work.Subscription!;
            if (work.Kind is WorkKind.SendNew)
            {
                at.TakeNotification();
            }

            // The output at a location follows the log: a note of another stream is sent itself, an own post is answered with the history
            // before it. Own posts are queued in order, so only notes of others lie before the next one.
            if (at.IsLive)
            {
                await foreach (var page in CatchUpAsync(at, cancellationToken))
                {
                    yield return page;
                }
            }

            if (work.Kind is WorkKind.Answer)
            {
                Debug.Assert(at.Cursor < work.Sequence, "Own posts come in order.");
                var history = await Feed.ReadBeforeAsync(at.Location, work.Sequence, Options.HistoryPerPost, cancellationToken);
                if (!history.IsEmpty)
                {
                    yield return history;
                }

                at.Cursor = work.Sequence;
                at.IsLive = true;
                Answered();

                // A notification before this answer has sent notes up to the own post only; those behind it are sent now.
                await foreach (var page in CatchUpAsync(at, cancellationToken))
                {
                    yield return page;
                }
            }

            Done(1, work.QueuedAt);
        }
    }

    /// <summary>The notes of others after the cursor, up to the next own post or the end.</summary>
    private async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> CatchUpAsync(
        LocationCursor at, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var page = await Feed.ReadAfterAsync(at.Location, at.Cursor, PageSize, cancellationToken);
            var others = 0;
            while (others < page.Length && page.Span[others].Author != Id)
            {
                others++;
            }

            if (others > 0)
            {
                at.Cursor = page.Span[others - 1].Sequence;
                yield return page[..others];
            }

            if (others < PageSize)
            {
                yield break;
            }
        }
    }

    /// <summary>The stream's cursor at a location.</summary>
    private sealed class LocationCursor(PublishedStream stream, Coordinate location) : StreamSubscription(stream, location)
    {
        private int _isNotified;

        /// <summary>The sequence up to which notes were sent. For the reader.</summary>
        public long Cursor { get; set; }

        /// <summary>Whether the first own post here is answered, so that notes of others are sent. For the reader.</summary>
        public bool IsLive { get; set; }

        /// <returns>False if a notification is queued already.</returns>
        public bool TryNotify() => Interlocked.Exchange(ref _isNotified, 1) == 0;

        /// <summary>Called before the reader looks at the log: later notes are notified again.</summary>
        public void TakeNotification() => Interlocked.Exchange(ref _isNotified, 0);
    }
}
