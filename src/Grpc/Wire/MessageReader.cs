using System.Buffers;
using Grpc.Core;
using Grpc.Net.Compression;

namespace Grpc.Wire;

/// <summary>Makes messages of payloads one at a time. One for each direction of a call, used again for every message.</summary>
/// <param name="maxLength">The longest message accepted after decompression, in bytes; null for any.</param>
internal sealed class MessageReader(int? maxLength) : DeserializationContext
{
    public static readonly Status CompressedWithoutEncoding = new(
        StatusCode.Internal, "A message is flagged as compressed, but the call has no grpc-encoding.");

    private ReadOnlySequence<byte> _payload;

    public override int PayloadLength => (int)_payload.Length;

    /// <param name="payload">The payload of one message; may be overwritten once this returns.</param>
    /// <param name="compressed">Whether it is compressed.</param>
    /// <param name="encoding">The call's encoding; null for identity.</param>
    /// <param name="deserializer">The marshaller's deserializer.</param>
    /// <exception cref="RpcException">It cannot be decompressed, or not within the limit.</exception>
    public T Read<T>(in ReadOnlySequence<byte> payload, bool compressed, ICompressionProvider? encoding, Func<DeserializationContext, T> deserializer)
    {
        _payload = compressed ? Decompress(payload, encoding) : payload;
        try
        {
            return deserializer(this);
        }
        finally
        {
            _payload = default;
        }
    }

    public override byte[] PayloadAsNewBuffer() => _payload.ToArray();

    public override ReadOnlySequence<byte> PayloadAsReadOnlySequence() => _payload;

    private ReadOnlySequence<byte> Decompress(in ReadOnlySequence<byte> payload, ICompressionProvider? encoding)
    {
        if (encoding is null)
        {
            throw new RpcException(CompressedWithoutEncoding);
        }

        var limit = maxLength ?? int.MaxValue;
        var plain = new ArrayBufferWriter<byte>();
        try
        {
            using var decoder = encoding.CreateDecompressionStream(new MemoryStream(payload.ToArray(), writable: false));
            while (true)
            {
                var read = decoder.Read(plain.GetSpan(4096));
                if (read == 0)
                {
                    return new ReadOnlySequence<byte>(plain.WrittenMemory);
                }

                plain.Advance(read);
                if (plain.WrittenCount > limit)
                {
                    // Stops a decompression bomb as soon as it shows.
                    throw new RpcException(new Status(
                        StatusCode.ResourceExhausted,
                        FormattableString.Invariant($"Received message is larger than the limit of {limit} bytes when decompressed.")));
                }
            }
        }
        catch (InvalidDataException e)
        {
            throw new RpcException(new Status(StatusCode.Internal, $"A message is not valid {encoding.EncodingName}.", e));
        }
    }
}
