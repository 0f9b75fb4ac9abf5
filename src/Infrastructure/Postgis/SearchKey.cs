using System.Text;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Keys of the index of texts. The key of a fold is what search_key of migrations/0008_search.sql makes of a name with that fold, character
/// by character: a name that contains a text, both folded, has a key that contains the key of the text.
/// </summary>
internal static class SearchKey
{
    // From here on a character takes three letters or digits: ideographs, of which one says as much as three letters do.
    private const int FirstLong = 0x2E80;

    private const string Digits = "0123456789abcdefghijklmnopqrstuvwxyz";

    // Trigrams are of letters and digits.
    private const int Trigram = 3;

    // Each further trigram is another list that the index reads.
    private const int MaxPattern = 32;

    public static string Of(string folded)
    {
        var key = new StringBuilder(folded.Length);
        foreach (var rune in folded.EnumerateRunes())
        {
            var code = rune.Value;
            _ = code switch
            {
                <= sbyte.MaxValue => key.Append((char)code),
                < FirstLong => key.Append((char)('a' + (code % 26))),
                _ => key.Append(Digits[code / 1_296 % 36]).Append(Digits[code / 36 % 36]).Append(Digits[code % 36]),
            };
        }

        return key.ToString();
    }

    /// <summary>A pattern of LIKE for the keys of names that contain a text; null where its key has no trigram.</summary>
    public static string? Pattern(string folded)
    {
        var key = Of(folded);
        var length = 0;
        for (var i = 0; i < key.Length; i++)
        {
            length = char.IsAsciiLetterOrDigit(key[i]) ? length + 1 : 0;
            if (length == Trigram)
            {
                var first = i + 1 - Trigram;
                var part = key.Substring(first, Math.Min(MaxPattern, key.Length - first));
                return $"%{part.Replace("\\", "\\\\", StringComparison.Ordinal)
                    .Replace("%", "\\%", StringComparison.Ordinal).Replace("_", "\\_", StringComparison.Ordinal)}%";
            }
        }

        return null;
    }
}
