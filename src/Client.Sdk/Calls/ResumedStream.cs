using System.Diagnostics;
using System.Runtime.CompilerServices;
using Grpc.Core;

namespace RouteService.Client.Calls;

/// <summary>
/// One enumeration of a server's stream, which is opened again where it breaks. Its deadline is the argument <c>timeout</c>, for the whole
/// enumeration, or an earlier <see cref="AmbientDeadline"/>. Without both there is none, and <see cref="SilenceTimer"/> ends a silent
/// stream.
/// </summary>
/// <remarks>
/// Made for a million messages a second: a message that is already here is returned without a state machine. <see cref="WaitAsync"/>
/// handles the rest.
/// </remarks>
internal abstract class ResumedStream<T> : IAsyncEnumerator<T>
    where T : class
{
    private readonly string _method;
    private readonly CallContext _context;
    private readonly CancellationTokenSource? _linked;
    private readonly CallLifetime _lifetime;
    private readonly TimeSpan _silenceLimit;
    private readonly SilenceTimer _silence;

    private CallTrace _trace;
    private Resumption? _resumption;
    private AsyncServerStreamingCall<T>? _call;
    private IAsyncStreamReader<T>? _stream;
    private long _count;
    private bool _progressed;
    private bool _isOver;

    /// <param name="method">Full name of the method.</param>
    /// <param name="context">The client's.</param>
    /// <param name="timeout">Time limit; null for none.</param>
    /// <param name="silence">Longest wait for the server.</param>
    /// <param name="call">Token of the call.</param>
    /// <param name="enumeration">Token of the enumeration.</param>
    protected ResumedStream(
        string method, CallContext context, TimeSpan? timeout, TimeSpan silence, CancellationToken call, CancellationToken enumeration)
    {
        _method = method;
        _context = context;
        if (enumeration.CanBeCanceled && call.CanBeCanceled && enumeration != call)
        {
            _linked = CancellationTokenSource.CreateLinkedTokenSource(enumeration, call);
        }

        var caller = _linked?.Token ?? (enumeration.CanBeCanceled ? enumeration : call);
        _lifetime = new CallLifetime(context.Options.Clock, timeout ?? Timeout.InfiniteTimeSpan, caller);
        _silenceLimit = silence;
        _silence = new SilenceTimer(context.Options.Clock, silence, () => _call?.Dispose());
    }

    public T Current { get; private set; } = null!;

    /// <summary>Whether the next stream can go on where this one broke.</summary>
    protected virtual bool CanResume => true;

    /// <summary>Whether the server can end the stream in order; otherwise such an end is a break.</summary>
    protected virtual bool Ends => true;

    public ValueTask<bool> MoveNextAsync()
    {
        while (_stream is not null)
        {
            var next = _stream.MoveNext(CancellationToken.None);
            if (!next.IsCompletedSuccessfully || !next.Result)
            {
                return WaitAsync(next);
            }

            if (TryAccept(_stream.Current))
            {
                return new(true);
            }
        }

        return WaitAsync(null);
    }

    public ValueTask DisposeAsync()
    {
        End();
        return default;
    }

    /// <summary>Opens a stream that begins after the last message that was taken.</summary>
    protected abstract AsyncServerStreamingCall<T> Open(CallOptions options);

    /// <summary>Takes a message.</summary>
    /// <returns>False if it is not for the caller.</returns>
    protected abstract bool TryTake(T message);

    /// <summary>Records that the stream has gone on: by this number of items for the caller.</summary>
    protected void Progress(int items)
    {
        _count += items;
        _progressed = true;
    }

    /// <summary>Prepares for the next stream.</summary>
    protected virtual void Break()
    {
    }

    /// <summary>Whether the next stream can avoid this failure, which otherwise ends the call.</summary>
    protected virtual bool TryAvoid(RpcException failure) => false;

    protected virtual void Release()
    {
    }

    private bool TryAccept(T message)
    {
        if (!TryTake(message))
        {
            return false;
        }

        Current = message;
        return true;
    }

    /// <summary>Opens the stream, waits on it, and opens it again if it breaks, until there is a message or the end.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> WaitAsync(Task<bool>? next)
    {
        while (!_isOver)
        {
            RpcException failure;
            try
            {
                next ??= await OpenAsync().ConfigureAwait(false);
                _silence.Start();
                var isThere = await next.ConfigureAwait(false);
                _silence.Stop();
                if (!isThere)
                {
                    if (!Ends)
                    {
                        throw new RpcException(new Status(StatusCode.Unavailable, "The server has ended the stream."));
                    }

                    End();
                    return false;
                }

                _resumption!.Resumed();
                if (TryAccept(_stream!.Current))
                {
                    return true;
                }

                next = _stream.MoveNext(CancellationToken.None);
                continue;
            }
            catch (Exception e) when (e is RpcException || (e is OperationCanceledException && next is not null))
            {
                _silence.Stop();
                failure = CallFailure.Normalize(e, () => _call!.GetStatus(), () => _call!.GetTrailers(), _lifetime);
            }
            catch (ObjectDisposedException e) when (_silence.HasFired)
            {
                // The stream was ended before the wait for the next message began.
                failure = new RpcException(new Status(StatusCode.Cancelled, e.Message));
            }
            catch (Exception e)
            {
                throw Fail(_context.End(_method, e, _resumption!.Attempts, _count, _lifetime));
            }

            await RecoverAsync(failure).ConfigureAwait(false);
            next = null;
        }

        return false;
    }

    private async Task<Task<bool>> OpenAsync()
    {
        if (_resumption is null)
        {
            _trace = CallTrace.Start(_method, _context);
            _resumption = new Resumption(_method, _context, _lifetime, _trace.Activity);
        }

        Activity.Current = _trace.Activity ?? Activity.Current;
        var options = await _context.OptionsAsync(_lifetime, _resumption.Attempts++, extra: null, _lifetime.Token)
            .ConfigureAwait(false);
        _silence.Reset();
        _call = Open(options);
        _stream = _call.ResponseStream;
        return _stream.MoveNext(CancellationToken.None);
    }

    /// <summary>Waits until the stream may be opened again.</summary>
    /// <exception cref="RouteServiceException">The stream may not be opened again.</exception>
    private async Task RecoverAsync(RpcException failure)
    {
        _call?.Dispose();
        _stream = null;
        var isSilent = _silence.HasFired;
        if (_progressed)
        {
            _resumption!.Progress();
            _progressed = false;
        }

        if (isSilent)
        {
            failure = new RpcException(new Status(
                StatusCode.Unavailable,
                FormattableString.Invariant($"The server has been silent for {_silenceLimit.TotalSeconds} s.")));
        }

        // Nothing delivered yet, so nothing to repeat.
        var canResume = _count == 0 || CanResume;
        try
        {
            var delivered = _count > 0 ? _count : (long?)null;
            var isOurs = isSilent || TryAvoid(failure);
            if (canResume && await _resumption!.WaitAsync(failure, isOurs, delivered, _lifetime.Token).ConfigureAwait(false))
            {
                Break();
                return;
            }
        }
        catch (OperationCanceledException)
        {
            // The caller cancelled, which is reported below.
        }

        FailureReason? reason = !canResume && Resumption.IsBreak(failure) ? FailureReason.CannotResume
            : isSilent ? FailureReason.Stalled
            : null;
        throw Fail(_context.End(_method, failure, _resumption!.Attempts, _count, _lifetime, reason));
    }

    private Exception Fail(Exception failure)
    {
        _trace.Fail(failure);
        End();
        return failure;
    }

    private void End()
    {
        if (_isOver)
        {
            return;
        }

        _isOver = true;
        _stream = null;
        _call?.Dispose();
        _silence.Dispose();
        Release();
        _lifetime.Dispose();
        _linked?.Dispose();
        _trace.Dispose();
    }
}
