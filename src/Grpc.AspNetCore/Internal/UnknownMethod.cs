using Grpc.Core;
using Grpc.Wire;
using Microsoft.AspNetCore.Http;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>The answer to a call of a service or method that nobody maps: UNIMPLEMENTED; to a request that is not gRPC, 404.</summary>
internal static class UnknownMethod
{
    private static readonly CallCounts Counts = ServerTelemetry.CountsOf(method: null);

    public static Task AnswerAsync(HttpContext http)
    {
        if (!GrpcContentType.IsGrpc(http.Request.ContentType))
        {
            http.Response.StatusCode = StatusCodes.Status404NotFound;
        }
        else if (RequestHead.TryAccept(http))
        {
            http.Response.ContentType = GrpcContentType.Name;
            var status = new Status(StatusCode.Unimplemented, $"There is no method {http.Request.Path}.");
            Trailers.Write(http.Response.Headers, status);
            ServerTelemetry.Describe(http, Counts, status);
            if (ServerTelemetry.IsEnabled)
            {
                Counts.Begin();
                ServerTelemetry.Ended(Counts, status.StatusCode, TimeSpan.Zero, received: 0, sent: 0);
            }
        }

        return Task.CompletedTask;
    }
}
