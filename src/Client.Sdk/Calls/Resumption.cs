using System.Diagnostics;
using Grpc.Core;

namespace RouteService.Client.Calls;

/// <summary>
/// Decides whether a stream that broke is opened again, and waits before. One of which nothing was delivered has the attempts of a unary call; one that was under way has
/// a time, from when it broke until something comes again.
/// </summary>
internal sealed class Resumption(CallContext context, DateTimeOffset deadline, Activity? activity)
{
    private int _failures;
    private long _brokenSince;

    /// <summary>Streams opened.</summary>
    public int Attempts { get; set; }

    /// <summary>
    /// Whether the transport ended the stream in the place of the server, by whatever code: a reset, or the end of the connection. A status would have come without an
    /// exception. What streams do can be done again.
    /// </summary>
    private static bool IsCutOff(RpcException failure) => failure.Status.DebugException is HttpRequestException or IOException;

    /// <summary>Whether what streams do can be done again: the service says so, or it has not ended the stream itself.</summary>
    public static bool IsBreak(RpcException failure) => CallContext.IsRetryable(failure, out _) || IsCutOff(failure);

    /// <summary>Something has come.</summary>
    public void Progress() => _failures = 0;

    /// <summary>Waits until it is time for the next stream.</summary>
    /// <param name="failure">How the last one ended.</param>
    /// <param name="isOurs">Whether it was ended here, because it was silent.</param>
    /// <param name="wasUnderWay">Whether anything was delivered, now or before.</param>
    /// <param name="cancellationToken">The caller's.</param>
    /// <returns>False where there is to be no other.</returns>
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
        var isOver = wasUnderWay ? options.Clock.GetElapsedTime(_brokenSince) + pause > options.ResumeWithin : _failures >= options.Retry.MaxAttempts;
        if (isOver || pause >= context.TimeLeft(deadline))
        {
            return false;
        }

        CallTrace.Retry(activity, _failures, pause, failure.StatusCode);
        await Task.Delay(pause, options.Clock, cancellationToken).ConfigureAwait(false);
        return true;
    }
}
