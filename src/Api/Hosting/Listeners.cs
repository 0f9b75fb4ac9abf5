using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using RouteService.Api.Security;

namespace RouteService.Api.Hosting;

internal static class Listeners
{
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(10);

    /// <summary>The two ports: gRPC over HTTP/2, and management over HTTP/1.1.</summary>
    public static void AddListeners(this WebApplicationBuilder builder, Settings settings)
    {
        var tls = ServerTls.Open(settings.Grpc);
        if (tls is not null)
        {
            builder.Services.AddSingleton<IReloadedFile>(tls);
        }

        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.ListenAnyIP(settings.Grpc.Port, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                listen.UseGrpcConnections(settings.Grpc.Connection);
                if (tls is not null)
                {
                    listen.UseHttps(new TlsHandshakeCallbackOptions
                    {
                        HandshakeTimeout = HandshakeTimeout,
                        OnConnection = _ => ValueTask.FromResult(tls.Current),
                    });
                }
            });
            kestrel.ListenAnyIP(settings.Management.Port, static listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                listen.Use(static next => connection =>
                {
                    connection.Features.Set(new ManagementConnection());
                    return next(connection);
                });
            });
        });
    }
}

/// <summary>A feature of the management port's connections, by which a request tells where it came in.</summary>
internal sealed class ManagementConnection;
