using System.Globalization;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace RouteService.Api.Security;

/// <summary>
/// Answers a call before it reaches its method, by a response of trailers only (gRPC over HTTP/2, "Responses"). Clients would map a bare
/// HTTP status to a code of their own.
/// </summary>
internal static class GrpcRefusal
{
    /// <param name="response">Response of the call, not started yet.</param>
    /// <param name="code">The status.</param>
    /// <param name="message">The status's message.</param>
    /// <param name="detail">The status's detail: a message of google/rpc/error_details.proto.</param>
    public static void Refuse(this HttpResponse response, StatusCode code, string message, IMessage detail)
    {
        var status = new Google.Rpc.Status { Code = (int)code, Message = message, Details = { Any.Pack(detail) } };
        response.StatusCode = StatusCodes.Status200OK;
        response.ContentType = "application/grpc";
        response.Headers["grpc-status"] = ((int)code).ToString(CultureInfo.InvariantCulture);

        // Percent-encoded as the protocol requires; it allows spaces, which people who read headers prefer.
        response.Headers["grpc-message"] = Uri.EscapeDataString(message).Replace("%20", " ", StringComparison.Ordinal);
        response.Headers["grpc-status-details-bin"] = Convert.ToBase64String(status.ToByteArray());
    }
}
