using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>Where notes are kept, in one order that everybody agrees on: the sequence numbers.</summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public interface INoteLog
{
    /// <summary>Accepts a note: when this returns it is kept, and every later read finds it.</summary>
    /// <param name="author">The stream that posts it.</param>
    /// <param name="note">The note.</param>
    /// <param name="cancellationToken">Gives up waiting; the note may be kept or not.</param>
    /// <returns>Its sequence number, higher than that of every note that could be read before.</returns>
    ValueTask<long> AppendAsync(Guid author, RouteNote note, CancellationToken cancellationToken);

    /// <summary>The first notes at a place with a sequence above <paramref name="after"/>, oldest first; empty where there are none.</summary>
    ValueTask<ReadOnlyMemory<LoggedNote>> ReadAfterAsync(Coordinate location, long after, int limit, CancellationToken cancellationToken);

    /// <summary>The newest notes at a place with a sequence below <paramref name="before"/>, oldest first; empty where there are none.</summary>
    ValueTask<ReadOnlyMemory<LoggedNote>> ReadBeforeAsync(Coordinate location, long before, int limit, CancellationToken cancellationToken);
}

/// <summary>A note that is kept.</summary>
/// <param name="Sequence">Its place in the order of all notes, from 1.</param>
/// <param name="Author">The stream that posted it.</param>
/// <param name="Note">The note.</param>
public readonly record struct LoggedNote(long Sequence, Guid Author, RouteNote Note);
