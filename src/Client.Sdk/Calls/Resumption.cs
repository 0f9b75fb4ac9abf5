using System.Diagnostics;
using Grpc.Core;

namespace RouteService.Client.Calls;

/// <summary>
/// Decides whether a stream that broke is opened again, and waits before that. A stream that has delivered nothing has the attempts of a
/// unary call. A stream that has delivered something has a time limit, from its break to the next delivery.
/// </summary>
internal sealed class Resumption(CallContext context, DateTimeOffset deadline, Activity? activity)
{
    private int _failures;
    private long _brokenSince;

    /// <summary>Number of streams opened.</summary>
    public int Attempts { get; set; }

    /// <summary>
    /// Whether the transport ended the stream, and not the server, with whatever code: by a reset, or the end of the connection. A status
    /// of the server has no such exception. The calls that stream are safe to repeat.
    /// </summary>
    private static bool IsCutOff(RpcException failure) => failure.Status.DebugException is HttpRequestException or IOException;

    /// <summary>Whether the call can be repeated: the service says so, or has not ended the stream itself.</summary>
    public static bool IsBreak(RpcException failure) => CallContext.IsRetryable(failure, out _) || IsCutOff(failure);

    /// <summary>Records a delivery.</summary>
    public void Progress() => _failures = 0;

    /// <summary>Waits until the next stream may be opened.</summary>
    /// <param name="failure">How the last stream ended.</param>
    /// <param name="isOurs">Whether the stream was ended here, because it was silent.</param>
    /// <param name="wasUnderWay">Whether anything was delivered, now or before.</param>
    /// <param name="cancellationToken">The caller's.</param>
    /// <returns>False if no other stream may be opened.</returns>
    public async Task<bool> WaitAsync(RpcException failure, bool isOurs, bool wasUnderWay, CancellationToken cancellationToken)
    {
        TimeSpan? pushback = null;
        if (cancellationToken.IsCancellationRequested || !(isOurs || CallContext.IsRetryable(failure, out pushback) || IsCutOff(failure)))
        {
            return false;
        }

        var options = context.Options;
        if (_failures++ == 0)
        {
            _brokenSince = options.Clock.GetTimestamp();
        }

        var pause = pushback ?? context.Backoff(_failures);
        var isOver = wasUnderWay
            ? options.Clock.GetElapsedTime(_brokenSince) + pause > options.ResumeWithin
            : _failures >= options.Retry.MaxAttempts;
        if (isOver || pause >= context.TimeLeft(deadline))
        {
            return false;
        }

        CallTrace.Retry(activity, _failures, pause, failure.StatusCode);
        await Task.Delay(pause, options.Clock, cancellationToken).ConfigureAwait(false);
        return true;
    }
}
