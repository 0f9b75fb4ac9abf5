using System.Text.Json.Nodes;

namespace RouteService.Client;

/// <summary>Which features are found: those for which all that is set holds.</summary>
public sealed record FeatureFilter
{
    /// <summary>Where they are; null (default) for everywhere.</summary>
    public Area? Area { get; init; }

    /// <summary>
    /// What their name contains, without regard to case and accents: <c>odz</c> and <c>ÓDŹ</c> find <c>Łódź</c>. At most 256 characters;
    /// empty (default) for any name.
    /// </summary>
    public string Text { get; init; } = "";

    /// <summary>
    /// Members that their properties have, with equal values of the same kind: strings, numbers, booleans and null. A member that is null
    /// is not the same as one that is missing. Null (default) or empty for any properties.
    /// </summary>
    public JsonObject? Properties { get; init; }
}
