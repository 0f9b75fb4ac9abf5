using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using RouteService.Api.Security;
using RouteService.Api.Telemetry;

namespace RouteService.Api.Hosting;

/// <summary>
/// Metrics of state that calls do not show: whether the service is ready, when its certificate expires, which files and keys could not be
/// reloaded, and the limit of its memory.
/// </summary>
internal sealed class StateMetrics : IHealthCheckPublisher
{
    // The limit of a container's memory in control groups, version 2 and 1.
    private static readonly string[] MemoryLimits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

    // Without a limit, version 1 reports a number near the largest.
    private const long Unlimited = 1L << 60;

    private volatile bool _isReady;

    public StateMetrics(
        IMeterFactory meters, IEnumerable<IReloaded> reloaded, WatchedFile<SslServerAuthenticationOptions>? tls = null)
    {
        var meter = meters.Create(ServerCallMetrics.MeterName);
        meter.CreateObservableGauge(
            "routeservice.ready", () => Number(_isReady), unit: null, "1 while the service is ready for calls, 0 while it is not.");
        meter.CreateObservableGauge(
            "routeservice.reload.failing",
            () => reloaded.Select(static one => new Measurement<int>(Number(one.IsStale), [new("setting", one.Setting)])),
            unit: null,
            "1 while the newest version of what the setting names cannot be used, 0 while it is in use.");
        meter.CreateObservableGauge(
            "routeservice.process.memory.limit", MemoryLimit, "By", "Memory that the container may use; the machine's without a limit.");
        if (tls is not null)
        {
            meter.CreateObservableGauge(
                "routeservice.tls.certificate.not_before",
                () => new DateTimeOffset(CertificateOf(tls).NotBefore).ToUnixTimeSeconds(),
                "s",
                "Begin of the validity of the server's certificate, in seconds since 1970.");
            meter.CreateObservableGauge(
                "routeservice.tls.certificate.not_after",
                () => new DateTimeOffset(CertificateOf(tls).NotAfter).ToUnixTimeSeconds(),
                "s",
                "End of the validity of the server's certificate, in seconds since 1970.");
        }
    }

    /// <summary>Records the result of the periodic health checks.</summary>
    public Task PublishAsync(HealthReport report, CancellationToken cancellationToken)
    {
        _isReady = report.Entries.Values
            .Where(static entry => entry.Tags.Contains(HealthEndpoints.Ready, StringComparer.Ordinal))
            .All(static entry => entry.Status is HealthStatus.Healthy);
        return Task.CompletedTask;
    }

    private static int Number(bool state) => state ? 1 : 0;

    private static X509Certificate2 CertificateOf(
        WatchedFile<SslServerAuthenticationOptions> tls) => tls.Current.ServerCertificateContext!.TargetCertificate;

    private static long MemoryLimit()
    {
        foreach (var path in MemoryLimits)
        {
            if (File.Exists(path)
                && long.TryParse(File.ReadAllText(path), CultureInfo.InvariantCulture, out var limit)
                && limit < Unlimited)
            {
                return limit;
            }
        }

        return GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
    }
}
