using Grpc.Core;

namespace Grpc.Net.Client.Internal;

/// <summary>
/// How the call ends: with what the server says, the caller's cancellation, the deadline, the channel's disposal, or a failure on this side.
/// The first of them decides the status, however they race; all go through <see cref="Decide"/>.
/// </summary>
internal sealed partial class ClientCall<TRequest, TResponse>
{
    private static readonly Status DeadlineExceeded = new(StatusCode.DeadlineExceeded, "The deadline of the call has passed.");
    private static readonly Status Cancelled = new(StatusCode.Cancelled, "The call was cancelled by its caller.");
    private static readonly Status Disposed = new(StatusCode.Cancelled, "The call was disposed of before it ended.");
    private static readonly Status ChannelDisposed = new(StatusCode.Cancelled, "The channel was disposed of before the call ended.");
    private static readonly Status RequestsRefused = new(
        StatusCode.Cancelled, "The server takes no more requests of this call; the status comes at the end of its responses.");

    // A timer cannot wait longer than this (2^32 - 2 ms, 49 days); a later deadline takes several.
    private static readonly TimeSpan MaxTimer = TimeSpan.FromMilliseconds(uint.MaxValue - 1);

    private readonly DateTime _deadline;
    private ITimer? _timer;
    private CancellationTokenRegistration _byCaller;
    private CancellationTokenRegistration _byServedCall;
    private CancellationTokenRegistration _byChannel;
    private Status _status;
    private bool _endedHere;
    private CancellationToken _cancelledBy;
    private volatile bool _ended;

    public bool HasEnded => _ended;

    private bool IsOk => _status.StatusCode == StatusCode.OK;

    private TimeSpan TimeLeft => _deadline - _channel.Options.Clock.GetUtcNow().UtcDateTime;

    public Status GetStatus() => _ended ? _status : throw new InvalidOperationException("Unable to get the status because the call is not complete.");

    public Metadata GetTrailers() => _ended ? ReadTrailers() : throw new InvalidOperationException("Can't get the call trailers because the call is not complete.");

    /// <summary>Cancels the call for its caller.</summary>
    public void Cancel(CancellationToken cancellationToken) => EndHere(Cancelled, cancellationToken);

    /// <summary>Lets a token of one read or write cancel the call. The call's own token does so already.</summary>
    public CancellationTokenRegistration CancelWith(CancellationToken cancellationToken) =>
        cancellationToken == _options.CancellationToken
            ? default
            : cancellationToken.UnsafeRegister(static (call, token) => ((ClientCall<TRequest, TResponse>)call!).Cancel(token), this);

    public void Dispose() => EndHere(Disposed);

    /// <summary>What the end of the call is to whoever waits for something of it.</summary>
    public Exception Failure()
    {
        var failure = new RpcException(_status, ReadTrailers());
        return _channel.Options.ThrowOperationCanceledOnCancellation && (_status.StatusCode == StatusCode.DeadlineExceeded || _endedHere)
            ? new OperationCanceledException(_status.Detail, failure, _cancelledBy)
            : failure;
    }

    /// <summary>Why the server takes no more requests: the status, where it comes without the reader's doing.</summary>
    public async Task<Exception> RequestsRefusedAsync()
    {
        if (_single is not null)
        {
            await ((Task)_single.Task).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return _ended ? Failure() : new RpcException(RequestsRefused);
    }

    private static DateTime DeadlineOf(in CallOptions options)
    {
        var own = options.Deadline ?? DateTime.MaxValue;
        if (own.Kind != DateTimeKind.Utc && own != DateTime.MaxValue && own != DateTime.MinValue)
        {
            throw new InvalidOperationException("Deadline must have a kind DateTimeKind.Utc or be equal to DateTime.MaxValue or DateTime.MinValue.");
        }

        return options.PropagationToken is CallPropagationToken served && served.Deadline < own ? served.Deadline : own;
    }

    private void StartDeadline()
    {
        if (_deadline == DateTime.MaxValue)
        {
            return;
        }

        if (TimeLeft <= TimeSpan.Zero)
        {
            EndHere(DeadlineExceeded);
            return;
        }

        // Started only once it is in its field: it may fire at once, and the end stops it there.
        _timer = _channel.Options.Clock.CreateTimer(
            static call => ((ClientCall<TRequest, TResponse>)call!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        OnTimer();
    }

    private void OnTimer()
    {
        var left = TimeLeft;
        if (left <= TimeSpan.Zero)
        {
            EndHere(DeadlineExceeded);
        }
        else
        {
            // Rounded up to the timer's milliseconds, for a timer that fires early would only be set again.
            var wait = TimeSpan.FromMilliseconds(Math.Ceiling(left.TotalMilliseconds));
            _timer!.Change(wait < MaxTimer ? wait : MaxTimer, Timeout.InfiniteTimeSpan);
        }
    }

    private void WatchForCancellation()
    {
        if (_ended)
        {
            return;
        }

        _byCaller = _options.CancellationToken.UnsafeRegister(static (call, token) => ((ClientCall<TRequest, TResponse>)call!).Cancel(token), this);
        if (_options.PropagationToken is CallPropagationToken { CancellationToken: var served })
        {
            _byServedCall = served.UnsafeRegister(static (call, token) => ((ClientCall<TRequest, TResponse>)call!).Cancel(token), this);
        }

        _byChannel = _channel.Disposing.UnsafeRegister(static call => ((ClientCall<TRequest, TResponse>)call!).EndHere(ChannelDisposed), this);
        if (_ended)
        {
            // One of them fired before all were in their fields.
            Unwatch();
        }
    }

    private void Unwatch()
    {
        // Without waiting for one that is just firing: this may be it.
        _byCaller.Unregister();
        _byServedCall.Unregister();
        _byChannel.Unregister();
    }

    /// <summary>Ends the call by this side's will.</summary>
    private void EndHere(in Status status, CancellationToken cancelledBy = default) => Decide(status, response: null, endedHere: true, cancelledBy);

    /// <summary>Ends the call by what the server says, or by a failure.</summary>
    private void End(Status status, TResponse? response = null)
    {
        if (_single is not null && response is null && status.StatusCode == StatusCode.OK)
        {
            status = NoMessage;
        }
        else if (status.StatusCode == StatusCode.Cancelled && _deadline != DateTime.MaxValue && TimeLeft <= TimeSpan.Zero)
        {
            // The server's timer has fired before ours, and it ended the call by CANCELLED or a reset: that is one outcome.
            status = new Status(StatusCode.DeadlineExceeded, DeadlineExceeded.Detail, status.DebugException);
        }

        Decide(status, response, endedHere: false, cancelledBy: default);
    }

    private void Decide(in Status status, TResponse? response, bool endedHere, CancellationToken cancelledBy)
    {
        lock (_abort)
        {
            if (_ended)
            {
                return;
            }

            _status = status;
            _endedHere = endedHere;
            _cancelledBy = cancelledBy;
            _ended = true;
        }

        _timer?.Dispose();
        Unwatch();

        // The send, a read or a write under way is stopped, the request body given up, and a stream that is not at its end reset.
        _abort.Cancel();
        Requests?.Stop();
        _response?.Dispose();

        // Last, for whoever waits then finds the call ended. Who cancels is not made to run what waits.
        if (endedHere)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static call => call.Release(null), this, preferLocal: true);
        }
        else
        {
            Release(response);
        }
    }

    private void Release(TResponse? response)
    {
        SetOpened();
        if (_single is null)
        {
            return;
        }

        if (IsOk)
        {
            _single.SetResult(response!);
        }
        else
        {
            _single.SetException(Failure());
            Observe(_single.Task);
        }
    }

    private Metadata ReadTrailers() => _trailers is null ? Metadata.Empty : ReadMetadata(_trailers);

    /// <summary>A fault that nobody looks at is no fault of the process: the status says the same.</summary>
    private static void Observe(Task task)
    {
        if (task.IsCompleted)
        {
            _ = task.Exception;
        }
        else
        {
            _ = task.ContinueWith(
                static task => _ = task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }
}
