using System.Diagnostics;
using Grpc.Core;

namespace RouteService.Client.Calls;

/// <summary>
/// Decides whether a stream that broke is opened again, and waits before that. A stream that has delivered nothing has the attempts of a
/// unary call. A stream that has delivered something has a time limit, from its break to the next delivery.
/// </summary>
internal sealed class Resumption(string method, CallContext context, CallLifetime lifetime, Activity? activity)
{
    private int _failures;
    private long _brokenSince;
    private bool _isBroken;

    /// <summary>Number of streams opened.</summary>
    public int Attempts { get; set; }

    /// <summary>
    /// Whether the call can be repeated: the service says so, or the transport ended the stream, and not the server: by a reset, or the end
    /// of the connection. A status of the server has no such exception. The calls that stream are safe to repeat.
    /// </summary>
    public static bool IsBreak(RpcException failure) =>
        Resilience.IsRetryable(failure) || failure.Status.DebugException is HttpRequestException or IOException;

    /// <summary>Records that the last stream has delivered something: the next break is the first again.</summary>
    public void Progress() => _failures = 0;

    /// <summary>Logs the first message after a break.</summary>
    public void Resumed()
    {
        if (_isBroken)
        {
            _isBroken = false;
            ClientLog.Resumed(context.Logger, method, context.Options.Clock.GetElapsedTime(_brokenSince).TotalMilliseconds);
        }
    }

    /// <summary>Waits until the next stream may be opened.</summary>
    /// <param name="failure">How the last stream ended.</param>
    /// <param name="isOurs">Whether the stream was ended here, because it was silent.</param>
    /// <param name="delivered">Messages that were delivered, now or before; null for a stream that is repeated from its beginning.</param>
    /// <param name="cancellationToken">The caller's.</param>
    /// <returns>False if no other stream may be opened.</returns>
    public async Task<bool> WaitAsync(RpcException failure, bool isOurs, long? delivered, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested || !(isOurs || IsBreak(failure)))
        {
            return false;
        }

        var options = context.Options;
        if (_failures++ == 0)
        {
            _brokenSince = options.Clock.GetTimestamp();
        }

        var pause = Resilience.Pause(failure, _failures - 1, options.Retry);
        var isOver = delivered is null
            ? _failures >= options.Retry.MaxAttempts
            : options.Clock.GetElapsedTime(_brokenSince) + pause > options.ResumeWithin;
        if (isOver || pause >= lifetime.TimeLeft)
        {
            return false;
        }

        CallTrace.Retry(activity, _failures, pause, failure.StatusCode);
        if (delivered is { } messages)
        {
            _isBroken = true;
            ClientLog.BrokeOff(context.Logger, method, messages, failure.Status, pause.TotalMilliseconds);
        }
        else
        {
            ClientLog.Retrying(context.Logger, method, _failures + 1, failure.Status, pause.TotalMilliseconds);
        }

        await Task.Delay(pause, options.Clock, cancellationToken).ConfigureAwait(false);
        return true;
    }
}
