using System.IO.Pipelines;
using System.Net;
using Grpc.Core;
using Grpc.Wire;

namespace Grpc.Net.Client.Internal;

/// <summary>
/// The messages of a streaming request. Writes fill a pipe, and the body of the HTTP request drains it: what is written while a piece is on its
/// way leaves together with the next, a lone message leaves at once, and a writer ahead of the server waits.
/// </summary>
internal sealed class RequestStream<TRequest, TResponse>(ClientCall<TRequest, TResponse> call, int? maxLength)
    : HttpContent, IClientStreamWriter<TRequest>
    where TRequest : class
    where TResponse : class
{
    // The size of a DATA frame that every HTTP/2 server takes.
    private const int SegmentLength = 16 * 1024;
    private const int MaxPending = 64 * 1024;

    private static readonly PipeOptions Buffering = new(
        pauseWriterThreshold: MaxPending, resumeWriterThreshold: MaxPending / 2, minimumSegmentSize: SegmentLength, useSynchronizationContext: false);

    private static readonly Status CannotReplay = new(
        StatusCode.Unavailable, "The connection was closed by the server after part of a streaming request had been sent.");

    private readonly Pipe _pipe = new(Buffering);
    private readonly MessageWriter _writer = new(maxLength);
    private Task _sending = Task.CompletedTask;
    private volatile int _attempts;
    private bool _sent;
    private int _writing;
    private volatile bool _completed;

    public WriteOptions? WriteOptions { get; set; }

    public Task WriteAsync(TRequest message) => WriteAsync(message, CancellationToken.None);

    /// <summary>Completes when there is room for more. A token that fires cancels the call.</summary>
    public async Task WriteAsync(TRequest message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        if (Interlocked.Exchange(ref _writing, 1) != 0)
        {
            throw new InvalidOperationException("Can't write the message because the previous write is in progress.");
        }

        var registration = call.CancelWith(cancellationToken);
        try
        {
            ThrowIfOver();
            var options = WriteOptions ?? call.WriteOptions;
            _writer.Write(message, call.Method.RequestMarshaller.ContextualSerializer, _pipe.Writer, call.CompressionFor(options));
            if (options.Flags.HasFlag(WriteFlags.BufferHint) && _pipe.Writer.UnflushedBytes < MaxPending)
            {
                return;
            }

            if ((await _pipe.Writer.FlushAsync(call.Aborted).ConfigureAwait(false)).IsCompleted)
            {
                throw await call.RequestsRefusedAsync().ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (call.HasEnded)
        {
            throw call.Failure();
        }
        finally
        {
            registration.Unregister();
            Volatile.Write(ref _writing, 0);
        }
    }

    public Task CompleteAsync()
    {
        if (Interlocked.Exchange(ref _writing, 1) != 0)
        {
            return Task.FromException(new InvalidOperationException("Can't complete the client stream writer because the previous write is in progress."));
        }

        if (!_completed)
        {
            _completed = true;
            _pipe.Writer.Complete();
        }

        Volatile.Write(ref _writing, 0);
        return Task.CompletedTask;
    }

    /// <summary>The call has ended: the body, where it is not complete, is given up.</summary>
    public void Stop() => _pipe.Reader.CancelPendingRead();

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) =>
        _sending = SendAsync(_sending, ++_attempts, stream, cancellationToken);

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    private void ThrowIfOver()
    {
        if (_completed)
        {
            throw new InvalidOperationException("Request stream has already been completed.");
        }

        if (call.HasEnded)
        {
            throw call.Failure();
        }
    }

    private async Task SendAsync(Task previous, int attempt, Stream stream, CancellationToken cancellationToken)
    {
        // HTTP sends a request again where a closing connection has refused it, while the attempt before still waits for messages. It can only
        // be done while nothing of the body is gone.
        if (!previous.IsCompleted)
        {
            _pipe.Reader.CancelPendingRead();
            await previous.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        if (_sent)
        {
            throw new RpcException(CannotReplay);
        }

        try
        {
            while (true)
            {
                if (!_pipe.Reader.TryRead(out var read))
                {
                    // Nothing waits: what has been written, or the headers alone, leaves now. Not by HTTP's token, which fires where the stream is
                    // reset: this body would then end as cancelled before the response says by what code, or that it may be sent again.
                    await stream.FlushAsync(CancellationToken.None).ConfigureAwait(false);
                    read = await _pipe.Reader.ReadAsync(CancellationToken.None).ConfigureAwait(false);
                }

                if (read.IsCanceled && (call.HasEnded || attempt != _attempts))
                {
                    throw new OperationCanceledException("The call has ended, or the request is sent again.");
                }

                foreach (var segment in read.Buffer)
                {
                    _sent = true;
                    await stream.WriteAsync(segment, cancellationToken).ConfigureAwait(false);
                }

                _pipe.Reader.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted)
                {
                    return;
                }
            }
        }
        finally
        {
            if (_sent || call.HasEnded)
            {
                // Lets go of a writer that waits for room.
                await _pipe.Reader.CompleteAsync().ConfigureAwait(false);
            }
        }
    }
}
