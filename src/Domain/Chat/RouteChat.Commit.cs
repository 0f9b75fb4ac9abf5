using System.Threading.Channels;

namespace RouteService.Domain.Chat;

/// <summary>
/// From the streams to the log. One loop commits everything that all streams have posted since its last commit as one batch: under load a
/// commit serves many posts, and a single post is committed immediately.
/// </summary>
public sealed partial class RouteChat
{
    // The most notes of one commit.
    private const int MaxBatch = 1_000;

    private readonly Channel<Post> _posts = Channel.CreateBounded<Post>(new BoundedChannelOptions(10_000)
    {
        SingleReader = true, // Only CommitAsync reads. Posts beyond the bound wait, which is the backpressure on clients.
    });

    private readonly Task _committing;

    /// <summary>Queues a note for commit. Notes of one stream are committed in their order; the stream is told after that.</summary>
    internal ValueTask PostAsync(Post post, CancellationToken cancellationToken) => _posts.Writer.WriteAsync(post, cancellationToken);

    private async Task CommitAsync()
    {
        var batch = new List<Post>();
        while (await _posts.Reader.WaitToReadAsync())
        {
            batch.Clear();
            while (batch.Count < MaxBatch && _posts.Reader.TryRead(out var post))
            {
                batch.Add(post);
            }

            try
            {
                var started = _clock.GetTimestamp();
                var notes = batch.ConvertAll(static post => post.Note);
                var sequences = await _log.AppendAsync(notes, CancellationToken.None);
                await AdvanceAsync(notes, sequences);
                _metrics.Committed(batch.Count, _clock.GetElapsedTime(started));
                for (var i = 0; i < batch.Count; i++)
                {
                    batch[i].Session.Committed(batch[i].Seat, sequences[i]);
                }
            }
            catch (Exception e)
            {
                // The error ends the streams of these notes, not this loop. After a lost connection the notes may be kept or not.
                foreach (var post in batch)
                {
                    post.Session.Failed(e);
                }
            }
        }
    }
}

/// <summary>A note on its way to the log.</summary>
internal readonly record struct Post(ChatSession Session, Seat Seat, NewNote Note);
