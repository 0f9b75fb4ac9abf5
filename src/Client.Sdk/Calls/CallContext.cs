using System.Diagnostics;
using System.Globalization;
using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using RouteService.Contracts.Routeguide;

namespace RouteService.Client.Calls;

/// <summary>What all calls of one client share: options, the metadata of each attempt, and the mapping of failures to exceptions.</summary>
internal sealed class CallContext(RouteServiceClientOptions options, Func<bool> isDisposed, Uri server)
{
    private const string Pushback = "grpc-retry-pushback-ms";

    // Grpc.Net.Client chooses the encoding of requests by this metadata, which it does not send.
    private const string RequestEncoding = "grpc-internal-encoding-request";
    private const string PreviousAttempts = "grpc-previous-rpc-attempts";

    public RouteServiceClientOptions Options { get; } = options;

    public Uri Server { get; } = server;

    public DateTimeOffset Now => Options.Clock.GetUtcNow();

    /// <summary>Deadline of a call that starts now: its own, or that of the call being served here if it is earlier.</summary>
    public DateTimeOffset Deadline(TimeSpan timeout)
    {
        var own = timeout == Timeout.InfiniteTimeSpan || timeout > DateTimeOffset.MaxValue - Now
            ? DateTimeOffset.MaxValue
            : Now + timeout;
        return AmbientDeadline.Current is { } ambient && ambient.Deadline < own ? ambient.Deadline : own;
    }

    public TimeSpan TimeLeft(DateTimeOffset deadline) => deadline - Now;

    /// <summary>Options of an attempt: metadata, deadline and token.</summary>
    /// <param name="deadline">The call's.</param>
    /// <param name="previousAttempts">Attempts that were sent before.</param>
    /// <param name="extra">Metadata of the call; null for none.</param>
    /// <param name="cancellationToken">The call's.</param>
    public ValueTask<CallOptions> OptionsAsync(
        DateTimeOffset deadline, int previousAttempts, Metadata? extra, CancellationToken cancellationToken)
    {
        var headers = extra;
        if (Options.Compress)
        {
            (headers ??= []).Add(RequestEncoding, "gzip");
        }

        if (previousAttempts > 0)
        {
            (headers ??= []).Add(PreviousAttempts, previousAttempts.ToString(CultureInfo.InvariantCulture));
        }

        if (Activity.Current is { } activity)
        {
            // Injected here: HTTP would put a span of its own between the caller's and the server's (ServiceChannel).
            DistributedContextPropagator.Current.Inject(
                activity, headers ??= [], static (headers, key, value) => ((Metadata)headers!).Add(key, value));
        }

        // The channel uses the system's clock.
        var end = deadline == DateTimeOffset.MaxValue
            ? DateTime.MaxValue
            : (TimeProvider.System.GetUtcNow() + TimeLeft(deadline)).UtcDateTime;
        var call = new CallOptions(headers, end, cancellationToken);
        return Options.BearerToken is null ? new(call) : new(WithTokenAsync(call, deadline));
    }

    private async Task<CallOptions> WithTokenAsync(CallOptions call, DateTimeOffset deadline)
    {
        var token = await TokenAsync(deadline, call.CancellationToken).ConfigureAwait(false);
        if (string.IsNullOrEmpty(token))
        {
            return call;
        }

        var headers = call.Headers ?? [];
        headers.Add("authorization", $"Bearer {token}");
        return call.WithHeaders(headers);
    }

    private async ValueTask<string?> TokenAsync(DateTimeOffset deadline, CancellationToken cancellationToken)
    {
        var token = Options.BearerToken!(cancellationToken);
        if (token.IsCompleted)
        {
            return await token.ConfigureAwait(false);
        }

        // The call ends even if BearerToken ignores its token.
        var coming = token.AsTask();
        try
        {
            return await coming.WaitAsync(TimerUntil(deadline), Options.Clock, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException e) when (!coming.IsCompleted)
        {
            throw new RpcException(new Grpc.Core.Status(
                StatusCode.DeadlineExceeded, "BearerToken has given no token in the time of the call.", e));
        }
    }

    private TimeSpan TimerUntil(DateTimeOffset deadline)
    {
        var left = TimeLeft(deadline);
        return left > RouteServiceClientOptions.MaxTime ? Timeout.InfiniteTimeSpan : left < TimeSpan.Zero ? TimeSpan.Zero : left;
    }

    /// <summary>The coordinate of a point that the service sent.</summary>
    /// <exception cref="RpcException">The point is out of range.</exception>
    public static Coordinate ToCoordinate(Point? location)
    {
        var (latitude, longitude) = (location?.Latitude ?? 0, location?.Longitude ?? 0);
        return Coordinate.AreInRange(latitude, longitude)
            ? Coordinate.FromE7(latitude, longitude)
            : throw new RpcException(new Grpc.Core.Status(
                StatusCode.Internal,
                FormattableString.Invariant($"The server has sent something at {latitude},{longitude} in E7, which is nowhere.")));
    }

    public static Point ToPoint(Coordinate location) => new() { Latitude = location.LatitudeE7, Longitude = location.LongitudeE7 };

    /// <summary>
    /// Whether the same call may be sent again. <paramref name="pushback"/> is the pause that the server asks for; null for our own.
    /// </summary>
    public static bool IsRetryable(RpcException failure, out TimeSpan? pushback)
    {
        pushback = null;
        if (failure.Trailers.Get(Pushback) is not { IsBinary: false, Value: var text })
        {
            return failure.StatusCode == StatusCode.Unavailable;
        }

        // gRFC A6: a number of milliseconds. A negative number, or no number, forbids retries.
        if (!int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var milliseconds) || milliseconds < 0)
        {
            return false;
        }

        pushback = TimeSpan.FromMilliseconds(milliseconds);
        return failure.StatusCode is StatusCode.Unavailable or StatusCode.ResourceExhausted;
    }

    /// <summary>Pause before an attempt (gRFC A6): random, from zero to a bound that doubles.</summary>
    /// <param name="retry">1 for the second attempt.</param>
    public TimeSpan Backoff(int retry)
    {
        var bound = Math.Min(
            Options.Retry.MaxDelay.TotalSeconds, Options.Retry.Delay.TotalSeconds * Math.Pow(2, Math.Min(retry, 30) - 1));
        return TimeSpan.FromSeconds(bound * Chance.Next());
    }

    /// <summary>
    /// The exception that ends a call: cancellation, disposal, or a failure of the service, whose reason is <paramref name="reason"/>, or
    /// by default that of its status.
    /// </summary>
    public Exception End(
        string method, Exception failure, int attempts, long delivered, in Cancellation cancellation, FailureReason? reason = null)
    {
        if (cancellation.IsRequested)
        {
            return cancellation.ToException(failure);
        }

        if (isDisposed())
        {
            return new ObjectDisposedException("The RouteServiceClient was disposed of while the call ran.", failure);
        }

        return failure is RpcException rpc ? Failed(method, rpc, attempts, delivered, reason) : failure;
    }

    public static RouteServiceException Failed(
        string method, RpcException failure, int attempts, long delivered = 0, FailureReason? reason = null)
    {
        var why = reason ?? ReasonOf(failure.StatusCode);
        var status = StatusNames.Of(failure.StatusCode);
        var detail = DetailOf(failure.Status);
        _ = IsRetryable(failure, out var pushback);
        var message = RouteServiceException.Describe(method, why, status, detail, attempts);
        return new RouteServiceException(why, message, failure.Status.DebugException)
        {
            Status = status,
            Detail = detail,
            FieldViolations = ViolationsOf(failure),
            Attempts = attempts,
            Delivered = delivered,
            RetryAfter = pushback,
        };
    }

    private static FailureReason ReasonOf(StatusCode code) => code switch
    {
        StatusCode.Unavailable => FailureReason.Unavailable,
        StatusCode.DeadlineExceeded => FailureReason.DeadlineExceeded,
        StatusCode.ResourceExhausted => FailureReason.Exhausted,
        StatusCode.InvalidArgument or StatusCode.OutOfRange or StatusCode.FailedPrecondition => FailureReason.InvalidRequest,
        StatusCode.Unauthenticated => FailureReason.Unauthenticated,
        StatusCode.PermissionDenied => FailureReason.PermissionDenied,
        StatusCode.Unimplemented => FailureReason.Unimplemented,
        _ => FailureReason.Unexpected,
    };

    /// <summary>
    /// Text of a failure. The channel gives none for a deadline that passes here, and no cause for a connection that cannot be established.
    /// </summary>
    private static string DetailOf(Grpc.Core.Status status) => status switch
    {
        { StatusCode: StatusCode.DeadlineExceeded, Detail: "" } => "The time of the call was over.",
        { DebugException: { } cause } when !status.Detail.Contains(cause.Message, StringComparison.Ordinal) =>
            $"{status.Detail} {cause.Message}".Trim(),
        _ => status.Detail,
    };

    private static IReadOnlyList<FieldViolation> ViolationsOf(RpcException failure)
    {
        try
        {
            var violations = failure.GetRpcStatus()?.GetDetail<BadRequest>()?.FieldViolations ?? [];
            return [.. violations.Select(static violation => new FieldViolation(violation.Field, violation.Description))];
        }
        catch (InvalidProtocolBufferException)
        {
            // Details that cannot be read must not hide the failure itself.
            return [];
        }
    }
}
