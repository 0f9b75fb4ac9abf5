using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Wire;

namespace Grpc.Net.Client.Internal;

/// <summary>
/// What an HTTP response, or its failure, means as a status: PROTOCOL-HTTP2.md ("Responses", "Errors") and http-grpc-status-mapping.md.
/// </summary>
internal static class ResponseStatus
{
    public static readonly Status Missing = new(StatusCode.Unknown, "The response ended without a grpc-status.");

    /// <summary>The status that headers or trailers hold; null where they have none.</summary>
    public static Status? Read(HttpHeaders headers)
    {
        if (!headers.NonValidated.TryGetValues("grpc-status", out var codes))
        {
            return null;
        }

        var detail = headers.NonValidated.TryGetValues("grpc-message", out var messages) ? PercentEncoding.Decode(messages.ToString()) : "";
        var text = codes.ToString();
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var code) && code <= (int)StatusCode.Unauthenticated
            ? new Status((StatusCode)code, detail)
            : new Status(StatusCode.Unknown, $"The grpc-status '{text}' is not one that is known here. {detail}".TrimEnd());
    }

    /// <summary>What is wrong with a response that is not gRPC's; null where nothing is.</summary>
    public static Status? Refuse(HttpResponseMessage response)
    {
        if (response.StatusCode != HttpStatusCode.OK)
        {
            return new Status(Of(response.StatusCode), string.Create(CultureInfo.InvariantCulture, $"The server answered with HTTP status {(int)response.StatusCode}."));
        }

        return response.Content.Headers.NonValidated.TryGetValues("Content-Type", out var type) && GrpcContentType.IsGrpc(type.ToString())
            ? null
            : new Status(StatusCode.Unknown, $"The content type of the response is '{type}', not {GrpcContentType.Name}.");
    }

    /// <summary>What a failure to send or to read means.</summary>
    public static Status Of(Exception failure)
    {
        for (var cause = failure; cause is not null; cause = cause.InnerException)
        {
            switch (cause)
            {
                case RpcException rpc:
                    return rpc.Status;

                // A server that goes away in order says so by a GOAWAY of NO_ERROR, and may close the connection before the status of an open stream
                // has been read. .NET has one exception for that and for a reset of the stream, and only its words tell them apart.
                case HttpProtocolException { ErrorCode: 0x0 } when cause.Message.Contains("closed the connection", StringComparison.Ordinal):
                    return new Status(StatusCode.Unavailable, "The server closed the connection before the call had ended; it is going away.", failure);

                // Nor is there another sign of a keepalive ping that was not answered: .NET ends the connection as by an error of the protocol.
                case HttpProtocolException { ErrorCode: 0x1 } when cause.Message.Contains("ping request", StringComparison.Ordinal):
                    return new Status(StatusCode.Unavailable, "The server did not answer a keepalive ping in time; the connection is taken for dead.", failure);

                case HttpProtocolException { ErrorCode: var code }:
                    return new Status(OfHttp2(code), string.Create(CultureInfo.InvariantCulture, $"The server ended the stream with HTTP/2 error {NameOf(code)}."), failure);
            }
        }

        for (var cause = failure; cause is not null; cause = cause.InnerException)
        {
            if (cause is IOException or SocketException
                or HttpRequestException
                {
                    HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError
                        or HttpRequestError.ProxyTunnelError or HttpRequestError.VersionNegotiationError or HttpRequestError.ResponseEnded
                })
            {
                return new Status(StatusCode.Unavailable, $"The server cannot be reached: {Reason(failure)}", failure);
            }
        }

        return failure is OperationCanceledException
            ? new Status(StatusCode.Cancelled, failure.Message, failure)
            : new Status(StatusCode.Internal, $"The call failed on this side: {failure.Message}", failure);
    }

    /// <summary>Of TLS .NET says only that something is wrong, and what it is one further in.</summary>
    private static string Reason(Exception failure) => failure is HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError, InnerException: { } cause }
        ? cause.Message
        : failure.Message;

    private static StatusCode Of(HttpStatusCode status) => status switch
    {
        HttpStatusCode.BadRequest or HttpStatusCode.RequestHeaderFieldsTooLarge => StatusCode.Internal,
        HttpStatusCode.Unauthorized => StatusCode.Unauthenticated,
        HttpStatusCode.Forbidden => StatusCode.PermissionDenied,
        HttpStatusCode.NotFound => StatusCode.Unimplemented,
        HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout => StatusCode.Unavailable,
        _ => StatusCode.Unknown,
    };

    // The codes of RFC 9113, 7.
    private static StatusCode OfHttp2(long code) => code switch
    {
        0x7 => StatusCode.Unavailable,
        0x8 => StatusCode.Cancelled,
        0xb => StatusCode.ResourceExhausted,
        0xc => StatusCode.PermissionDenied,
        _ => StatusCode.Internal,
    };

    private static string NameOf(long code) => code switch
    {
        0x0 => "NO_ERROR",
        0x1 => "PROTOCOL_ERROR",
        0x2 => "INTERNAL_ERROR",
        0x3 => "FLOW_CONTROL_ERROR",
        0x4 => "SETTINGS_TIMEOUT",
        0x5 => "STREAM_CLOSED",
        0x6 => "FRAME_SIZE_ERROR",
        0x7 => "REFUSED_STREAM",
        0x8 => "CANCEL",
        0x9 => "COMPRESSION_ERROR",
        0xa => "CONNECT_ERROR",
        0xb => "ENHANCE_YOUR_CALM",
        0xc => "INADEQUATE_SECURITY",
        0xd => "HTTP_1_1_REQUIRED",
        _ => string.Create(CultureInfo.InvariantCulture, $"0x{code:x}"),
    };
}
