using System.Text.Json.Nodes;

namespace RouteService.Client;

/// <summary>A feature with all that the service keeps of it.</summary>
/// <param name="Location">Place of the feature, which identifies it: no two features are at the same place.</param>
/// <param name="Name">What people call it, as in <see cref="Feature"/>; empty for a feature without a name.</param>
/// <param name="Properties">
/// Anything else about it. Numbers are doubles. Null where they were not asked for; empty for a feature without properties. Each feature
/// has an object of its own, which its receiver may change.
/// </param>
/// <remarks>Two features are equal when all of their values are; properties are compared by <see cref="JsonNode.DeepEquals"/>.</remarks>
public sealed record CatalogFeature(Coordinate Location, string Name, JsonObject? Properties = null)
{
    /// <summary>
    /// The version of the feature. Every write makes another one, also when a feature is deleted and created again. Null in a feature that
    /// is not from the service.
    /// </summary>
    public string? Etag { get; init; }

    /// <summary>When the feature was created. Null in a feature that is not from the service.</summary>
    public DateTimeOffset? CreatedAt { get; init; }

    /// <summary>When the feature was last written. Null in a feature that is not from the service.</summary>
    public DateTimeOffset? UpdatedAt { get; init; }

    /// <inheritdoc/>
    public bool Equals(CatalogFeature? other) => other is not null
        && Location == other.Location
        && string.Equals(Name, other.Name, StringComparison.Ordinal)
        && string.Equals(Etag, other.Etag, StringComparison.Ordinal)
        && CreatedAt == other.CreatedAt
        && UpdatedAt == other.UpdatedAt
        && JsonNode.DeepEquals(Properties, other.Properties);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Location, Name, Etag);
}
