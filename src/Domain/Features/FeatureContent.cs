using RouteService.Domain.Geography;

namespace RouteService.Domain.Features;

/// <summary>A feature as files and imports have it: all of it but what the store gives it.</summary>
/// <param name="Location">Location of the feature.</param>
/// <param name="Name">Name, any Unicode; empty for a feature without a name.</param>
/// <param name="Properties">Its properties, which may be none.</param>
public sealed record FeatureContent(Coordinate Location, string Name, Properties Properties);
