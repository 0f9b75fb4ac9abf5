using System.Buffers;
using System.IO.Pipelines;
using Grpc.Core;
using Grpc.Net.Compression;
using Grpc.Wire;
using Microsoft.AspNetCore.Http;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>The messages of a request. All that one read of the body brings are taken off it before it is asked again.</summary>
/// <remarks>
/// Between messages a stream may be silent for hours. A message that has begun has <see cref="Patience"/> for the rest, and a second more for each
/// <see cref="SlowestRate"/> of its announced length, so that nobody holds our memory by bytes that do not come.
/// </remarks>
internal sealed class RequestReader<TRequest>(
    PipeReader body, Marshaller<TRequest> marshaller, ICompressionProvider? encoding, int? maxLength, TimeProvider clock)
    : IAsyncStreamReader<TRequest>
    where TRequest : class
{
    // statuscodes.md: a unary or server-streaming request of another number of messages than one.
    public static readonly Status NoMessage = new(StatusCode.Unimplemented, "The request has no message; this method takes exactly one.");
    public static readonly Status SecondMessage = new(StatusCode.Unimplemented, "The request has more than one message; this method takes exactly one.");

    private const int SlowestRate = 16 * 1024;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly Task<bool> True = Task.FromResult(true);
    private static readonly Task<bool> False = Task.FromResult(false);

    private readonly MessageReader _reader = new(maxLength);

    // What the body gave and is not read yet; ours until the next AdvanceTo.
    private ReadOnlySequence<byte> _buffer;
    private bool _bufferHeld;
    private bool _bodyEnded;
    private int _moving;
    private volatile bool _closed;
    private ITimer? _patience;
    private bool _restAwaited;

    public TRequest Current { get; private set; } = null!;

    /// <summary>The messages that were read.</summary>
    public long Count { get; private set; }

    /// <summary>Whether the body has ended by a reset or a lost connection; Kestrel says so here before it cancels RequestAborted.</summary>
    public bool ClientGone { get; private set; }

    public Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return Task.FromCanceled<bool>(cancellationToken);
        }

        if (_closed)
        {
            throw new InvalidOperationException("Can't read messages after the request is complete.");
        }

        if (Interlocked.Exchange(ref _moving, 1) != 0)
        {
            throw new InvalidOperationException("Can't read the next message because the previous read is still in progress.");
        }

        Task<bool> moved;
        try
        {
            if (TryTake(out var message))
            {
                Current = message;
                moved = True;
            }
            else if (_bodyEnded)
            {
                moved = End();
            }
            else
            {
                return MoveNextAsync(cancellationToken);
            }
        }
        catch (Exception e)
        {
            moved = Task.FromException<bool>(e);
        }

        Volatile.Write(ref _moving, 0);
        return moved;
    }

    /// <summary>The message of a request that must have exactly one.</summary>
    public async ValueTask<TRequest> ReadSingleAsync()
    {
        TRequest? single = null;
        while (true)
        {
            if (TryTake(out var message))
            {
                single = single is null ? message : throw new RpcException(SecondMessage);
            }
            else if (_bodyEnded)
            {
                FinishBody();
                return single ?? throw new RpcException(NoMessage);
            }
            else
            {
                await FillAsync(CancellationToken.None);
            }
        }
    }

    /// <summary>The call has ended: a handler that still waits for a message is let go.</summary>
    public void Close()
    {
        _closed = true;
        _patience?.Dispose();
        if (Volatile.Read(ref _moving) != 0)
        {
            body.CancelPendingRead();
        }
    }

    private async Task<bool> MoveNextAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                await FillAsync(cancellationToken);
                if (TryTake(out var message))
                {
                    Current = message;
                    return true;
                }

                if (_bodyEnded)
                {
                    return await End();
                }
            }
        }
        finally
        {
            Volatile.Write(ref _moving, 0);
        }
    }

    private Task<bool> End()
    {
        FinishBody();
        Current = null!;
        return False;
    }

    private void FinishBody()
    {
        if (_buffer.Length > 0)
        {
            throw new RpcException(MessageFrame.Incomplete);
        }

        if (_bufferHeld)
        {
            _bufferHeld = false;
            body.AdvanceTo(_buffer.End);
        }
    }

    private bool TryTake(out TRequest message)
    {
        if (_buffer.IsEmpty || !MessageFrame.TryRead(ref _buffer, maxLength, out var compressed, out var payload))
        {
            message = null!;
            return false;
        }

        StopPatience();
        try
        {
            message = _reader.Read(payload, compressed, encoding, marshaller.ContextualDeserializer);
            Count++;
            return true;
        }
        catch (Exception e) when (e is not RpcException)
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"The request message cannot be parsed: {e.Message}", e));
        }
    }

    private async ValueTask FillAsync(CancellationToken cancellationToken)
    {
        StartPatience();
        if (_bufferHeld)
        {
            _bufferHeld = false;
            body.AdvanceTo(_buffer.Start, _buffer.End);
        }

        ReadResult result;
        try
        {
            result = await body.ReadAsync(cancellationToken);
        }
        catch (IOException e) when (e is not BadHttpRequestException)
        {
            ClientGone = true;
            throw;
        }

        if (result.IsCanceled)
        {
            throw _closed
                ? new OperationCanceledException("The call has ended.")
                : new RpcException(new Status(
                    StatusCode.DeadlineExceeded, $"The rest of a message did not come within {Patience.TotalSeconds} s and a second for each {SlowestRate / 1024} KiB."));
        }

        _buffer = result.Buffer;
        _bufferHeld = true;
        _bodyEnded = result.IsCompleted;
    }

    /// <summary>Starts the time of a message of which a part is here, unless it runs.</summary>
    private void StartPatience()
    {
        if (_restAwaited || _buffer.IsEmpty)
        {
            return;
        }

        _restAwaited = true;
        var time = Patience + TimeSpan.FromSeconds(MessageFrame.AnnouncedLength(_buffer) / (double)SlowestRate);
        if (_patience is null)
        {
            _patience = clock.CreateTimer(static reader => ((PipeReader)reader!).CancelPendingRead(), body, time, Timeout.InfiniteTimeSpan);
        }
        else
        {
            _patience.Change(time, Timeout.InfiniteTimeSpan);
        }
    }

    private void StopPatience()
    {
        if (_restAwaited)
        {
            _restAwaited = false;
            _patience!.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }
}
