namespace RouteService.Api.Hosting;

internal static class GrpcTimeouts
{
    private const string Header = "grpc-timeout";

    // At most eight digits and a unit (gRPC over HTTP/2, "Timeout").
    private const int MaxLength = 9;

    /// <summary>
    /// Passes over a timeout that is longer than the protocol allows. The stock server passes over any other that it cannot read, but its
    /// time overflows with these, which would end the call as a fault of the service.
    /// </summary>
    public static void UseGrpcTimeouts(this IApplicationBuilder app) => app.Use(static next => context =>
    {
        if (context.Request.Headers.TryGetValue(Header, out var timeout) && timeout.ToString().Length > MaxLength)
        {
            context.Request.Headers.Remove(Header);
        }

        return next(context);
    });
}
