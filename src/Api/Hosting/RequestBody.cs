using System.Buffers;
using System.IO.Pipelines;
using Grpc.Core;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using RouteService.Api.Errors;

namespace RouteService.Api.Hosting;

/// <summary>
/// The body of a request for the stock server, which reads and advances once a message. The bytes of one read from Kestrel are handed out
/// until they are consumed. The server examines more than it consumes exactly when it holds the beginning of a message. A read that then
/// waits, waits for the rest of that message, which has a time limit. Between messages a stream may be silent for hours; a request of one
/// message has the limit from its start to its end. If the client is gone, its calls fail with CANCELLED.
/// </summary>
/// <param name="inner">Kestrel's.</param>
/// <param name="clock">For the limit.</param>
/// <param name="isOneMessage">Whether the request is one message, and no stream.</param>
/// <threadsafety>For one reader at a time, as a PipeReader is.</threadsafety>
internal sealed class RequestBody(PipeReader inner, TimeProvider clock, bool isOneMessage) : PipeReader, IRequestBodyPipeFeature
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(30);
    private const int BytesPerSecond = 16 * 1024;

    private readonly bool _isOneMessage = isOneMessage;

    // The rest of the last read of the inner reader, which is advanced when this is consumed.
    private ReadOnlySequence<byte> _unread;
    private bool _isLast;

    // The message that has begun: whether there is one, since when, and its bytes so far.
    private bool _isPartial = isOneMessage;
    private long _begun = isOneMessage ? clock.GetTimestamp() : 0;
    private long _received;

    public PipeReader Reader => this;

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) => TryRead(out var result)
        ? new ValueTask<ReadResult>(result)
        : ReadMoreAsync(cancellationToken);

    public override bool TryRead(out ReadResult result)
    {
        if (!_unread.IsEmpty)
        {
            result = new ReadResult(_unread, isCanceled: false, _isLast);
            return true;
        }

        try
        {
            if (!inner.TryRead(out result))
            {
                return false;
            }
        }
        catch (Exception e) when (IsClientGone(e))
        {
            throw ClientGone(e);
        }

        result = Keep(result);
        return true;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        // In a stream, another message begins behind what is consumed.
        _isPartial = _isPartial && (_isOneMessage || consumed.Equals(_unread.Start));
        var isExamined = examined.Equals(_unread.End);
        _unread = _unread.Slice(consumed);
        if (!_unread.IsEmpty && !isExamined)
        {
            return;
        }

        var isPartial = _isOneMessage || !_unread.IsEmpty;
        _unread = default;
        try
        {
            inner.AdvanceTo(consumed, examined);
        }
        catch (Exception e) when (IsClientGone(e))
        {
            throw ClientGone(e);
        }

        if (isPartial && !_isPartial)
        {
            _begun = clock.GetTimestamp();
            _received = 0;
        }

        _isPartial = isPartial;
    }

    /// <summary>Returns bytes that were read and not consumed, at the end of the call.</summary>
    public void Release()
    {
        if (_unread.IsEmpty)
        {
            return;
        }

        try
        {
            inner.AdvanceTo(_unread.Start);
        }
        catch (Exception e) when (IsClientGone(e))
        {
            // The call has ended already.
        }

        _unread = default;
    }

    public override void CancelPendingRead() => inner.CancelPendingRead();

    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    private async ValueTask<ReadResult> ReadMoreAsync(CancellationToken cancellationToken)
    {
        try
        {
            var read = inner.ReadAsync(cancellationToken);
            return Keep(_isPartial ? await ReadRestAsync(read.AsTask()) : await read);
        }
        catch (Exception e) when (IsClientGone(e))
        {
            throw ClientGone(e);
        }
    }

    private async Task<ReadResult> ReadRestAsync(Task<ReadResult> read)
    {
        var left = Grace + TimeSpan.FromSeconds((double)_received / BytesPerSecond) - clock.GetElapsedTime(_begun);
        try
        {
            return await read.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, clock);
        }
        catch (TimeoutException)
        {
            // A read must not stay pending: Kestrel reuses the stream for a later call, which would fail.
            inner.CancelPendingRead();
            inner.AdvanceTo((await read).Buffer.Start);
            throw new RpcException(new Status(
                StatusCode.DeadlineExceeded,
                $"The rest of a request has not arrived within {Grace.TotalSeconds} s, "
                + $"and one more for each {BytesPerSecond / 1024} KiB that has arrived."));
        }
    }

    // Kestrel's reads and advances throw these.
    private static bool IsClientGone(Exception exception) => exception is IOException or ConnectionAbortedException;

    // CANCELLED is not a fault of the service; the stock server would log any other exception of a read as an error.
    private static RpcException ClientGone(Exception exception) =>
        new(new Status(StatusCode.Cancelled, ErrorInterceptor.ClientGone, exception));

    private ReadResult Keep(ReadResult result)
    {
        _received = Math.Max(_received, result.Buffer.Length);
        _unread = result.Buffer;
        _isLast = result.IsCompleted;
        return result;
    }
}
