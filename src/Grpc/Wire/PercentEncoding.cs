using System.Buffers;
using System.Text;

namespace Grpc.Wire;

/// <summary>
/// The text of grpc-message (PROTOCOL-HTTP2.md, "Status-Message"): UTF-8, where every byte outside %x20-%x7E, and '%' itself, is "%XX".
/// </summary>
internal static class PercentEncoding
{
    private static readonly SearchValues<char> Plain = SearchValues.Create([.. Enumerable.Range(0x20, 0x5F).Select(c => (char)c).Where(c => c != '%')]);

    public static string Encode(string text)
    {
        if (!text.AsSpan().ContainsAnyExcept(Plain))
        {
            return text;
        }

        var encoded = new StringBuilder(text.Length + 16);
        foreach (var b in Encoding.UTF8.GetBytes(text))
        {
            if (b is >= 0x20 and <= 0x7E && b != '%')
            {
                encoded.Append((char)b);
            }
            else
            {
                encoded.Append('%').Append(HexDigit(b >> 4)).Append(HexDigit(b & 0xF));
            }
        }

        return encoded.ToString();

        static char HexDigit(int value) => "0123456789ABCDEF"[value];
    }

    /// <summary>Never fails, as the specification asks: what is not an escape is kept as it is, and bytes that are not UTF-8 become U+FFFD.</summary>
    public static string Decode(string text)
    {
        if (!text.Contains('%', StringComparison.Ordinal))
        {
            return text;
        }

        var bytes = new byte[Encoding.UTF8.GetMaxByteCount(text.Length)];
        var count = 0;
        for (var i = 0; i < text.Length;)
        {
            if (text[i] == '%' && i + 2 < text.Length && char.IsAsciiHexDigit(text[i + 1]) && char.IsAsciiHexDigit(text[i + 2]))
            {
                bytes[count++] = Convert.FromHexString(text.AsSpan(i + 1, 2))[0];
                i += 3;
            }
            else
            {
                // Up to the next escape at once, for a character may be two chars.
                var next = text.IndexOf('%', i + 1);
                var plain = text.AsSpan(i..(next < 0 ? text.Length : next));
                count += Encoding.UTF8.GetBytes(plain, bytes.AsSpan(count));
                i += plain.Length;
            }
        }

        return Encoding.UTF8.GetString(bytes, 0, count);
    }
}
