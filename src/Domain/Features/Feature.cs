using RouteService.Domain.Geography;

namespace RouteService.Domain.Features;

/// <summary>A named location. There is at most one feature at a coordinate.</summary>
/// <param name="Location">Location of the feature.</param>
/// <param name="Name">Name, any Unicode; empty for a feature without a name.</param>
public sealed record Feature(Coordinate Location, string Name);
