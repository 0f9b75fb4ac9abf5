using System.Buffers;
using System.IO.Compression;
using Grpc.Core;
using Grpc.Net.Compression;

namespace Grpc.Wire;

/// <summary>
/// Puts messages on the wire one at a time. A message reaches the output whole or, where its serializer throws, not at all.
/// One for each direction of a call, used again for every message.
/// </summary>
internal sealed class MessageWriter(int? maxLength) : SerializationContext, IBufferWriter<byte>
{
    private IBufferWriter<byte>? _output;
    private ICompressionProvider? _compression;
    private CompressionLevel? _compressionLevel;

    // A message of known length that is not compressed is written straight into the output's memory, behind room for the header;
    // any other goes through the buffer.
    private Memory<byte> _direct;
    private ArrayBufferWriter<byte>? _buffer;
    private int _length;
    private int _written;
    private bool _completed;

    /// <summary>Writes one framed message.</summary>
    /// <param name="message">The message.</param>
    /// <param name="serializer">Its marshaller's serializer.</param>
    /// <param name="output">Gets header and payload in one advance.</param>
    /// <param name="compression">Compresses the payload; null for not.</param>
    /// <param name="compressionLevel">Null for the provider's own.</param>
    /// <returns>The bytes written, header included.</returns>
    /// <exception cref="RpcException">The message is over the limit.</exception>
    public int Write<T>(
        T message,
        Action<T, SerializationContext> serializer,
        IBufferWriter<byte> output,
        ICompressionProvider? compression = null,
        CompressionLevel? compressionLevel = null)
    {
        _output = output;
        _compression = compression;
        _compressionLevel = compressionLevel;
        _length = -1;
        _written = 0;
        _completed = false;
        try
        {
            serializer(message, this);
            if (!_completed)
            {
                throw new InvalidOperationException("The serializer returned without completing the message.");
            }

            return _written;
        }
        finally
        {
            _output = null;
            _direct = default;
            _buffer?.ResetWrittenCount();
        }
    }

    private ArrayBufferWriter<byte> Buffer => _buffer ??= new ArrayBufferWriter<byte>();

    public override void SetPayloadLength(int payloadLength)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(payloadLength);
        CheckLength(payloadLength);
        if (_compression is null)
        {
            _length = payloadLength;
            _direct = _output!.GetMemory(MessageFrame.HeaderLength + payloadLength);
        }
    }

    public override IBufferWriter<byte> GetBufferWriter() => this;

    public void Advance(int count)
    {
        if (_length < 0)
        {
            Buffer.Advance(count);
        }
        else
        {
            _written += count;
        }
    }

    public Memory<byte> GetMemory(int sizeHint = 0) => _length < 0
        ? Buffer.GetMemory(sizeHint)
        : _direct[(MessageFrame.HeaderLength + _written)..];

    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public override void Complete()
    {
        if (_length < 0)
        {
            CompleteBuffered(Buffer.WrittenSpan);
            return;
        }

        if (_written != _length)
        {
            throw new InvalidOperationException($"The serializer announced {_length} bytes and wrote {_written}.");
        }

        MessageFrame.WriteHeader(_direct.Span, compressed: false, _length);
        Finish(MessageFrame.HeaderLength + _length);
    }

    public override void Complete(byte[] payload) => CompleteBuffered(payload);

    private void CompleteBuffered(ReadOnlySpan<byte> payload)
    {
        CheckLength(payload.Length);
        if (_compression is not null)
        {
            // Behind the plain payload in the same buffer would be a copy less, but compressed calls are not the fast path.
            using var compressed = new MemoryStream();
            using (var encoder = _compression.CreateCompressionStream(compressed, _compressionLevel))
            {
                encoder.Write(payload);
            }

            WriteFrame(compressed.GetBuffer().AsSpan(0, (int)compressed.Length), compressed: true);
            return;
        }

        WriteFrame(payload, compressed: false);
    }

    private void WriteFrame(ReadOnlySpan<byte> payload, bool compressed)
    {
        var span = _output!.GetSpan(MessageFrame.HeaderLength + payload.Length);
        MessageFrame.WriteHeader(span, compressed, payload.Length);
        payload.CopyTo(span[MessageFrame.HeaderLength..]);
        Finish(MessageFrame.HeaderLength + payload.Length);
    }

    private void Finish(int bytes)
    {
        if (_completed)
        {
            throw new InvalidOperationException("The serializer completed the message twice.");
        }

        _output!.Advance(bytes);
        _written = bytes;
        _completed = true;
    }

    private void CheckLength(int length)
    {
        if (length > maxLength)
        {
            throw new RpcException(MessageFrame.TooLarge("Sending", length, maxLength.Value));
        }
    }
}
