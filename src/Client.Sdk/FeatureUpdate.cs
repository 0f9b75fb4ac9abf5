using System.Text.Json.Nodes;

namespace RouteService.Client;

/// <summary>A feature of <see cref="IFeatureCatalog.BatchPutFeaturesAsync"/>.</summary>
/// <param name="Location">Place of the feature.</param>
/// <param name="Name">Its name; null leaves the name that it has.</param>
/// <param name="Properties">Its properties, all of them; null leaves those that it has.</param>
/// <param name="Etag">The version that the feature must have; null for any, or none.</param>
public sealed record FeatureUpdate(Coordinate Location, string? Name, JsonObject? Properties = null, string? Etag = null);

/// <summary>A feature of <see cref="IFeatureCatalog.BatchDeleteFeaturesAsync"/>.</summary>
/// <param name="Location">Place of the feature.</param>
/// <param name="Etag">The version that the feature must have; null for any.</param>
public sealed record FeatureDeletion(Coordinate Location, string? Etag = null);
