using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using RouteService.Api.Security;

namespace RouteService.Api.Hosting;

internal static class Listeners
{
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(10);

    /// <summary>The two ports: gRPC over HTTP/2, and management over HTTP/1.1.</summary>
    public static void AddPorts(this WebApplicationBuilder builder)
    {
        builder.WebHost.ConfigureKestrel((_, kestrel) =>
        {
            var grpc = kestrel.ApplicationServices.GetRequiredService<GrpcOptions>();
            var tls = ServerTls.Open(grpc, kestrel.ApplicationServices.GetRequiredService<FileReloader>());
            kestrel.AddServerHeader = false;
            kestrel.ListenAnyIP(grpc.Port, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                listen.UseGrpcConnections(grpc.Connection);
                if (tls is not null)
                {
                    listen.UseHttps(new TlsHandshakeCallbackOptions
                    {
                        HandshakeTimeout = HandshakeTimeout,
                        OnConnection = _ => ValueTask.FromResult(tls.Current),
                    });
                }
            });
            kestrel.ListenAnyIP(kestrel.ApplicationServices.GetRequiredService<ManagementOptions>().Port, listen => listen.Protocols = HttpProtocols.Http1);
        });
    }
}
