using System.Threading.Channels;

namespace RouteService.Domain.Chat;

/// <summary>
/// From the streams to the log. One loop takes what all streams have posted while it was away and commits it at once: under load a commit serves many, and a
/// lone post waits for nobody.
/// </summary>
public sealed partial class RouteChat
{
    // The most notes of one commit.
    private const int MaxBatch = 1_000;

    private readonly Channel<Post> _posts = Channel.CreateBounded<Post>(new BoundedChannelOptions(10_000)
    {
        SingleReader = true, // Only CommitAsync reads. Who posts beyond the bound waits, and so does its client.
    });

    private readonly Task _committing;

    /// <summary>Hands a note in. What one stream hands in is committed in its order, and then told to it.</summary>
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
                // It ends the streams whose notes these were, and not this loop. Whether they are kept is not known where the connection was lost.
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
