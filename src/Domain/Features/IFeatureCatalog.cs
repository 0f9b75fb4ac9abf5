using RouteService.Domain.Geography;

namespace RouteService.Domain.Features;

/// <summary>
/// The features with all that is kept of them, and single writes to them. The features are those of <see cref="IFeatureStore"/>. Every
/// method throws <see cref="StoreUnavailableException"/> while the store cannot answer.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public interface IFeatureCatalog
{
    /// <summary>The feature at exactly this place, or null.</summary>
    ValueTask<CatalogFeature?> GetAsync(Coordinate location, CancellationToken cancellationToken);

    /// <summary>The first features of boxes in the order of <see cref="ZOrder"/>; fewer than the limit where there are no more.</summary>
    /// <param name="boxes">One or more, disjoint.</param>
    /// <param name="from">The code to begin with.</param>
    /// <param name="limit">The most features, at least 1.</param>
    /// <param name="withProperties">Whether they have their properties; else they have none.</param>
    /// <param name="cancellationToken">Ends the read.</param>
    Task<IReadOnlyList<CatalogFeature>> ReadAsync(
        IReadOnlyList<BoundingBox> boxes, long from, int limit, bool withProperties, CancellationToken cancellationToken);

    /// <summary>
    /// The radius in metres, at most <see cref="Circle.MaxRadiusMeters"/>, of the first circle in which a search looks for the nearest. A
    /// good one has the features that are wanted and few others.
    /// </summary>
    /// <param name="near">The center.</param>
    /// <param name="count">The number of features that are wanted, at least 1.</param>
    /// <param name="cancellationToken">Ends the read.</param>
    Task<double> NearestRadiusAsync(Coordinate near, int count, CancellationToken cancellationToken);

    /// <summary>
    /// Makes all changes or none. A write whose request was made before changes nothing; its outcome is the features as they are now.
    /// </summary>
    /// <returns>The features afterwards, in the order of the changes; null where there is none.</returns>
    /// <exception cref="FeatureConflictException">The first change that does not fit what is there.</exception>
    /// <exception cref="InvalidValueException">The request's id is that of another write.</exception>
    Task<IReadOnlyList<CatalogFeature?>> WriteAsync(FeatureWrite write, CancellationToken cancellationToken);
}
