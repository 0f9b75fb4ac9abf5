using Grpc.AspNetCore.Server.Internal;
using Microsoft.AspNetCore.Http;

namespace Grpc.Core;

internal static class ServerCallContextExtensions
{
    /// <summary>The HTTP request behind a call.</summary>
    /// <exception cref="InvalidOperationException">The call is not one of this server's, but a test's perhaps.</exception>
    public static HttpContext GetHttpContext(this ServerCallContext serverCallContext)
    {
        ArgumentNullException.ThrowIfNull(serverCallContext);
        return serverCallContext is IHttpServerCall call
            ? call.Http
            : throw new InvalidOperationException("Could not get HttpContext from ServerCallContext. HttpContext can only be accessed when gRPC services are hosted by ASP.NET Core.");
    }
}
