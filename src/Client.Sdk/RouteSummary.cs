namespace RouteService.Client;

/// <summary>What a route was.</summary>
/// <param name="Points">Points received.</param>
/// <param name="Features">Points at which there is a feature, named or not.</param>
/// <param name="DistanceMeters">
/// Metres along the route, the sum of the great-circle distances between neighbours on a sphere of 6 371 km. Exact where the service sends its exact number,
/// otherwise whole metres.
/// </param>
/// <param name="Elapsed">From when the service was ready for the first point to the last one, in whole seconds.</param>
public sealed record RouteSummary(int Points, int Features, double DistanceMeters, TimeSpan Elapsed);
