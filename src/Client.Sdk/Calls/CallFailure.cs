using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using Polly.CircuitBreaker;
using RouteService.Client.Catalog;
using Status = Grpc.Core.Status;

namespace RouteService.Client.Calls;

/// <summary>Maps the failure of a call to the exception for its caller.</summary>
internal static class CallFailure
{
    private const long NoError = 0x0;
    private const long ProtocolError = 0x1;

    // Of Grpc.Net.Client, for a response that ends without a status, and within a message.
    private const string NoStatus = "No grpc-status found on response.";
    private const string NoRest = "Unexpected end of content";

    /// <summary>
    /// The failure of a call, with the status that it has for a caller. Grpc.Net.Client reports INTERNAL for a handshake of TLS or HTTP/2
    /// that fails, for a connection that the server closes in order (GOAWAY), for one whose keep-alive ping is not answered, and for a
    /// response that a gateway ends within a message when it has lost the server; CANCELLED for one that it ends without a status. All of
    /// these are UNAVAILABLE, since the call may succeed on another connection. A call that its time limit has cancelled is
    /// DEADLINE_EXCEEDED. A channel with ThrowOperationCanceledOnCancellation throws <see cref="OperationCanceledException"/> for CANCELLED
    /// and DEADLINE_EXCEEDED, also if the server has sent them; the call still knows the status.
    /// </summary>
    /// <param name="exception">What the call has thrown.</param>
    /// <param name="status">The call's status; asked for if the exception has none.</param>
    /// <param name="trailers">The call's trailers; asked for if the exception has none.</param>
    /// <param name="lifetime">The call's.</param>
    public static RpcException Normalize(Exception exception, Func<Status> status, Func<Metadata> trailers, CallLifetime lifetime)
    {
        var failure = exception as RpcException ?? new RpcException(
            OfEnd(status, new Status(StatusCode.Cancelled, exception.Message, exception)), OfEnd(trailers, Metadata.Empty));
        if (failure.StatusCode == StatusCode.Cancelled && lifetime.IsLate)
        {
            return Late(failure);
        }

        if (failure.StatusCode == StatusCode.Unavailable)
        {
            return failure;
        }

        if (failure.Status is { StatusCode: StatusCode.Cancelled, Detail: NoStatus })
        {
            return new RpcException(new Status(StatusCode.Unavailable, "The response has ended without a status."), failure.Trailers);
        }

        for (var cause = failure.Status.DebugException; cause is not null; cause = cause.InnerException)
        {
            if (DescribeConnection(cause, failure.Status.Detail) is { } detail)
            {
                return new RpcException(new Status(StatusCode.Unavailable, detail, failure.Status.DebugException), failure.Trailers);
            }
        }

        return failure;
    }

    /// <summary>
    /// Whether a write failed because the server, the connection or this side ended the call. A write is given no token of the caller's.
    /// </summary>
    public static bool IsOfWrite(Exception e) =>
        e is RpcException or OperationCanceledException or HttpRequestException or IOException or InvalidOperationException;

    /// <summary>
    /// The service's reason, which tells failures of one status apart (docs/chat.md, docs/features.md); null if it gives none.
    /// </summary>
    public static ErrorInfo? InfoOf(RpcException failure) => DetailOf<ErrorInfo>(failure);

    /// <summary>
    /// Whether by this reason of a failure the store was too slow, or at its capacity: a stream that lives for days goes on when that is
    /// over.
    /// </summary>
    public static bool IsOfBusyStore(string? reason) => reason is "STORE_TOO_SLOW" or "STORE_OVERLOADED";

    /// <summary>The fields of the request that the service refuses; none if it names none.</summary>
    public static IReadOnlyList<FieldViolation> ViolationsOf(RpcException failure) =>
    [
        .. (DetailOf<BadRequest>(failure)?.FieldViolations ?? [])
            .Select(static violation => new FieldViolation(violation.Field, violation.Description)),
    ];

    /// <summary>The failure of a call whose time limit has passed.</summary>
    public static RpcException Late(Exception? cause = null) =>
        new(new Status(StatusCode.DeadlineExceeded, "The call's deadline has passed.", cause));

    /// <param name="method">Full name of the method.</param>
    /// <param name="failure">The last attempt.</param>
    /// <param name="attempts">Attempts that were sent.</param>
    /// <param name="delivered">Progress of a stream.</param>
    /// <param name="reason">Reason of the failure; null for that of the status.</param>
    public static RouteServiceException ToException(
        string method, RpcException failure, int attempts, long delivered = 0, FailureReason? reason = null)
    {
        var why = reason ?? ReasonOf(failure.StatusCode);
        var detail = DetailOf(failure.Status);
        var message = RouteServiceException.Describe(method, why, failure.StatusCode, detail, attempts);
        var info = why is FailureReason.NotFound or FailureReason.AlreadyExists or FailureReason.Conflict ? InfoOf(failure) : null;
        return new RouteServiceException(why, message, failure)
        {
            StatusCode = failure.StatusCode,
            Trailers = failure.Trailers,
            Detail = detail,
            FieldViolations = ViolationsOf(failure),
            Location = info?.Metadata.TryGetValue("feature", out var name) == true ? FeatureMapping.ToLocation(name) : null,
            CurrentEtag = info?.Metadata.TryGetValue("etag", out var etag) == true ? etag : null,
            Attempts = attempts,
            Delivered = delivered,
            RetryAfter = Resilience.Pushback(failure),
        };
    }

    /// <summary>The failure of a call that the circuit breaker has blocked.</summary>
    public static RouteServiceException OfOpenCircuit(string method, BrokenCircuitException failure, int attempts) => new(
        FailureReason.CircuitOpen,
        RouteServiceException.Describe(
            method,
            FailureReason.CircuitOpen,
            status: null,
            "the circuit breaker is open, because most of the last calls have failed.",
            attempts),
        failure)
    {
        Attempts = attempts,
        RetryAfter = failure.RetryAfter,
    };

    /// <summary>What a call says of its end; <paramref name="otherwise"/> if it says nothing.</summary>
    private static T OfEnd<T>(Func<T> get, T otherwise)
    {
        try
        {
            return get();
        }
        catch (InvalidOperationException)
        {
            return otherwise;
        }
    }

    private static string? DescribeConnection(Exception cause, string detail) => cause switch
    {
        HttpRequestException
        {
            HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError
                or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError or HttpRequestError.VersionNegotiationError
                or HttpRequestError.InvalidResponse or HttpRequestError.ResponseEnded
        } => detail,

        // The server closes the connection as soon as it is made, before the call is on it: .NET names neither an error nor a cause.
        HttpRequestException { HttpRequestError: HttpRequestError.Unknown, InnerException: null } => detail,

        // .NET has one exception for these and for a reset of the stream; only its message tells them apart.
        HttpProtocolException { ErrorCode: NoError } when cause.Message.Contains("closed the connection", StringComparison.Ordinal) =>
            "The server closed the connection before the call had ended; it is shutting down or draining.",
        HttpProtocolException { ErrorCode: ProtocolError } when cause.Message.Contains("ping request", StringComparison.Ordinal) =>
            "The server did not answer a keep-alive ping in time; the connection is considered dead.",
        InvalidDataException when cause.Message.StartsWith(NoRest, StringComparison.Ordinal) =>
            "The response has ended within a message.",
        _ => null,
    };

    private static FailureReason ReasonOf(StatusCode code) => code switch
    {
        StatusCode.Unavailable => FailureReason.Unavailable,
        StatusCode.DeadlineExceeded => FailureReason.DeadlineExceeded,
        StatusCode.ResourceExhausted => FailureReason.Exhausted,
        StatusCode.InvalidArgument or StatusCode.OutOfRange or StatusCode.FailedPrecondition => FailureReason.InvalidRequest,
        StatusCode.Unauthenticated => FailureReason.Unauthenticated,
        StatusCode.PermissionDenied => FailureReason.PermissionDenied,
        StatusCode.Unimplemented => FailureReason.Unimplemented,
        StatusCode.NotFound => FailureReason.NotFound,
        StatusCode.AlreadyExists => FailureReason.AlreadyExists,
        StatusCode.Aborted => FailureReason.Conflict,
        _ => FailureReason.Unexpected,
    };

    /// <summary>
    /// Text of a failure. The channel gives none for a deadline that passes here, and no cause for a connection that cannot be established.
    /// </summary>
    private static string DetailOf(Status status) => status switch
    {
        { StatusCode: StatusCode.DeadlineExceeded, Detail: "" } => "The call's deadline has passed.",
        { StatusCode: not StatusCode.DeadlineExceeded, DebugException: { } cause }
            when !status.Detail.Contains(cause.Message, StringComparison.Ordinal) => $"{status.Detail} {cause.Message}".Trim(),
        _ => status.Detail,
    };

    /// <summary>The detail of this type in the rich error model; null if there is none, or it cannot be read.</summary>
    private static T? DetailOf<T>(RpcException failure)
        where T : class, IMessage<T>, new()
    {
        try
        {
            return failure.GetRpcStatus()?.GetDetail<T>();
        }
        catch (InvalidProtocolBufferException)
        {
            // Details that cannot be read must not hide the failure itself.
            return null;
        }
    }
}
