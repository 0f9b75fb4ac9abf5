using Grpc.Core;

namespace Grpc.Wire;

/// <summary>Custom metadata as HTTP/2 headers (PROTOCOL-HTTP2.md, "Custom-Metadata"): ASCII as it is, "-bin" values in base64.</summary>
internal static class MetadataHeaders
{
    /// <summary>
    /// Whether the name is the protocol's own and no metadata: pseudo-headers, "grpc-…" but for what the specification leaves to applications,
    /// and the HTTP headers that every call has.
    /// </summary>
    public static bool IsReserved(string name)
    {
        if (name.StartsWith(':'))
        {
            return true;
        }

        if (name.StartsWith("grpc-", StringComparison.OrdinalIgnoreCase))
        {
            // Travel as ordinary metadata: error details, and how a server asks a client to wait before a retry.
            return !name.Equals("grpc-status-details-bin", StringComparison.OrdinalIgnoreCase)
                && !name.Equals("grpc-retry-pushback-ms", StringComparison.OrdinalIgnoreCase)
                && !name.Equals("grpc-previous-rpc-attempts", StringComparison.OrdinalIgnoreCase)
                && !name.Equals("grpc-trace-bin", StringComparison.OrdinalIgnoreCase)
                && !name.Equals("grpc-tags-bin", StringComparison.OrdinalIgnoreCase);
        }

        return name.Equals("content-type", StringComparison.OrdinalIgnoreCase)
            || name.Equals("te", StringComparison.OrdinalIgnoreCase)
            || name.Equals("host", StringComparison.OrdinalIgnoreCase);
    }

    public static bool IsBinary(string name) => name.EndsWith(Metadata.BinaryHeaderSuffix, StringComparison.OrdinalIgnoreCase);

    /// <summary>The value as it travels; base64 without padding, as the specification prefers.</summary>
    public static string Encode(Metadata.Entry entry) => entry.IsBinary ? Convert.ToBase64String(entry.RawBytes).TrimEnd('=') : entry.Value;

    /// <summary>Adds a header to the metadata. A binary one may hold several values, comma-joined, with padding or without.</summary>
    /// <returns>False where the value is not base64 or the name is not one of metadata; nothing is added then.</returns>
    public static bool TryAdd(Metadata metadata, string name, string value)
    {
        try
        {
            if (!IsBinary(name))
            {
                metadata.Add(name, value);
                return true;
            }

            var values = value.Split(',');
            var decoded = new byte[values.Length][];
            for (var i = 0; i < values.Length; i++)
            {
                decoded[i] = FromBase64(values[i].Trim());
            }

            foreach (var bytes in decoded)
            {
                metadata.Add(name, bytes);
            }

            return true;
        }
        catch (FormatException)
        {
            return false;
        }
        catch (ArgumentException)
        {
            // A name that HTTP allows and gRPC does not, such as one with '~'.
            return false;
        }
    }

    private static byte[] FromBase64(string text) => (text.Length % 4) switch
    {
        2 => Convert.FromBase64String(text + "=="),
        3 => Convert.FromBase64String(text + "="),
        _ => Convert.FromBase64String(text),
    };
}
