using System.Buffers;
using System.Net;

namespace Grpc.Net.Client.Internal;

/// <summary>
/// A request of one message. It is put into bytes before the request is sent, so that a message that cannot be sent costs nothing, and one that
/// a closing connection refuses can be sent again on the next.
/// </summary>
internal sealed class RequestMessage : HttpContent, IBufferWriter<byte>
{
    private byte[] _frame = [];
    private int _length;

    /// <summary>The writer of messages asks once, for a whole frame.</summary>
    public Memory<byte> GetMemory(int sizeHint = 0) => _frame = GC.AllocateUninitializedArray<byte>(sizeHint);

    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public void Advance(int count) => _length = count;

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) =>
        stream.WriteAsync(_frame, 0, _length, cancellationToken);

    protected override bool TryComputeLength(out long length)
    {
        // Known, but no gRPC peer wants a content-length.
        length = 0;
        return false;
    }
}
