using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Http.Features;

namespace RouteService.Api.Hosting;

internal static class CallBodies
{
    /// <summary>
    /// Gives each call a <see cref="RequestBody"/>, which limits the time for what has begun, and each call with a response
    /// stream a <see cref="ResponseBody"/>. Both avoid the locks that Kestrel's pipes take for each message.
    /// </summary>
    public static void UseCallBodies(this IApplicationBuilder app)
    {
        var clock = app.ApplicationServices.GetRequiredService<TimeProvider>();
        app.Use(next => context =>
        {
            if (context.GetEndpoint()?.Metadata.GetMetadata<GrpcMethodMetadata>()?.Method.Type is not { } type)
            {
                return next(context);
            }

            var isOneMessage = type is MethodType.Unary or MethodType.ServerStreaming;
            var request = new RequestBody(context.Request.BodyReader, clock, isOneMessage);
            context.Features.Set<IRequestBodyPipeFeature>(request);
            if (type is MethodType.ServerStreaming or MethodType.DuplexStreaming)
            {
                var response = context.Features.GetRequiredFeature<IHttpResponseBodyFeature>();
                context.Features.Set<IHttpResponseBodyFeature>(new ResponseBody(response));
            }

            return isOneMessage ? next(context) : RunAsync(next, context, request);
        });
    }

    private static async Task RunAsync(RequestDelegate next, HttpContext context, RequestBody request)
    {
        try
        {
            await next(context);
        }
        finally
        {
            request.Release();
        }
    }
}
