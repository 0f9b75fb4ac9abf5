using RouteService.Domain.Geography;

namespace RouteService.Domain.Features;

/// <summary>A feature with all that is kept of it; <see cref="Feature"/> is what the classic calls need.</summary>
public sealed record CatalogFeature(
    Coordinate Location, string Name, Properties Properties, Etag Etag, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    /// <summary>The characters of the name and of the properties, by which reads are bounded.</summary>
    public int Length => Name.Length + Properties.Json.Length;
}
