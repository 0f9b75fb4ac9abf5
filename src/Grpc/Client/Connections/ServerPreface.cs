using System.Buffers.Binary;

namespace Grpc.Net.Client.Internal;

/// <summary>
/// What a server says first. RFC 9113, 3.4: SETTINGS is its first frame. One that will not have the connection sends GOAWAY (6.8), with it or alone.
/// <code>
/// +-----------------------------------------------+---------------+
/// |                 Length (24)                   |   Type (8)    |
/// +---------------+-------------------------------+---------------+
/// |   Flags (8)   |                Stream Identifier (32)         |
/// +---------------+-----------------------------------------------+
/// </code>
/// </summary>
internal static class ServerPreface
{
    private const int HeaderLength = 9;
    private const byte Settings = 0x4;
    private const byte GoAway = 0x7;
    private const int ProtocolError = 0x1;

    /// <summary>Why there is no HTTP/2 on this connection; null where the server begins it, as far as these bytes tell.</summary>
    public static Exception? Refusal(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > 3 && bytes[3] is not (Settings or GoAway))
        {
            return new HttpProtocolException(ProtocolError, "The server does not speak HTTP/2: what it says first is not SETTINGS.", null);
        }

        while (bytes.Length >= HeaderLength)
        {
            var type = bytes[3];
            var length = (bytes[0] << 16) | (bytes[1] << 8) | bytes[2];
            bytes = bytes[HeaderLength..];
            if (type == GoAway && length >= 8 && bytes.Length >= 8 && BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]) is var code and not 0)
            {
                return new HttpProtocolException(code, "The server refuses the connection.", null);
            }

            bytes = length < bytes.Length ? bytes[length..] : [];
        }

        return null;
    }
}
