using Grpc.Core;
using Grpc.Wire;
using Microsoft.AspNetCore.Http;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>What every gRPC request must be before anything else of it is looked at (PROTOCOL-HTTP2.md, "Requests").</summary>
internal static class RequestHead
{
    /// <summary>Answers a request that is not gRPC over HTTP/2 as HTTP answers it, and says so by false.</summary>
    public static bool TryAccept(HttpContext http)
    {
        if (!GrpcContentType.IsGrpc(http.Request.ContentType))
        {
            Refuse(http, StatusCodes.Status415UnsupportedMediaType, $"The content type is '{http.Request.ContentType}'; a gRPC request has 'application/grpc'.");
            return false;
        }

        if (!HttpProtocol.IsHttp2(http.Request.Protocol) && !HttpProtocol.IsHttp3(http.Request.Protocol))
        {
            Refuse(http, StatusCodes.Status426UpgradeRequired, $"gRPC needs HTTP/2; this request came by {http.Request.Protocol}.");
            http.Response.Headers.Upgrade = "HTTP/2";
            return false;
        }

        if (!HttpMethods.IsPost(http.Request.Method))
        {
            Refuse(http, StatusCodes.Status405MethodNotAllowed, $"The HTTP method is {http.Request.Method}; a gRPC request has POST.");
            http.Response.Headers.Allow = HttpMethods.Post;
            return false;
        }

        return true;
    }

    private static void Refuse(HttpContext http, int httpStatus, string reason)
    {
        http.Response.StatusCode = httpStatus;
        http.Response.ContentType = GrpcContentType.Name;
        Trailers.Write(http.Response.Headers, new Status(httpStatus == StatusCodes.Status415UnsupportedMediaType ? StatusCode.Unknown : StatusCode.Internal, reason));
    }
}
