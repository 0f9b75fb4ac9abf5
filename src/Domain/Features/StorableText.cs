namespace RouteService.Domain.Features;

/// <summary>Text that every store keeps as it is: PostgreSQL has no U+0000, and UTF-8 no unpaired surrogates.</summary>
internal static class StorableText
{
    /// <summary>What is wrong and what is expected, to follow "has"; null where nothing is.</summary>
    public static string? Fault(ReadOnlySpan<char> text)
    {
        if (text.Contains('\0'))
        {
            return "the character U+0000; expected text without it";
        }

        for (var rest = text; !rest.IsEmpty;)
        {
            if (System.Text.Rune.DecodeFromUtf16(rest, out _, out var length) != System.Buffers.OperationStatus.Done)
            {
                return "an unpaired surrogate; expected Unicode";
            }

            rest = rest[length..];
        }

        return null;
    }
}
