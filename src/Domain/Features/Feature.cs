using RouteService.Domain.Geography;

namespace RouteService.Domain.Features;

/// <summary>A place on the map. There is at most one at a coordinate.</summary>
/// <param name="Location">Where it is.</param>
/// <param name="Name">Its name, any Unicode; empty for a place without one.</param>
public sealed record Feature(Coordinate Location, string Name);
