using Grpc.Core;

namespace RouteService.Client.Calls;

/// <summary>
/// Tells a failed connection from a fault of the service. Grpc.Net.Client reports INTERNAL for a handshake of TLS or HTTP/2 that fails, for
/// a connection that the server closes in order (GOAWAY), and for one whose keep-alive ping is not answered. To a caller all of these are
/// UNAVAILABLE: the call may succeed on another connection.
/// </summary>
internal static class ConnectionFailure
{
    private const long NoError = 0x0;
    private const long ProtocolError = 0x1;

    /// <summary>The same failure, as UNAVAILABLE where it is the connection's.</summary>
    public static RpcException AsUnavailable(RpcException failure)
    {
        if (failure.StatusCode == StatusCode.Unavailable)
        {
            return failure;
        }

        for (var cause = failure.Status.DebugException; cause is not null; cause = cause.InnerException)
        {
            if (Describe(cause, failure.Status.Detail) is { } detail)
            {
                return new RpcException(new Status(StatusCode.Unavailable, detail, failure.Status.DebugException), failure.Trailers);
            }
        }

        return failure;
    }

    private static string? Describe(Exception cause, string detail) => cause switch
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
            "The server closed the connection before the call had ended; it is going away.",
        HttpProtocolException { ErrorCode: ProtocolError } when cause.Message.Contains("ping request", StringComparison.Ordinal) =>
            "The server did not answer a keep-alive ping in time; the connection is taken for dead.",
        _ => null,
    };
}
