using System.IO.Pipelines;
using Grpc.Core;
using Grpc.Net.Compression;
using Grpc.Wire;
using Microsoft.AspNetCore.Http;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>
/// The messages of a response. Writes coalesce: a message goes into the transport's buffer and a flush is queued on the thread pool; what a fast
/// producer writes until that runs shares it, and a lone message leaves as soon as its producer waits or another thread is free.
/// A full buffer is flushed by the producer itself, which then waits for the client: that is the backpressure.
/// </summary>
internal sealed class ResponseWriter<TResponse>(
    HttpResponse response,
    Marshaller<TResponse> marshaller,
    GrpcServiceOptions options,
    ServerCallContext call) : IServerStreamWriter<TResponse>, IThreadPoolWorkItem
    where TResponse : class
{
    // Two full HTTP/2 frames: enough to make the flush cheap for each message, little enough to keep the client busy meanwhile.
    private const int FlushThreshold = 32 * 1024;

    private static readonly Task<FlushResult> Flushed = Task.FromResult(default(FlushResult));
    private static readonly Task<FlushResult> NobodyReads = Task.FromResult(new FlushResult(isCanceled: false, isCompleted: true));

    // Guards the response: the producer, the queued flush and the end of the call may meet. Nothing waits under it.
    private readonly Lock _gate = new();
    private readonly MessageWriter _writer = new(options.MaxSendMessageSize);
    private int _unflushed;
    private bool _flushQueued;
    private Task<FlushResult> _flush = Flushed;
    private Exception? _failure;
    private bool _writing;
    private bool _closed;

    public WriteOptions? WriteOptions { get; set; }

    /// <summary>What messages are compressed with, unless their options say not to; null for nothing. Settled when the headers are sent.</summary>
    public ICompressionProvider? Compression { get; set; }

    /// <summary>Whether headers or messages have been sent, or are about to be.</summary>
    public bool HasStarted { get; private set; }

    /// <summary>The messages that were written.</summary>
    public long Count { get; private set; }

    /// <summary>Whether the transport has said that nobody reads the response any more. It says so before the call's token does.</summary>
    public bool ClientGone => _flush is { IsCompletedSuccessfully: true, Result.IsCompleted: true };

    private WriteFlags Flags => (WriteOptions ?? call.WriteOptions)?.Flags ?? default;

    public Task WriteAsync(TResponse message) => WriteAsync(message, CancellationToken.None);

    public Task WriteAsync(TResponse message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        if (cancellationToken.IsCancellationRequested)
        {
            return Task.FromCanceled(cancellationToken);
        }

        lock (_gate)
        {
            if (_writing)
            {
                throw new InvalidOperationException("Can't write the message because the previous write is in progress.");
            }

            if (_flush.IsCompleted)
            {
                return WriteNeedsLock(message);
            }

            _writing = true;
        }

        return WriteAfterFlushAsync(message, cancellationToken);
    }

    /// <summary>Writes the one message of a response that has one. It leaves together with the trailers.</summary>
    public void WriteSingle(TResponse? message)
    {
        if (message is null)
        {
            throw new RpcException(new Status(StatusCode.Cancelled, "No message returned from method."));
        }

        lock (_gate)
        {
            PutNeedsLock(message, Flags);
        }
    }

    /// <summary>Sends the headers now, with this metadata.</summary>
    public Task WriteHeadersAsync(Metadata metadata)
    {
        lock (_gate)
        {
            CheckOpenNeedsLock();
            if (HasStarted)
            {
                throw new InvalidOperationException("Response headers can only be sent once per call.");
            }

            Trailers.Write(response.Headers, metadata);
            StartNeedsLock();
            return FlushNeedsLock();
        }
    }

    /// <summary>Ends the writing: afterwards nobody but the caller touches the response.</summary>
    /// <returns>Done when nothing of it is being flushed any more.</returns>
    public Task CloseAsync()
    {
        lock (_gate)
        {
            _closed = true;
            return _flush;
        }
    }

    /// <summary>The queued flush.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        lock (_gate)
        {
            _flushQueued = false;
            if (!_closed && _unflushed > 0 && _flush.IsCompleted)
            {
                try
                {
                    _ = FlushNeedsLock();
                }
                catch (Exception e)
                {
                    // Nobody is above us to catch it; the next to write finds it.
                    _failure = e;
                }
            }
        }
    }

    private async Task WriteAfterFlushAsync(TResponse message, CancellationToken cancellationToken)
    {
        Task written;
        try
        {
            while (true)
            {
                await _flush.WaitAsync(cancellationToken);
                lock (_gate)
                {
                    if (_flush.IsCompleted)
                    {
                        written = WriteNeedsLock(message);
                        break;
                    }
                }
            }
        }
        finally
        {
            lock (_gate)
            {
                _writing = false;
            }
        }

        await written;
    }

    private Task WriteNeedsLock(TResponse message)
    {
        var flags = Flags;
        PutNeedsLock(message, flags);
        if (_unflushed >= FlushThreshold)
        {
            return FlushNeedsLock();
        }

        if (!_flushQueued && !flags.HasFlag(WriteFlags.BufferHint))
        {
            _flushQueued = true;
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: true);
        }

        return Task.CompletedTask;
    }

    private void PutNeedsLock(TResponse message, WriteFlags flags)
    {
        CheckOpenNeedsLock();
        StartNeedsLock();
        _unflushed += _writer.Write(
            message,
            marshaller.ContextualSerializer,
            response.BodyWriter,
            flags.HasFlag(WriteFlags.NoCompress) ? null : Compression,
            options.ResponseCompressionLevel);
        Count++;
    }

    private void StartNeedsLock()
    {
        if (!HasStarted)
        {
            HasStarted = true;
            if (Compression is not null)
            {
                response.Headers["grpc-encoding"] = Compression.EncodingName;
            }
        }
    }

    private void CheckOpenNeedsLock()
    {
        if (_closed)
        {
            throw new InvalidOperationException("Can't write the message because the request is complete.");
        }

        if (_failure is not null)
        {
            throw new IOException("The response cannot be sent.", _failure);
        }

        // A producer that does not look at its token learns here that nobody listens. The token alone would not do: where nobody reads, a write is
        // done at once, and enough producers that never wait leave no thread to cancel their tokens.
        call.CancellationToken.ThrowIfCancellationRequested();
        if (ClientGone)
        {
            throw new OperationCanceledException("The client has gone.");
        }
    }

    private Task<FlushResult> FlushNeedsLock()
    {
        _unflushed = 0;
        var flush = response.BodyWriter.FlushAsync();
        if (flush.IsCompletedSuccessfully)
        {
            return _flush = flush.Result.IsCompleted ? NobodyReads : Flushed;
        }

        return _flush = flush.AsTask();
    }
}
