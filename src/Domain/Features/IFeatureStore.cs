using RouteService.Domain.Geography;

namespace RouteService.Domain.Features;

/// <summary>Stores features. Every method throws <see cref="StoreUnavailableException"/> while the store cannot answer.</summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public interface IFeatureStore
{
    /// <summary>The feature at exactly this location, or null.</summary>
    ValueTask<Feature?> FindAsync(Coordinate location, CancellationToken cancellationToken);

    /// <summary>Number of these locations with a feature, named or not; a repeated location counts each time.</summary>
    ValueTask<int> CountAtAsync(ReadOnlyMemory<Coordinate> locations, CancellationToken cancellationToken);

    /// <summary>
    /// Pages of every feature in the box, edges included, each feature once, in no promised order. No page is empty, and a page is valid
    /// until the next one is requested. Memory does not grow with the result, and a slow reader holds no connection. Features written
    /// meanwhile may or may not be seen. The cancellation token is checked for each page.
    /// </summary>
    IAsyncEnumerable<ReadOnlyMemory<Feature>> PagesInAreaAsync(BoundingBox area, CancellationToken cancellationToken);

    /// <summary>Number of features.</summary>
    ValueTask<long> CountAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Writes all of these features, or none if the sequence or the store fails; readers see the state before or after. Of several features
    /// at one location the last wins; it replaces one that the store has already.
    /// </summary>
    /// <param name="features">Read once, to the end, at the store's pace.</param>
    /// <param name="replace">True to remove all other features; false to keep them.</param>
    /// <param name="cancellationToken">Cancels the import, which then changes nothing.</param>
    ValueTask<ImportSummary> ImportAsync(IAsyncEnumerable<Feature> features, bool replace, CancellationToken cancellationToken);
}

/// <summary>Result of an import.</summary>
/// <param name="Read">Records read.</param>
/// <param name="Superseded">Records that a later record of the same import at the same location replaced.</param>
/// <param name="Overwritten">Earlier features that a record replaced; 0 if all earlier features were removed.</param>
/// <param name="Total">Features in the store afterwards.</param>
public sealed record ImportSummary(long Read, long Superseded, long Overwritten, long Total);
