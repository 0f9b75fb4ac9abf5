using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using RouteService.Api.Errors;
using RouteService.Api.Security;

namespace RouteService.Api.Hosting;

/// <summary>
/// The TLS of the gRPC port: our certificate with its chain, and, for mutual TLS, the authorities of clients' certificates. A renewed
/// certificate is in use within 5 s, without a restart: <see cref="FileReloader"/> reads the files again when their bytes change. Open
/// connections keep the certificate that they began with. Files that cannot be used leave the previous certificate in use.
/// </summary>
internal static class ServerTls
{
    private const string Variable = "RouteService__Grpc__CertificatePath";

    /// <returns>The newest options of a handshake; null if no certificate is configured.</returns>
    /// <exception cref="SettingException">A file cannot be used, or another setting of TLS is set without a certificate.</exception>
    public static WatchedFile<SslServerAuthenticationOptions>? Open(GrpcOptions options)
    {
        if (options.CertificatePath is null)
        {
            var (name, belongsTo) = options switch
            {
                { ClientCaPath: not null } => ("ClientCaPath", "only a port with a certificate can ask clients for theirs"),
                { CertificateKeyPath: not null } => ("CertificateKeyPath", "a key belongs to a certificate"),
                { CertificatePassword: not null } => ("CertificatePassword", "a password belongs to a certificate"),
                _ => default,
            };
            return name is null
                ? null
                : throw new SettingException($"RouteService__Grpc__{name} is set, and {Variable} is not: {belongsTo}.");
        }

        return new WatchedFile<SslServerAuthenticationOptions>(
            [
                (Variable, options.CertificatePath),
                ("RouteService__Grpc__CertificateKeyPath", options.CertificateKeyPath),
                ("RouteService__Grpc__ClientCaPath", options.ClientCaPath),
            ],
            () => Read(options));
    }

    private static SslServerAuthenticationOptions Read(GrpcOptions options)
    {
        var (certificate, chain) = ReadCertificate(options);
        var handshake = new SslServerAuthenticationOptions
        {
            // Built once: per-connection contexts would rebuild the chain and defeat TLS resumption.
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
            ReadAuthorities(authorities, handshake.CertificateChainPolicy);
        }

        return handshake;
    }

    private static void ReadAuthorities(string path, X509ChainPolicy policy)
    {
        var all = policy.CustomTrustStore;
        all.ImportFromPemFile(path);
        if (all.Count == 0)
        {
            throw new FormatException($"'{path}' of RouteService__Grpc__ClientCaPath has no certificate in PEM.");
        }

        // Only a root ends a chain; with an intermediate alone every handshake would fail.
        foreach (var authority in all)
        {
            using var chain = new X509Chain { ChainPolicy = policy.Clone() };
            chain.Build(authority);
            if (chain.ChainStatus.Any(static status => status.Status is X509ChainStatusFlags.PartialChain))
            {
                throw new FormatException(
                    $"'{path}' of RouteService__Grpc__ClientCaPath has the intermediate authority '{authority.Subject}' "
                    + $"without the root that it leads to; add the certificate of '{chain.ChainElements[^1].Certificate.Issuer}'.");
            }
        }
    }

    private static (X509Certificate2 Certificate, X509Certificate2Collection Chain) ReadCertificate(GrpcOptions options)
    {
        var path = options.CertificatePath!;
        if (options.CertificateKeyPath is null && X509Certificate2.GetCertContentType(path) is X509ContentType.Pfx)
        {
            var all = X509CertificateLoader.LoadPkcs12CollectionFromFile(path, options.CertificatePassword);
            var own = all.FirstOrDefault(static certificate => certificate.HasPrivateKey)
                ?? throw new FormatException("it has no private key.");
            all.Remove(own);
            return (own, all);
        }

        // The first certificate is ours, and the others lead to its authority (RFC 8446, 4.4.2).
        var chain = new X509Certificate2Collection();
        chain.ImportFromPemFile(path);
        if (chain.Count > 0)
        {
            chain.RemoveAt(0);
        }

        try
        {
            return (ReadPem(path, options), chain);
        }
        catch (Exception e)
            when (e is CryptographicException or ArgumentException or FormatException && options.CertificateKeyPath is { } key)
        {
            throw new FormatException($"with '{key}' of RouteService__Grpc__CertificateKeyPath: {e.Message}", e);
        }
    }

    private static X509Certificate2 ReadPem(string path, GrpcOptions options)
    {
        const string PasswordVariable = "RouteService__Grpc__CertificatePassword";
        var (key, password) = (File.ReadAllText(options.CertificateKeyPath ?? path), options.CertificatePassword);
        return (key.Contains("BEGIN ENCRYPTED PRIVATE KEY", StringComparison.Ordinal), password) switch
        {
            (true, not null) => Decrypt(),
            (true, null) => throw new FormatException($"the key is encrypted; set {PasswordVariable}."),

            // OpenSSL's own form (RFC 1421), which .NET does not read.
            _ when key.Contains("Proc-Type: 4,ENCRYPTED", StringComparison.Ordinal) => throw new FormatException(
                "the key is encrypted in an old form; expected PKCS #8, which 'openssl pkcs8 -topk8' makes of it."),
            (false, not null) => throw new FormatException($"the key is not encrypted, and {PasswordVariable} is set; remove one."),
            _ => X509Certificate2.CreateFromPemFile(path, options.CertificateKeyPath),
        };

        X509Certificate2 Decrypt()
        {
            try
            {
                return X509Certificate2.CreateFromEncryptedPemFile(path, password, options.CertificateKeyPath);
            }
            catch (CryptographicException e)
            {
                throw new FormatException($"the key is not that of the certificate, or {PasswordVariable} is not its password.", e);
            }
        }
    }
}
