using System.Globalization;

namespace RouteService.Domain.Features;

/// <summary>
/// A version of a feature: the revision that the store gave its last write. No two writes have the same revision, also if a feature is
/// deleted and created again. As text it is in quotes, like the entity tags of RFC 9110: <c>"1f"</c>. Opaque to callers.
/// </summary>
public readonly record struct Etag(long Revision)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"\"{Revision:x}\"");

    /// <returns>False if no version has this text.</returns>
    public static bool TryParse(string text, out Etag etag)
    {
        // The round trip refuses text that long.Parse accepts and no etag has.
        var isNumber = long.TryParse(text.Trim('"'), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var revision);
        etag = isNumber ? new Etag(revision) : default;
        return isNumber && string.Equals(etag.ToString(), text, StringComparison.Ordinal);
    }
}
