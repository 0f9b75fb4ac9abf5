namespace RouteService.Client;

/// <summary>A place that the service knows.</summary>
/// <param name="Location">Place of the feature. No two features are at the same place.</param>
/// <param name="Name">Name; empty for a feature without a name.</param>
public sealed record Feature(Coordinate Location, string Name);
