namespace RouteService.Domain.Features;

/// <summary>Text that every store keeps as it is: PostgreSQL has no U+0000, and UTF-8 no unpaired surrogates.</summary>
public static class StorableText
{
    /// <summary>The fault and what is expected, as text to follow "has"; null for text that can be stored.</summary>
    public static string? Fault(ReadOnlySpan<char> text)
    {
        if (text.IndexOf('\0') is var index and >= 0)
        {
            return FormattableString.Invariant($"the character U+0000 at index {index}; expected text without it");
        }

        for (var rest = text; rest.IndexOfAnyInRange('\uD800', '\uDFFF') is var surrogate and >= 0;)
        {
            if (System.Text.Rune.DecodeFromUtf16(rest[surrogate..], out _, out var length) != System.Buffers.OperationStatus.Done)
            {
                return "an unpaired surrogate; expected Unicode";
            }

            rest = rest[(surrogate + length)..];
        }

        return null;
    }
}
