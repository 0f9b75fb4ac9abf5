namespace RouteService.Client;

/// <summary>A feature that was found by its distance.</summary>
/// <param name="Feature">The feature.</param>
/// <param name="DistanceMeters">
/// Great-circle distance by the haversine formula on a sphere of 6 371 000 m, up to 0.56 % from that on the ellipsoid.
/// </param>
public sealed record NearFeature(CatalogFeature Feature, double DistanceMeters);
