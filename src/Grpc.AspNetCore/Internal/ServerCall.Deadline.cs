using Grpc.Core;
using Grpc.Wire;
using Microsoft.AspNetCore.Http.Features;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>The call's time: grpc-timeout starts a timer, and when it fires first the call ends DEADLINE_EXCEEDED, whatever the handler does.</summary>
internal sealed partial class ServerCall<TRequest, TResponse>
{
    public static readonly Status DeadlineExceeded = new(StatusCode.DeadlineExceeded, "Deadline Exceeded");

    // A timer cannot wait longer than this (2^32 - 2 ms, 49 days); a call may ask for more and is then not timed.
    private static readonly TimeSpan MaxTimer = TimeSpan.FromMilliseconds(uint.MaxValue - 1);

    private TimeSpan _timeout;
    private DateTime _deadline = DateTime.MaxValue;
    private ITimer? _timer;
    private CancellationTokenSource? _cancellation;
    private CancellationTokenRegistration _clientGone;
    private Task? _deadlineAnswer;

    private bool TryReadTimeout(out TimeSpan? timeout)
    {
        timeout = null;
        if (http.Request.Headers["grpc-timeout"] is [{ } text, ..])
        {
            if (!GrpcTimeout.TryParse(text, out var parsed))
            {
                Trailers.Write(http.Response.Headers, new Status(
                    StatusCode.Internal, $"The grpc-timeout '{text}' is not up to eight digits and a unit of H, M, S, m, u, n."));
                return false;
            }

            timeout = parsed;
        }

        return true;
    }

    private void StartDeadline(TimeSpan? timeout)
    {
        if (timeout is not { } time)
        {
            return;
        }

        _timeout = time;
        var now = _runtime.Clock.GetUtcNow().UtcDateTime;
        _deadline = time < DateTime.MaxValue - now ? now + time : DateTime.MaxValue;
        _cancellation = new CancellationTokenSource();
        _clientGone = http.RequestAborted.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _cancellation);
        if (time <= MaxTimer)
        {
            _timer = _runtime.Clock.CreateTimer(static call => ((ServerCall<TRequest, TResponse>)call!).OnDeadline(), this, time, Timeout.InfiniteTimeSpan);
        }
    }

    private void StopDeadline()
    {
        _timer?.Dispose();

        // Not Dispose, which waits for a callback that is running: it may be the handler's own code.
        _clientGone.Unregister();
    }

    private void OnDeadline()
    {
        // The answer must be there for whoever finds the call ended, so it is set before the end is.
        var answer = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _deadlineAnswer = answer.Task;
        if (Interlocked.Exchange(ref _ended, 1) != 0)
        {
            return;
        }

        ServerCallLog.DeadlineExceeded(_runtime.Logger, Method, _timeout);
        _ = AnswerDeadlineAsync(answer);
    }

    /// <summary>Tells the client at once; the handler, which may take its time to notice, can no longer write.</summary>
    private async Task AnswerDeadlineAsync(TaskCompletionSource answer)
    {
        try
        {
            StopDeadline();
            Requests.Close();
            var drained = Responses.CloseAsync();

            // What the handler's callbacks throw is the handler's; the client is told all the same.
            await _cancellation!.CancelAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (drained.IsCompleted && !http.RequestAborted.IsCancellationRequested)
            {
                // Without the handler's trailers, which it may be adding to.
                WriteTrailers(DeadlineExceeded, metadata: null);
                await http.Response.CompleteAsync();
            }

            // NO_ERROR (RFC 9113, 7) ends a request body that is still open. Where the client does not read, what was written stands in the
            // way of the trailers, and the reset is all that can be said.
            http.Features.Get<IHttpResetFeature>()?.Reset(drained.IsCompleted ? 0 : 8);
        }
        finally
        {
            answer.SetResult();
        }
    }
}
