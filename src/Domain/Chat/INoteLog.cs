using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>
/// Stores notes in one total order, their sequence numbers. A reader that has read up to a number has seen every note that will ever have a
/// lower one. Every method throws <see cref="StoreUnavailableException"/> while the log cannot answer.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public interface INoteLog
{
    /// <summary>Appends notes, all or none: when this returns they are kept, through a crash too.</summary>
    /// <param name="notes">At least one. One whose id is in the log already is not kept again.</param>
    /// <param name="cancellationToken">Stops waiting; the notes may be kept or not.</param>
    /// <returns>
    /// For each note: the note as it is kept, or the note that already has its id, which may be another one. New sequences ascend in this
    /// order, and are above all that were read before. The sequence 0 is that of a note that the store has dropped, by a rule of its owner.
    /// </returns>
    /// <exception cref="StoreUnavailableException">
    /// With <see cref="StoreFailure.Refused"/>, a value of one of the notes cannot be stored; none of them is kept.
    /// </exception>
    Task<IReadOnlyList<LoggedNote>> AppendAsync(IReadOnlyList<NewNote> notes, CancellationToken cancellationToken);

    /// <summary>The highest sequence number given so far; 0 for none.</summary>
    Task<long> ReadHeadAsync(CancellationToken cancellationToken);

    /// <summary>The first notes at all locations with a sequence above <paramref name="after"/>, in order.</summary>
    Task<IReadOnlyList<LoggedNote>> ReadAfterAsync(long after, int limit, CancellationToken cancellationToken);

    /// <summary>The first notes at any of these locations with a sequence above <paramref name="after"/>, in order.</summary>
    Task<IReadOnlyList<LoggedNote>> ReadAfterAsync(
        IReadOnlyCollection<Coordinate> locations, long after, int limit, CancellationToken cancellationToken);

    /// <summary>The newest notes at any of these locations with a sequence below <paramref name="before"/>, in order.</summary>
    Task<IReadOnlyList<LoggedNote>> ReadBeforeAsync(
        IReadOnlyCollection<Coordinate> locations, long before, int limit, CancellationToken cancellationToken);

    /// <summary>Removes the oldest notes above an age, by the clock that gave them their times, up to a limit.</summary>
    /// <returns>Number of notes removed.</returns>
    Task<int> RemoveAsync(TimeSpan age, int limit, CancellationToken cancellationToken);

    /// <summary>Returns when notes can be appended.</summary>
    Task CheckWritableAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Yields an item at the beginning and whenever others may have appended notes. Items are hints: they may arrive late, without a note,
    /// or once for many notes. Ends at once when no other process writes to the log.
    /// </summary>
    IAsyncEnumerable<bool> ListenAsync(CancellationToken cancellationToken);
}

/// <summary>A note to be appended.</summary>
/// <param name="Author">The stream that posts it.</param>
/// <param name="Note">The note.</param>
/// <param name="Id">The author's own name for the note, unique among all notes; null for none.</param>
public readonly record struct NewNote(Guid Author, RouteNote Note, string? Id);

/// <summary>A note in the log.</summary>
/// <param name="Sequence">Position in the order of all notes, from 1.</param>
/// <param name="Author">The stream that posted it.</param>
/// <param name="Note">The note.</param>
/// <param name="Id">The author's own name for the note; null for none.</param>
public readonly record struct LoggedNote(long Sequence, Guid Author, RouteNote Note, string? Id);
