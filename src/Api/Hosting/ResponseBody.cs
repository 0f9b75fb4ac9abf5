using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http.Features;

namespace RouteService.Api.Hosting;

/// <summary>
/// The body of a response stream. The stock server asks its writer for room several times for each message, and Kestrel's writer takes a
/// lock each time. This body gathers messages, and hands them to Kestrel with the flush. Messages that are unflushed when the call ends are
/// dropped, so a service flushes its last message (<see cref="Routes.PageWriter{T}"/>).
/// </summary>
/// <threadsafety>
/// For one writer at a time, as a PipeWriter is. <see cref="CompleteAsync"/> may be called beside it, as the server does at a deadline.
/// </threadsafety>
internal sealed class ResponseBody(IHttpResponseBodyFeature inner) : PipeWriter, IHttpResponseBodyFeature
{
    // More than a page has at its flush, so that a page is one block.
    private const int BlockSize = 64 * 1024;

    // Rented only while it holds bytes: thousands of streams may be silent.
    private byte[] _block = [];
    private int _count;

    public PipeWriter Writer => this;

    public Stream Stream => AsStream(leaveOpen: true);

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _count;

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _block.AsMemory(_count);
    }

    public override Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _block.AsSpan(_count);
    }

    public override void Advance(int bytes) => _count += bytes;

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        HandOver();
        return inner.Writer.FlushAsync(cancellationToken);
    }

    public override void CancelPendingFlush() => inner.Writer.CancelPendingFlush();

    public override void Complete(Exception? exception = null)
    {
        HandOver();
        inner.Writer.Complete(exception);
    }

    public Task StartAsync(CancellationToken cancellationToken = default) => inner.StartAsync(cancellationToken);

    public Task CompleteAsync() => inner.CompleteAsync();

    public void DisableBuffering() => inner.DisableBuffering();

    public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) =>
        inner.SendFileAsync(path, offset, count, cancellationToken);

    /// <summary>Hands the written bytes to Kestrel, and returns the block to the pool.</summary>
    private void HandOver()
    {
        if (_block.Length == 0)
        {
            return;
        }

        inner.Writer.Write(_block.AsSpan(0, _count));
        ArrayPool<byte>.Shared.Return(_block);
        _block = [];
        _count = 0;
    }

    private void Reserve(int sizeHint)
    {
        if (_block.Length - _count >= Math.Max(sizeHint, 1))
        {
            return;
        }

        HandOver();
        _block = ArrayPool<byte>.Shared.Rent(Math.Max(sizeHint, BlockSize));
    }
}
