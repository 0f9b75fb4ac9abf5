using System.Buffers.Binary;
using System.Buffers.Text;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Features;

/// <summary>
/// Position at which a search continues: after a feature, in the order of <see cref="ZOrder"/>. 18 bytes in base64url, without padding:
/// <code>
/// version (1) | kind (1) | code of the last feature (8) | fingerprint of the query (4) | CRC-32C of the bytes before (4)
/// </code>
/// Numbers are big-endian. A token is checked and not signed: it permits nothing that the query does not.
/// </summary>
public static class SearchToken
{
    private const byte Version = 1;
    private const int Length = 18;
    private const int Checked = Length - sizeof(uint);

    /// <param name="kind">The call that the token continues.</param>
    /// <param name="query">The query's <see cref="FeatureFilter.Fingerprint"/>.</param>
    /// <param name="last">The last feature that was sent.</param>
    public static string Encode(SearchTokenKind kind, uint query, Coordinate last)
    {
        Span<byte> bytes = stackalloc byte[Length];
        bytes[0] = Version;
        bytes[1] = (byte)kind;
        BinaryPrimitives.WriteInt64BigEndian(bytes[2..], ZOrder.Encode(last));
        BinaryPrimitives.WriteUInt32BigEndian(bytes[10..], query);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[Checked..], Checksum.Crc32C(bytes[..Checked]));
        return Base64Url.EncodeToString(bytes);
    }

    /// <summary>The code of the last feature that was sent.</summary>
    /// <exception cref="InvalidValueException">The text is not a token, or the token is of another query or another kind.</exception>
    public static long Decode(SearchTokenKind kind, uint query, string token)
    {
        var bytes = new byte[Length];
        var isToken = token.Length == Base64Url.GetEncodedLength(Length)
            && Base64Url.IsValid(token)
            && Base64Url.TryDecodeFromChars(token, bytes, out var written)
            && written == Length
            && BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(Checked)) == Checksum.Crc32C(bytes.AsSpan(0, Checked));
        if (!isToken)
        {
            throw new InvalidValueException("", "The token is not one of this service; expected one of an earlier response, unchanged.");
        }

        var code = BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan(2));
        if (bytes[0] != Version || !ZOrder.IsCode(code))
        {
            throw new InvalidValueException("", "The token is of another version of this service; expected to begin again without one.");
        }

        if (bytes[1] != (byte)kind || BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(10)) != query)
        {
            throw new InvalidValueException("", "The token is of another query; expected the same call, filter and view as it came from.");
        }

        return code;
    }
}

/// <summary>The call that a token continues; the numbers are in tokens.</summary>
public enum SearchTokenKind
{
    Page = 1,
    Stream = 2,
}
