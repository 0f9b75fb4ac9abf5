using System.Buffers;
using System.Buffers.Binary;
using Grpc.Core;

namespace Grpc.Wire;

/// <summary>
/// The length-prefixed message of gRPC over HTTP/2 (PROTOCOL-HTTP2.md, "Length-Prefixed-Message"):
/// <code>
/// +----------------+--------------------------+------------------+
/// | compressed (1) | length, big-endian (4)   | payload (length) |
/// +----------------+--------------------------+------------------+
/// </code>
/// </summary>
internal static class MessageFrame
{
    public const int HeaderLength = 5;

    public static readonly Status InvalidCompressedFlag = new(StatusCode.Internal, "The compressed flag of a message is neither 0 nor 1.");
    public static readonly Status Incomplete = new(StatusCode.Internal, "The stream ended in the middle of a message.");

    /// <summary>Takes the first message off the buffer; false where it is not all there yet.</summary>
    /// <param name="buffer">Starts at a message; afterwards at the next one.</param>
    /// <param name="maxLength">The longest payload accepted, in bytes; null for any.</param>
    /// <param name="compressed">Whether the payload is in the call's encoding.</param>
    /// <param name="payload">The message, a slice of the buffer.</param>
    /// <exception cref="RpcException">The header is not of this protocol, or the length is over the limit; known from the header alone.</exception>
    public static bool TryRead(ref ReadOnlySequence<byte> buffer, int? maxLength, out bool compressed, out ReadOnlySequence<byte> payload)
    {
        compressed = false;
        payload = default;
        if (buffer.Length < HeaderLength)
        {
            return false;
        }

        Span<byte> header = stackalloc byte[HeaderLength];
        if (buffer.FirstSpan is { Length: >= HeaderLength } first)
        {
            first[..HeaderLength].CopyTo(header);
        }
        else
        {
            buffer.Slice(0, HeaderLength).CopyTo(header);
        }

        if (header[0] > 1)
        {
            throw new RpcException(InvalidCompressedFlag);
        }

        compressed = header[0] == 1;
        var length = BinaryPrimitives.ReadUInt32BigEndian(header[1..]);
        if (length > (uint)(maxLength ?? int.MaxValue))
        {
            throw new RpcException(TooLarge("Received", length, maxLength ?? int.MaxValue));
        }

        if (buffer.Length - HeaderLength < length)
        {
            return false;
        }

        payload = buffer.Slice(HeaderLength, length);
        buffer = buffer.Slice(payload.End);
        return true;
    }

    /// <summary>The length that a message of which a part is here will have; 0 where its header is not whole.</summary>
    public static uint AnnouncedLength(ReadOnlySequence<byte> buffer)
    {
        if (buffer.Length < HeaderLength)
        {
            return 0;
        }

        Span<byte> header = stackalloc byte[HeaderLength];
        buffer.Slice(0, HeaderLength).CopyTo(header);
        return BinaryPrimitives.ReadUInt32BigEndian(header[1..]);
    }

    /// <summary>Writes the header of a payload of this length.</summary>
    public static void WriteHeader(Span<byte> destination, bool compressed, int length)
    {
        destination[0] = compressed ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt32BigEndian(destination[1..], (uint)length);
    }

    /// <summary>The answer to a message over its limit.</summary>
    public static Status TooLarge(string direction, long length, int limit) => new(
        StatusCode.ResourceExhausted,
        FormattableString.Invariant($"{direction} message of {length} bytes is larger than the limit of {limit} bytes."));
}
