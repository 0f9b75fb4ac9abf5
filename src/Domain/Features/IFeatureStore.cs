using RouteService.Domain.Geography;

namespace RouteService.Domain.Features;

/// <summary>Where features are kept. Every method throws <see cref="StoreUnavailableException"/> while the store cannot answer.</summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public interface IFeatureStore
{
    /// <summary>The feature at exactly this place, or null.</summary>
    ValueTask<Feature?> FindAsync(Coordinate location, CancellationToken cancellationToken);

    /// <summary>How many of these places have a feature, named or not; a place that comes twice counts twice.</summary>
    ValueTask<int> CountAtAsync(ReadOnlyMemory<Coordinate> locations, CancellationToken cancellationToken);

    /// <summary>
    /// Pages of every feature in the box, edges included, each feature once, in no promised order. No page is empty, and a page is valid
    /// until the next one is requested. Memory does not grow with the result, and a slow reader holds no connection. Features written
    /// meanwhile may or may not be seen. The cancellation token is checked for each page.
    /// </summary>
    IAsyncEnumerable<ReadOnlyMemory<Feature>> PagesInAreaAsync(BoundingBox area, CancellationToken cancellationToken);

    /// <summary>How many features there are.</summary>
    ValueTask<long> CountAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Writes all of these features or, where the sequence or the store fails, none; readers see the state before or after. Of two features
    /// at one place, here or there already, the later wins.
    /// </summary>
    /// <param name="features">Read once, to the end, at the store's pace.</param>
    /// <param name="replace">True to remove what was there before; false to add to it.</param>
    /// <param name="cancellationToken">Leaves the state before.</param>
    ValueTask<ImportSummary> ImportAsync(IAsyncEnumerable<Feature> features, bool replace, CancellationToken cancellationToken);
}

/// <summary>What an import did.</summary>
/// <param name="Read">Records read.</param>
/// <param name="Superseded">Records that a later record of the same import replaced, being at the same place.</param>
/// <param name="Overwritten">Features that were there before and have a new record now; 0 when all were replaced.</param>
/// <param name="Total">Features in the store afterwards.</param>
public sealed record ImportSummary(long Read, long Superseded, long Overwritten, long Total);
