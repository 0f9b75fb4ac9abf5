using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Grpc.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace RouteService.Api.Hosting;

internal static class Listeners
{
    /// <summary>The two ports: gRPC over HTTP/2, and management over HTTP/1.1 (with HTTP/2 for gRPC health there).</summary>
    public static void AddListeners(this WebApplicationBuilder builder, Settings settings)
    {
        var certificate = LoadCertificate(settings.Grpc);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.ListenAnyIP(settings.Grpc.Port, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                listen.UseGrpcConnections(settings.Grpc.Connection);
                if (certificate is not null)
                {
                    listen.UseHttps(certificate);
                }
            });
            kestrel.ListenAnyIP(settings.Management.Port, listen => listen.Protocols = HttpProtocols.Http1);
        });
    }

    private static X509Certificate2? LoadCertificate(GrpcOptions options)
    {
        if (options.CertificatePath is not { } path)
        {
            return null;
        }

        try
        {
            if (options.CertificateKeyPath is null && X509Certificate2.GetCertContentType(path) is X509ContentType.Pfx)
            {
                return X509CertificateLoader.LoadPkcs12FromFile(path, options.CertificatePassword);
            }

            return X509Certificate2.CreateFromPemFile(path, options.CertificateKeyPath);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new SettingException($"{Settings.Variable("RouteService:Grpc:CertificatePath")} is '{path}', which cannot be used: {e.Message}");
        }
    }
}
