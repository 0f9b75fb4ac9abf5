namespace RouteService.Client;

/// <summary>A place that the service knows.</summary>
/// <param name="Location">Where it is. No two features are at the same place.</param>
/// <param name="Name">What it is called; empty for a feature without a name.</param>
public sealed record Feature(Coordinate Location, string Name);
