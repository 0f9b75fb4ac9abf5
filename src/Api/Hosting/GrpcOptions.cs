using System.ComponentModel.DataAnnotations;

namespace RouteService.Api.Hosting;

/// <summary>The gRPC port.</summary>
internal sealed class GrpcOptions
{
    /// <summary>Port; 0 for any free port, which the start-up lines name.</summary>
    [Range(0, 65535)]
    public int Port { get; init; } = 50051;

    /// <summary>Limits and lifetime of connections.</summary>
    public ConnectionOptions Connection { get; init; } = new();

    /// <summary>Limit of a request message, in bytes.</summary>
    [Range(1, int.MaxValue)]
    public int MaxReceiveMessageSize { get; init; } = 4 * 1024 * 1024;

    /// <summary>Certificate in PEM or PFX, for TLS; without one the port is h2c.</summary>
    public string? CertificatePath { get; init; }

    /// <summary>Key of the certificate in PEM, if it is in a separate file.</summary>
    public string? CertificateKeyPath { get; init; }

    /// <summary>Password of a PFX, or of an encrypted key in PEM.</summary>
    public string? CertificatePassword { get; init; }

    /// <summary>
    /// Authorities of clients' certificates, in PEM. If set, only clients with a certificate of these authorities can connect (mutual TLS).
    /// </summary>
    public string? ClientCaPath { get; init; }
}

/// <summary>The management port: health, and metrics for Prometheus, over HTTP/1.1.</summary>
internal sealed class ManagementOptions
{
    /// <summary>Port; 0 for any free port.</summary>
    [Range(0, 65535)]
    public int Port { get; init; } = 8081;

    /// <summary>Whether Prometheus can scrape /metrics on this port.</summary>
    public bool Prometheus { get; init; }
}
