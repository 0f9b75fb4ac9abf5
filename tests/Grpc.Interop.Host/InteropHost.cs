using System.Net;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Grpc.Interop;

/// <summary>A server with the interop service, on loopback.</summary>
internal static class InteropHost
{
    /// <param name="port">0 for any that is free.</param>
    /// <param name="certificate">For TLS; null for h2c.</param>
    public static WebApplication Build(int port, X509Certificate2? certificate)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            if (certificate is not null)
            {
                listen.UseHttps(certificate);
            }
        }));
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<InteropTestService>();
        builder.Services.AddGrpc();
        var app = builder.Build();
        app.MapGrpcService<InteropTestService>();
        return app;
    }
}
