using Grpc.Core;

namespace RouteService.Api.Routes;

/// <summary>
/// Writes the messages of a page with few flushes: a flush for each message costs a third of a listing's rate (docs/adr/0009). The last
/// message of a page is flushed, so nothing waits here while the source waits for more.
/// </summary>
/// <remarks>
/// A write takes no cancellation token, since the server would register it for every message; the caller checks its token once a page.
/// </remarks>
internal sealed class PageWriter<T>(IServerStreamWriter<T> stream)
{
    // Two full HTTP/2 frames. Unflushed messages are in memory, whatever the client's window is.
    private const int MaxUnflushedBytes = 32 * 1024;

    private static readonly WriteOptions Buffer = new(WriteFlags.BufferHint);
    private static readonly WriteOptions Flush = new();

    private int _unflushedBytes;

    /// <param name="message">Message; may be changed again when the returned task is complete.</param>
    /// <param name="bytes">Approximate size on the wire.</param>
    /// <param name="isLast">Whether the message is the last of its page.</param>
    public Task WriteAsync(T message, int bytes, bool isLast)
    {
        _unflushedBytes += bytes;
        var isFlushed = isLast || _unflushedBytes >= MaxUnflushedBytes;
        _unflushedBytes = isFlushed ? 0 : _unflushedBytes;
        stream.WriteOptions = isFlushed ? Flush : Buffer;
        return stream.WriteAsync(message);
    }
}
