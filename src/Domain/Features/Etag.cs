using System.Globalization;

namespace RouteService.Domain.Features;

/// <summary>
/// A version of a feature, by the revision that the store gave the write: no two writes have the same, nor what is created where another
/// was deleted. As text it is in quotes, as RFC 9110 has entity tags: <c>"1f"</c>. Opaque to callers.
/// </summary>
public readonly record struct Etag(long Revision)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"\"{Revision:x}\"");

    /// <returns>False where no version has this text, so that it is not the current one of any feature.</returns>
    public static bool TryParse(string text, out Etag etag)
    {
        // The round trip refuses all that long.Parse takes and an etag does not have.
        var isNumber = long.TryParse(text.Trim('"'), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var revision);
        etag = isNumber ? new Etag(revision) : default;
        return isNumber && string.Equals(etag.ToString(), text, StringComparison.Ordinal);
    }
}
