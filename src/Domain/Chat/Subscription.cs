using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>
/// A stream at one location. <see cref="NoteFeed"/> notifies it of every note there, and <see cref="NoteWriter"/> of the end of each of the
/// stream's posts there. Its methods return at once: a subscription records the event, and the stream's reader acts on it.
/// </summary>
internal abstract class Subscription(Coordinate location)
{
    public Coordinate Location => location;

    /// <summary>The sequence after which the feed notifies of every note.</summary>
    public long Since { get; set; }

    /// <summary>A note at the location is in the log. Called in the log's order.</summary>
    public abstract void OnNote(in LoggedNote note);

    /// <summary>The stream's next post is in the log, under this sequence.</summary>
    public abstract void OnCommitted(long sequence);

    /// <summary>The stream's next post has failed. Unless the error says more, it may be in the log or not.</summary>
    public abstract void OnFailed(Exception error);
}
