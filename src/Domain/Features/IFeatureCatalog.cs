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

    /// <summary>The first features of boxes in the order of <see cref="ZOrder"/>.</summary>
    /// <param name="boxes">One or more, disjoint.</param>
    /// <param name="from">The code to begin with.</param>
    /// <param name="limit">The most features, at least 1. Long properties end the read earlier.</param>
    /// <param name="withProperties">Whether they have their properties; else they have none.</param>
    /// <param name="cancellationToken">Ends the read.</param>
    Task<CatalogPage> ReadAsync(
        IReadOnlyList<BoundingBox> boxes, long from, int limit, bool withProperties, CancellationToken cancellationToken);

    /// <summary>
    /// Features around a place, as many as suffice for a search of the nearest, if the store finds them faster than those of boxes.
    /// </summary>
    /// <param name="near">The place.</param>
    /// <param name="count">Number of features that the search returns, at least 1.</param>
    /// <param name="withProperties">As for <see cref="ReadAsync"/>.</param>
    /// <param name="cancellationToken">Ends the read.</param>
    Task<NearbyFeatures> ReadNearbyAsync(Coordinate near, int count, bool withProperties, CancellationToken cancellationToken);

    /// <summary>
    /// The features that may match a filter's text and properties, if an index finds them and they are few. No match is missing.
    /// </summary>
    /// <param name="filter">Asks for a text or properties; candidates outside of its area's boxes may be left out.</param>
    /// <param name="limit">The most candidates, at least 1.</param>
    /// <param name="withProperties">As for <see cref="ReadAsync"/>.</param>
    /// <param name="cancellationToken">Ends the search.</param>
    /// <returns>In any order. Null: there may be more, also elsewhere, they are long, or no index serves the filter.</returns>
    Task<IReadOnlyList<CatalogFeature>?> FindAsync(
        FeatureFilter filter, int limit, bool withProperties, CancellationToken cancellationToken);

    /// <summary>
    /// Makes all changes or none. A write whose request was made before changes nothing; its outcome is the features as they are now.
    /// </summary>
    /// <returns>The features afterwards, in the order of the changes; null where there is none.</returns>
    /// <exception cref="FeatureConflictException">The first change that does not fit what is there.</exception>
    /// <exception cref="InvalidValueException">The request's id is that of another write.</exception>
    Task<IReadOnlyList<CatalogFeature?>> WriteAsync(FeatureWrite write, CancellationToken cancellationToken);
}

/// <summary>Features in the order of codes.</summary>
/// <param name="Features">
/// Fewer than were asked for, or none, also where the store has passed many others that are in no box, and where their properties are long.
/// </param>
/// <param name="GoesOnAfter">The place after which there may be more; null where there are none.</param>
public sealed record CatalogPage(IReadOnlyList<CatalogFeature> Features, Coordinate? GoesOnAfter)
{
    /// <summary>
    /// The sum of <see cref="CatalogFeature.Length"/> at which a store ends a read: some thousand features, or 64 with properties of the
    /// most bytes.
    /// </summary>
    public const int MaxLength = 4 * 1024 * 1024;

    /// <summary>Features, in the boxes or not, after which a store ends a read.</summary>
    public const int MaxPassed = 20_000;
}

/// <summary>Features around a place.</summary>
/// <param name="Features">In any order.</param>
/// <param name="Meters">
/// They have all that are at most so far away: <see cref="Circle.MaxRadiusMeters"/> where they are all, less than 0 where any may be
/// missing.
/// </param>
public sealed record NearbyFeatures(IReadOnlyList<CatalogFeature> Features, double Meters);
