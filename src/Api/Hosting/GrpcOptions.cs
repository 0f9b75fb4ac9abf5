using System.ComponentModel.DataAnnotations;

namespace RouteService.Api.Hosting;

/// <summary>Where gRPC is served.</summary>
internal sealed class GrpcOptions
{
    /// <summary>The port; 0 for any that is free, which the start-up lines then tell.</summary>
    [Range(0, 65535)]
    public int Port { get; init; } = 50051;

    /// <summary>What a connection may take and how long it lives.</summary>
    public ConnectionOptions Connection { get; init; } = new();

    /// <summary>The longest request message, in bytes.</summary>
    [Range(1, int.MaxValue)]
    public int MaxReceiveMessageSize { get; init; } = 4 * 1024 * 1024;

    /// <summary>A certificate in PEM or PFX, for TLS; without one the port is h2c.</summary>
    public string? CertificatePath { get; init; }

    /// <summary>The certificate's key in PEM, where it is in a file of its own.</summary>
    public string? CertificateKeyPath { get; init; }

    /// <summary>The password of a PFX.</summary>
    public string? CertificatePassword { get; init; }

    /// <summary>
    /// The authorities of clients' certificates, in PEM. If set, only clients with a certificate of theirs can connect (mutual TLS).
    /// </summary>
    public string? ClientCaPath { get; init; }
}

/// <summary>Where health, and metrics for Prometheus, are served over HTTP/1.1.</summary>
internal sealed class ManagementOptions
{
    /// <summary>The port; 0 for any that is free.</summary>
    [Range(0, 65535)]
    public int Port { get; init; } = 8081;

    /// <summary>Whether Prometheus can scrape /metrics there.</summary>
    public bool Prometheus { get; init; }
}
