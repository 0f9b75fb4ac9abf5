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
    /// at one location the last wins; it replaces one that the store has already, properties included. Writes of other features are held up
    /// only while the store is empty, or all others are removed, and in the embedded store while the import merges.
    /// </summary>
    /// <param name="features">Read once, to the end, at the store's pace.</param>
    /// <param name="import">How.</param>
    /// <param name="cancellationToken">Cancels the import, which then changes nothing.</param>
    /// <exception cref="InvalidValueException">The request's id is that of another request.</exception>
    ValueTask<ImportSummary> ImportAsync(
        IAsyncEnumerable<FeatureContent> features, FeatureImport import, CancellationToken cancellationToken);

    /// <summary>
    /// All features as they are at one moment, always in the same order. A connection is held until the sequence ends or is disposed of.
    /// Memory does not grow with the result.
    /// </summary>
    IAsyncEnumerable<FeatureContent> ReadAllAsync(CancellationToken cancellationToken);
}
