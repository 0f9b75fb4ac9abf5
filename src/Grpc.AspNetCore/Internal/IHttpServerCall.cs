using Microsoft.AspNetCore.Http;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>A call whatever its messages are.</summary>
internal interface IHttpServerCall
{
    HttpContext Http { get; }
}
