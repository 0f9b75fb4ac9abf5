using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Text;
using System.Threading.Channels;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>
/// One stream of a client: posts go in, notes come out. Posts go to the <see cref="NoteWriter"/>. The kind of the stream,
/// <see cref="PublishedStream"/> or <see cref="SequencedStream"/>, decides which notes come out. Its reader takes work from a queue: posts
/// that were committed, and notifications of the <see cref="NoteFeed"/>. At one location notes come in the log's order.
/// </summary>
/// <threadsafety>One poster and one reader at a time; these two may run at once.</threadsafety>
[SuppressMessage("Naming", "CA1711", Justification = "A stream of messages, as gRPC has them, and not of bytes.")]
public abstract class ChatStream : IAsyncDisposable
{
    // Notes in a page.
    private protected const int PageSize = 256;

    private readonly NoteWriter _writer;
    private readonly TimeProvider _clock;
    private readonly ChatMetrics _metrics;
    private readonly Action _onDispose;
    private readonly SemaphoreSlim _unanswered;

    // Used by the poster only.
    private readonly Dictionary<Coordinate, Subscription> _subscriptions = [];

    // The reader's queue. It is bounded although the channel is not: _unanswered bounds the own posts, and a notification is queued only
    // once until the reader takes it.
    private readonly Channel<Work> _work = Channel.CreateUnbounded<Work>(new UnboundedChannelOptions
    {
        SingleReader = true, // Only ReadAllAsync reads.
    });

    private readonly SlowConsumerLimit _limit;

    // Uncommitted posts, plus one while the poster is active. Reaching zero completes the queue.
    private int _uncommitted = 1;
    private Exception? _error;

    private protected ChatStream(
        NoteFeed feed, NoteWriter writer, ChatOptions options, TimeProvider clock, ChatMetrics metrics, Action onDispose)
    {
        Feed = feed;
        Options = options;
        _writer = writer;
        _clock = clock;
        _metrics = metrics;
        _onDispose = onDispose;
        _unanswered = new SemaphoreSlim(options.MaxUnansweredPosts);
        _limit = new SlowConsumerLimit(options, clock, metrics);
    }

    /// <summary>The author of this stream's notes in the log.</summary>
    private protected Guid Id { get; } = Guid.NewGuid();

    private protected NoteFeed Feed { get; }

    private protected ChatOptions Options { get; }

    private protected ChannelReader<Work> Queue => _work.Reader;

    /// <summary>
    /// Posts a note. It is durable once its answer (or, in a sequenced stream, the note itself) is emitted. Waits while too many earlier
    /// posts are unanswered.
    /// </summary>
    /// <param name="note">The note.</param>
    /// <param name="id">
    /// The author's own name for the note, unique among all notes (<see cref="NoteId"/>). Another note with the same id ends the stream
    /// with <see cref="NoteIdTakenException"/>. Null for none.
    /// </param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="ChatLimitException">The note or its id is too long, or the stream is at too many locations.</exception>
    public async ValueTask PostAsync(RouteNote note, string? id, CancellationToken cancellationToken)
    {
        Check(note, id);
        await _unanswered.WaitAsync(cancellationToken);
        if (!_subscriptions.TryGetValue(note.Location, out var subscription))
        {
            // Subscribed before the note is kept: later notes of others must be notified.
            subscription = Subscribe(note.Location);
            OnFirstPost(subscription);
        }

        Interlocked.Increment(ref _uncommitted);
        try
        {
            await _writer.PostAsync(new Post(subscription, new NewNote(Id, note, id)), cancellationToken);
        }
        catch
        {
            Release(error: null);
            throw;
        }
    }

    /// <summary>Ends the posts. Pending output is still emitted; then the stream ends, with this error if one is given.</summary>
    public void Complete(Exception? error = null) => Release(error);

    /// <summary>The notes to send to the client, in pages, until <see cref="Complete"/>.</summary>
    /// <exception cref="ChatLimitException">The reader is a slow consumer.</exception>
    /// <exception cref="NoteIdTakenException">A post has the id of another note.</exception>
    /// <exception cref="StoreUnavailableException">The log cannot answer; unanswered posts may be kept or lost.</exception>
    public async IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var page in ReadAsync(cancellationToken))
        {
            yield return page;

            _limit.Check();
        }
    }

    /// <summary>Waits until a message has been written to a client that is not reading.</summary>
    /// <exception cref="ChatLimitException">The reader is a slow consumer.</exception>
    public Task WaitForClientAsync(Task write) => _limit.WaitAsync(write);

    public ValueTask DisposeAsync()
    {
        _work.Writer.TryComplete();
        foreach (var subscription in _subscriptions.Values)
        {
            Feed.Unsubscribe(subscription);
        }

        _onDispose();
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    /// <summary>The reader: takes the work from the queue, and emits the notes that are due.</summary>
    private protected abstract IAsyncEnumerable<ReadOnlyMemory<LoggedNote>> ReadAsync(CancellationToken cancellationToken);

    /// <summary>A note at a subscribed location is in the log. Called in the log's order; returns at once.</summary>
    private protected abstract void OnNote(Subscription subscription, in LoggedNote note);

    /// <summary>The stream makes its first post at a location where it is not subscribed yet.</summary>
    private protected virtual void OnFirstPost(Subscription subscription)
    {
    }

    private protected virtual Subscription CreateSubscription(Coordinate location) => new StreamSubscription(this, location);

    private protected Subscription Subscribe(Coordinate location)
    {
        var subscription = CreateSubscription(location);
        Feed.Subscribe(subscription);
        _subscriptions.Add(location, subscription);
        return subscription;
    }

    private protected void Enqueue(WorkKind kind, Subscription? subscription, long sequence = 0)
    {
        _limit.Queued();
        _work.Writer.TryWrite(new Work(kind, subscription, sequence, _clock.GetTimestamp()));
    }

    /// <summary>Records that the reader has done pieces of work, the first of which was queued at this timestamp.</summary>
    private protected void Done(int count, long queuedAt)
    {
        _limit.Done(count);
        _metrics.Delivered(_clock.GetElapsedTime(queuedAt));
    }

    /// <summary>A post is answered, which makes room for another.</summary>
    private protected void Answered() => _unanswered.Release();

    private void Release(Exception? error)
    {
        if (error is not null)
        {
            Interlocked.CompareExchange(ref _error, error, null);
        }

        if (Interlocked.Decrement(ref _uncommitted) == 0)
        {
            _work.Writer.TryComplete(_error);
        }
    }

    private void Check(RouteNote note, string? id)
    {
        if (Encoding.UTF8.GetByteCount(note.Message) is var bytes && bytes > Options.MaxMessageBytes)
        {
            throw new ChatLimitException(ChatLimit.MessageBytes, bytes, Options.MaxMessageBytes);
        }

        NoteId.CheckLength(id);
        if (_subscriptions.Count >= Options.MaxLocationsPerStream && !_subscriptions.ContainsKey(note.Location))
        {
            throw new ChatLimitException(ChatLimit.LocationsPerStream, _subscriptions.Count + 1, Options.MaxLocationsPerStream);
        }
    }

    /// <summary>Kinds of work for the reader.</summary>
    private protected enum WorkKind
    {
        /// <summary>Send the notes that have come: those at the subscription's location, or at all of a sequenced stream.</summary>
        SendNew,

        /// <summary>Answer an own post, which is in the log under the work's sequence.</summary>
        Answer,

        /// <summary>Sequenced only: send the backlog of a location that a first post joins.</summary>
        Join,
    }

    /// <summary>A piece of work for the reader, and the clock's timestamp when it was queued.</summary>
    private protected readonly record struct Work(WorkKind Kind, Subscription? Subscription, long Sequence, long QueuedAt);

    /// <summary>A subscription that queues an answer for each post that was committed, and ends the stream when one fails.</summary>
    private protected class StreamSubscription(ChatStream stream, Coordinate location) : Subscription(location)
    {
        public override void OnNote(in LoggedNote note) => stream.OnNote(this, note);

        public override void OnCommitted(long sequence)
        {
            stream.Enqueue(WorkKind.Answer, this, sequence);
            stream.Release(error: null);
        }

        public override void OnFailed(Exception error)
        {
            // The client may be waiting for this answer, so the stream ends after the answers before it.
            stream._work.Writer.TryComplete(StoreUnavailableException.ForOneOfMany(error));
            stream.Release(error: null);
        }
    }
}
