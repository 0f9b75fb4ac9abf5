using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Watch;

/// <summary>
/// The changes of features by any writer, in the order of their commits. Sequences ascend by one: a reader that has read up to a sequence
/// has seen every change that will ever have a lower one, and a missing sequence was removed. Every method throws
/// <see cref="StoreUnavailableException"/> while the store cannot answer.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public interface IChangeLog
{
    /// <summary>The highest sequence given so far; 0 for none.</summary>
    Task<long> ReadHeadAsync(CancellationToken cancellationToken);

    /// <summary>The first changes from a sequence on, in order.</summary>
    Task<IReadOnlyList<LoggedChange>> ReadFromAsync(long sequence, int limit, CancellationToken cancellationToken);

    /// <summary>The features at these places, in any order, as they are after every change that was read from the log before.</summary>
    Task<IReadOnlyList<CatalogFeature>> ReadFeaturesAsync(IReadOnlyCollection<Coordinate> places, CancellationToken cancellationToken);

    /// <summary>
    /// Removes the oldest changes, up to a limit: those above an age, by the clock that gave them their times, and those beyond a number
    /// that is kept. The last one stays.
    /// </summary>
    /// <returns>Number of changes removed.</returns>
    Task<int> RemoveAsync(TimeSpan age, long keep, int limit, CancellationToken cancellationToken);

    /// <summary>
    /// Yields an item at the beginning and whenever features may have changed. Items are hints: they may arrive late, without a change, or
    /// once for many changes.
    /// </summary>
    IAsyncEnumerable<bool> ListenAsync(CancellationToken cancellationToken);
}

/// <summary>Kinds of changes; the numbers are those of the logs.</summary>
public enum ChangeKind
{
    Created = 1,
    Updated = 2,
    Deleted = 3,

    /// <summary>Anything in a box may have changed.</summary>
    Reset = 4,
}

/// <summary>A change in the log.</summary>
/// <param name="Sequence">Position in the order of all changes, from 1.</param>
/// <param name="Kind">What has changed.</param>
/// <param name="Box">The box of a reset; else the point of the feature.</param>
/// <param name="Time">When it was committed, about.</param>
public readonly record struct LoggedChange(long Sequence, ChangeKind Kind, BoundingBox Box, DateTimeOffset Time)
{
    /// <summary>Where the feature is, unless this is a reset.</summary>
    public Coordinate Location => Box.SouthWest;
}
