namespace RouteService.Api.Errors;

/// <summary>The request is invalid; the same request fails again.</summary>
/// <param name="field">The path of the field, such as "lo.latitude".</param>
/// <param name="description">A sentence that names the field, what is wrong, and what is expected.</param>
internal sealed class InvalidRequestException(string field, string description) : Exception(description)
{
    // A status is sent in headers, which clients limit to some kilobytes for the whole call.
    private const int MaxQuoted = 100;

    public string Field { get; } = field;

    /// <summary>A caller's text in quotes for a message, shortened where it is long.</summary>
    public static string Quote(string text) => text.Length <= MaxQuoted
        ? $"'{text}'"
        : $"'{text[..(char.IsHighSurrogate(text[MaxQuoted - 1]) ? MaxQuoted - 1 : MaxQuoted)]}…' ({text.Length} characters)";
}
