using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using RouteService.Api.Errors;
using RouteService.Api.Security;

namespace RouteService.Api.Hosting;

/// <summary>The TLS of the gRPC port: our certificate with the chain that came with it, and, for mutual TLS, the authorities of our clients'.</summary>
internal static class ServerTls
{
    private const string Variable = "RouteService__Grpc__CertificatePath";

    /// <summary>Reads what the options name.</summary>
    /// <returns>What a handshake takes, the newest; null where there is no certificate.</returns>
    /// <exception cref="SettingException">A file cannot be used, or clients' certificates are wanted without one of our own.</exception>
    public static ReloadedFile<SslServerAuthenticationOptions>? Open(GrpcOptions options, FileReloader files)
    {
        if (options.CertificatePath is null)
        {
            return options.ClientCaPath is null
                ? null
                : throw new SettingException($"RouteService__Grpc__ClientCaPath is set, and {Variable} is not: clients show certificates to a port that has one itself.");
        }

        return files.Open(
            Variable, [options.CertificatePath, options.CertificateKeyPath, options.ClientCaPath], () => Read(options));
    }

    private static SslServerAuthenticationOptions Read(GrpcOptions options)
    {
        var (certificate, chain) = ReadCertificate(options);
        var handshake = new SslServerAuthenticationOptions
        {
            // Made once: a context a connection would build the chain each time, and sessions could not be resumed.
            ServerCertificateContext = SslStreamCertificateContext.Create(certificate, chain, offline: true),
        };
        if (options.ClientCaPath is { } authorities)
        {
            handshake.ClientCertificateRequired = true;
            handshake.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                DisableCertificateDownloads = true,
            };
            handshake.CertificateChainPolicy.CustomTrustStore.ImportFromPemFile(authorities);
            if (handshake.CertificateChainPolicy.CustomTrustStore.Count == 0)
            {
                throw new FormatException($"'{authorities}' of RouteService__Grpc__ClientCaPath has no certificate in PEM.");
            }
        }

        return handshake;
    }

    private static (X509Certificate2 Certificate, X509Certificate2Collection Chain) ReadCertificate(GrpcOptions options)
    {
        var path = options.CertificatePath!;
        if (options.CertificateKeyPath is null && X509Certificate2.GetCertContentType(path) is X509ContentType.Pfx)
        {
            var all = X509CertificateLoader.LoadPkcs12CollectionFromFile(path, options.CertificatePassword);
            var own = all.FirstOrDefault(static certificate => certificate.HasPrivateKey) ?? throw new FormatException("it has no private key.");
            all.Remove(own);
            return (own, all);
        }

        // The first is ours, and those after it lead to its authority (RFC 8446, 4.4.2).
        var chain = new X509Certificate2Collection();
        chain.ImportFromPemFile(path);
        if (chain.Count > 0)
        {
            chain.RemoveAt(0);
        }

        return (X509Certificate2.CreateFromPemFile(path, options.CertificateKeyPath), chain);
    }
}
