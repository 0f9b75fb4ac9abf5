using System.Globalization;
using System.Text;

namespace RouteService.Domain.Features;

/// <summary>
/// Folds text for searches that ignore case and accents: texts that differ only in these have the same fold. The table is our own, so the
/// fold is the same with all stores, cultures and versions of ICU, also in invariant mode, where .NET normalizes nothing.
/// eng/make-text-fold.py makes the table, and says how. Folding a fold changes nothing.
/// </summary>
public static partial class TextFold
{
    private const int FirstHangul = 0xAC00;
    private const int LastHangul = 0xD7A3;
    private const int PageBits = 8;

    private static readonly string?[]?[] Pages = ReadTable();

    public static string Fold(string text)
    {
        if (Ascii.IsValid(text))
        {
            return text.ToLowerInvariant();
        }

        var folded = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            int code = text[i];
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
            {
                code = char.ConvertToUtf32(text[i], text[++i]);
            }

            if (Pages[code >> PageBits]?[code & ((1 << PageBits) - 1)] is { } other)
            {
                folded.Append(other);
            }
            else if (code is >= FirstHangul and <= LastHangul)
            {
                AppendHangul(folded, code - FirstHangul);
            }
            else if (code > char.MaxValue)
            {
                folded.Append(text, i - 1, 2);
            }
            else
            {
                folded.Append((char)code);
            }
        }

        return folded.ToString();
    }

    /// <summary>Whether the fold of a text contains another fold.</summary>
    public static bool Contains(string text, string folded) => Ascii.IsValid(text)
        ? text.Contains(folded, StringComparison.OrdinalIgnoreCase)
        : Fold(text).Contains(folded, StringComparison.Ordinal);

    /// <summary>A syllable as its two or three letters (The Unicode Standard, 3.12: 21 vowels, 27 final consonants or none).</summary>
    private static void AppendHangul(StringBuilder folded, int syllable)
    {
        folded.Append((char)(0x1100 + (syllable / (21 * 28)))).Append((char)(0x1161 + (syllable % (21 * 28) / 28)));
        if (syllable % 28 is > 0 and var final)
        {
            folded.Append((char)(0x11A7 + final));
        }
    }

    /// <summary>The fold of each character, by pages; null for the character itself.</summary>
    private static string?[]?[] ReadTable()
    {
        var pages = new string?[(0x10FFFF >> PageBits) + 1][];
        foreach (var entry in Encoding.ASCII.GetString(Table).Replace('\n', ' ').Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            var sign = entry.AsSpan().IndexOfAny('=', '>');
            var step = entry.AsSpan(0, sign).EndsWith("/2") ? 2 : 1;
            var run = entry[..(step == 2 ? sign - 2 : sign)].Split('-');
            var (first, last) = (Hex(run[0]), Hex(run[^1]));
            var target = entry[(sign + 1)..];
            var same = entry[sign] == '='
                ? string.Concat(target.Split('+', StringSplitOptions.RemoveEmptyEntries).Select(Hex).Select(char.ConvertFromUtf32))
                : null;
            for (var code = first; code <= last; code += step)
            {
                var page = pages[code >> PageBits] ??= new string?[1 << PageBits];
                page[code & ((1 << PageBits) - 1)] = same ?? char.ConvertFromUtf32(Hex(target) + code - first);
            }
        }

        return pages;
    }

    private static int Hex(string digits) => int.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
