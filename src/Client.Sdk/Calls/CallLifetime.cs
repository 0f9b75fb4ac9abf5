using Grpc.Core;

namespace RouteService.Client.Calls;

/// <summary>
/// Limits the duration of a call: by its time limit, its caller's token, and those of the inbound call that it serves
/// (<see cref="AmbientDeadline"/>).
/// </summary>
/// <remarks>
/// The time limit runs on the monotonic clock. The channel's own timer does not: it compares the deadline with the time of day, so a clock
/// that is set back would prolong the call.
/// </remarks>
internal sealed class CallLifetime : IDisposable
{
    private readonly TimeProvider _clock;
    private readonly long _start;
    private readonly TimeSpan _limit;
    private readonly CancellationToken _caller;
    private readonly CancellationToken _served;
    private readonly CancellationTokenSource? _end;
    private readonly CancellationTokenRegistration _onCaller;
    private readonly CancellationTokenRegistration _onServed;

    /// <param name="clock">Clock of the time limit.</param>
    /// <param name="timeout">Time limit from now on; <see cref="Timeout.InfiniteTimeSpan"/> for none.</param>
    /// <param name="caller">The caller's token.</param>
    public CallLifetime(TimeProvider clock, TimeSpan timeout, CancellationToken caller)
    {
        _clock = clock;
        _start = clock.GetTimestamp();
        _caller = caller;
        _limit = timeout == Timeout.InfiniteTimeSpan ? TimeSpan.MaxValue : timeout;
        if (AmbientDeadline.Current is { } scope)
        {
            _served = scope.CancellationToken;
            _limit = scope.TimeLeft < _limit ? scope.TimeLeft : _limit;
        }

        if (_limit <= RouteServiceClientOptions.MaxTime)
        {
            _end = new CancellationTokenSource(_limit > TimeSpan.Zero ? _limit : TimeSpan.Zero, clock);
        }
        else if (_caller.CanBeCanceled && _served.CanBeCanceled)
        {
            _end = new CancellationTokenSource();
        }

        if (_end is not null)
        {
            _onCaller = _caller.UnsafeRegister(Cancel, _end);
            _onServed = _served.UnsafeRegister(Cancel, _end);
        }
    }

    /// <summary>Cancelled when the call has to end, for any reason.</summary>
    public CancellationToken Token => _end?.Token ?? (_caller.CanBeCanceled ? _caller : _served);

    /// <summary>Time until the limit; <see cref="TimeSpan.MaxValue"/> without one.</summary>
    public TimeSpan TimeLeft => _limit == TimeSpan.MaxValue ? _limit : _limit - _clock.GetElapsedTime(_start);

    /// <summary>Whether the caller, or the call being served, has cancelled the call.</summary>
    public bool IsCancelled => _caller.IsCancellationRequested || _served.IsCancellationRequested;

    /// <summary>Whether the time limit has ended the call.</summary>
    public bool IsLate => _end is { IsCancellationRequested: true } && !IsCancelled;

    /// <summary>Whether code of the caller that has the call's token has thrown this because the call has to end.</summary>
    public bool IsEnd(Exception e) => Token.IsCancellationRequested
        && e is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled or StatusCode.DeadlineExceeded };

    /// <summary>The deadline that the channel sends to the server, by the time of day; null for none.</summary>
    public DateTime? ToDeadline() => TimeLeft is var left && left <= RouteServiceClientOptions.MaxTime
        ? (TimeProvider.System.GetUtcNow() + left).UtcDateTime
        : null;

    /// <summary>The exception that a cancelled call throws.</summary>
    public OperationCanceledException ToException(Exception failure) => _caller.IsCancellationRequested
        ? new OperationCanceledException("The caller has cancelled the call.", failure, _caller)
        : new OperationCanceledException("The inbound call that this call was made for has ended.", failure, _served);

    public void Dispose()
    {
        _onCaller.Dispose();
        _onServed.Dispose();
        _end?.Dispose();
    }

    private static void Cancel(object? source) => ((CancellationTokenSource)source!).Cancel();
}
