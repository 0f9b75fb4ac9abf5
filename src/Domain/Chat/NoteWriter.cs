using System.Threading.Channels;
using RouteService.Domain.Features;

namespace RouteService.Domain.Chat;

/// <summary>
/// Writes posts to the log. One loop commits everything that all streams have posted since its last commit as one batch: under load a
/// commit serves many posts, and a single post is committed immediately.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public sealed class NoteWriter : IAsyncDisposable
{
    // Limit of the notes in one commit.
    private const int MaxBatch = 1_000;

    private readonly INoteLog _log;
    private readonly NoteFeed _feed;
    private readonly ChatOptions _options;
    private readonly TimeProvider _clock;
    private readonly ChatMetrics _metrics;
    private readonly Channel<Post> _posts = Channel.CreateBounded<Post>(new BoundedChannelOptions(10_000)
    {
        SingleReader = true, // Only RunAsync reads. Posts beyond the capacity wait, which is the backpressure on clients.
    });

    private readonly Task _running;

    /// <summary>Starts the loop.</summary>
    public NoteWriter(INoteLog log, NoteFeed feed, ChatOptions options, TimeProvider clock, ChatMetrics metrics)
    {
        _log = log;
        _feed = feed;
        _options = options;
        _clock = clock;
        _metrics = metrics;
        _running = Task.Run(RunAsync);
    }

    /// <summary>Removes the notes that have reached the age limit, in small batches.</summary>
    /// <returns>Number of notes removed.</returns>
    /// <exception cref="StoreUnavailableException">The log cannot answer.</exception>
    public async Task<int> RemoveOldAsync(CancellationToken cancellationToken)
    {
        const int BatchSize = 1_000;
        var removed = 0;
        int batch;
        do
        {
            batch = await _log.RemoveAsync(TimeSpan.FromDays(_options.KeepDays), BatchSize, cancellationToken);
            removed += batch;
        }
        while (batch == BatchSize);
        return removed;
    }

    /// <summary>Commits the posts that are queued, then ends the loop.</summary>
    public async ValueTask DisposeAsync()
    {
        _posts.Writer.TryComplete();
        await _running;
    }

    /// <summary>Queues a post. The posts of one stream are committed, and answered, in their order.</summary>
    internal ValueTask PostAsync(Post post, CancellationToken cancellationToken) => _posts.Writer.WriteAsync(post, cancellationToken);

    private async Task RunAsync()
    {
        var batch = new List<Post>();
        while (await _posts.Reader.WaitToReadAsync())
        {
            batch.Clear();
            while (batch.Count < MaxBatch && _posts.Reader.TryRead(out var post))
            {
                batch.Add(post);
            }

            await CommitAsync(batch);
        }
    }

    /// <summary>Commits a batch, and reports the result to each post's stream. Does not throw.</summary>
    private async Task CommitAsync(List<Post> batch)
    {
        IReadOnlyList<LoggedNote>? kept = null;
        try
        {
            var started = _clock.GetTimestamp();
            kept = await _log.AppendAsync(batch.ConvertAll(static post => post.Note), CancellationToken.None);
            await _feed.AdvanceAsync(kept);
            _metrics.Committed(batch.Count, _clock.GetElapsedTime(started));
            for (var i = 0; i < batch.Count; i++)
            {
                Answer(batch[i], kept[i]);
            }
        }
        catch (StoreUnavailableException e) when (e.Failure is StoreFailure.Refused && kept is null && batch.Count > 1)
        {
            // The store refuses a value of one of the notes, and does not say which. It has kept none of them. In halves, and halves of
            // these, only that note fails.
            await CommitAsync(batch[..(batch.Count / 2)]);
            await CommitAsync(batch[(batch.Count / 2)..]);
        }
        catch (Exception e)
        {
            // The error ends the streams of these posts, not this loop. After a lost connection the notes may be kept or not.
            foreach (var post in batch)
            {
                post.Subscription.OnFailed(e);
            }
        }
    }

    private static void Answer(Post post, LoggedNote kept)
    {
        if (kept.Sequence == 0)
        {
            post.Subscription.OnFailed(new StoreUnavailableException(
                "The store drops this note: a trigger of its owner, or its age, does not let it be kept.", StoreFailure.Refused));
        }
        else if (NoteId.Refusal(post.Note.Note, kept) is { } refusal)
        {
            post.Subscription.OnFailed(refusal);
        }
        else
        {
            post.Subscription.OnCommitted(kept.Sequence);
        }
    }
}

/// <summary>A note on its way to the log.</summary>
/// <param name="Subscription">The subscription of its stream at its location.</param>
/// <param name="Note">The note.</param>
internal readonly record struct Post(Subscription Subscription, NewNote Note);
