using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace RouteService.Testing;

/// <summary>An authority of a test, and its certificates.</summary>
public sealed class Authority : IDisposable
{
    private readonly X509Certificate2 _own;

    /// <summary>A root, or an intermediate under another.</summary>
    public Authority(string name = "An authority", Authority? root = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        if (root is null)
        {
            _own = request.CreateSelfSigned(Now.AddDays(-1), Now.AddDays(1));
            return;
        }

        using var certificate = request.Create(root._own, Now.AddDays(-1), Now.AddHours(18), RandomNumberGenerator.GetBytes(8));
        _own = certificate.CopyWithPrivateKey(key);
    }

    private static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    public string Pem => _own.ExportCertificatePem();

    /// <summary>A certificate for localhost, for a server and for a client alike.</summary>
    public X509Certificate2 Certify(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.Create(_own, Now.AddDays(-1), Now.AddHours(12), RandomNumberGenerator.GetBytes(8));
        using var withKey = certificate.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(withKey.Export(X509ContentType.Pfx), null);
    }

    /// <summary>A handler that trusts only this authority, and presents a certificate if it has one.</summary>
    /// <param name="shown">Certificate to present; null for none.</param>
    /// <param name="seen">Called with the name of each server's certificate.</param>
    public SocketsHttpHandler Client(X509Certificate2? shown = null, Action<string>? seen = null)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.Add(_own);
        var options = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = policy,
            RemoteCertificateValidationCallback = (_, certificate, _, errors) =>
            {
                seen?.Invoke(certificate!.Subject);
                return errors == SslPolicyErrors.None;
            },
        };
        if (shown is not null)
        {
            options.LocalCertificateSelectionCallback = (_, _, _, _, _) => shown;
        }

        return new SocketsHttpHandler { SslOptions = options };
    }

    public void Dispose() => _own.Dispose();
}
