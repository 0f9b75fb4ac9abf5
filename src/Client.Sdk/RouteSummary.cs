namespace RouteService.Client;

/// <summary>Summary of a recorded route.</summary>
/// <param name="Points">Number of points received.</param>
/// <param name="Features">Number of points at which there is a feature, named or not.</param>
/// <param name="DistanceMeters">
/// Length of the route in metres: the sum of the great-circle distances between neighbouring points on a sphere of 6 371 km. Exact if the
/// service sends its exact number, otherwise whole metres.
/// </param>
/// <param name="Elapsed">Time from when the service was ready for the first point to the last point, in whole seconds.</param>
public sealed record RouteSummary(int Points, int Features, double DistanceMeters, TimeSpan Elapsed);
