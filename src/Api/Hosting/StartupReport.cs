using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using RouteService.Api.Security;
using RouteService.Api.Telemetry;
using RouteService.Domain.Features;

namespace RouteService.Api.Hosting;

/// <summary>Logs once, when the service is up: its version, its store, and how to call it.</summary>
internal sealed partial class StartupReport(
    IServer server,
    IFeatureStore features,
    StoreDescription store,
    GrpcOptions grpc,
    AuthOptions auth,
    IHostApplicationLifetime lifetime,
    TelemetrySettings telemetry,
    IConfiguration configuration,
    ILogger<StartupReport> logger)
    : IHostedLifecycleService
{
    private static readonly TimeSpan CountPatience = TimeSpan.FromSeconds(2);

    public async Task StartedAsync(CancellationToken cancellationToken)
    {
        // Kestrel lists its addresses in the order of its listeners.
        var ports = server.Features.Get<IServerAddressesFeature>()!.Addresses.Select(static address => new Uri(address).Port).ToList();
        var tls = grpc.CertificatePath is not null;
        Log.Version(logger, ServiceVersion.Text, RuntimeInformation.FrameworkDescription);
        await ReportStoreAsync(cancellationToken);
        if (configuration.GetConnectionString("RouteService") is null)
        {
            foreach (var other in configuration.GetSection("ConnectionStrings").GetChildren())
            {
                Log.ConnectionStringOfOthers(logger, Settings.Variable(other.Path));
            }
        }

        Log.Addresses(logger, ports[0], tls ? "TLS" : "h2c, without TLS", ports[1]);
        if (auth.Enabled)
        {
            Log.AccessControlled(logger);
        }
        else
        {
            Log.AccessOpen(logger);
        }

        if (telemetry.ExportsAny)
        {
            Log.Exporting(logger, telemetry.ToString());
        }

        if (telemetry.Prometheus)
        {
            Log.Scraped(logger, ports[1]);
        }

        if (!auth.Enabled)
        {
            Log.HowToCall(logger, tls ? "" : "-plaintext ", ports[0]);
        }

        lifetime.ApplicationStopping.Register(static logger => Log.Stopping((ILogger)logger!), logger);
    }

    private async Task ReportStoreAsync(CancellationToken cancellationToken)
    {
        // PostgreSQL counts by reading, which may take minutes: too long for a line of the log.
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(CountPatience);
        try
        {
            Log.Store(logger, store.Text, await features.CountAsync(patience.Token));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            Log.StoreNotCounted(logger, store.Text);
        }
        catch (StoreUnavailableException e)
        {
            Log.StoreUnavailable(logger, store.Text, e.Message);
        }
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "RouteService {Version} on {Runtime}.")]
        public static partial void Version(ILogger logger, string version, string runtime);

        [LoggerMessage(2, LogLevel.Information, "Store: {Store}; {Count} features.")]
        public static partial void Store(ILogger logger, string store, long count);

        [LoggerMessage(3, LogLevel.Information, "Store: {Store}; too many features to count now.")]
        public static partial void StoreNotCounted(ILogger logger, string store);

        [LoggerMessage(4, LogLevel.Warning, "Store: {Store}; not ready: {Reason}")]
        public static partial void StoreUnavailable(ILogger logger, string store, string reason);

        [LoggerMessage(
            5,
            LogLevel.Information,
            "gRPC on port {GrpcPort} ({Security}); health on http://localhost:{ManagementPort}/healthz/ready.")]
        public static partial void Addresses(ILogger logger, int grpcPort, string security, int managementPort);

        [LoggerMessage(
            6,
            LogLevel.Information,
            "Try: grpcurl {Flag}-d '{{\"name\":\"you\"}}' localhost:{GrpcPort} helloworld.Greeter/SayHello")]
        public static partial void HowToCall(ILogger logger, string flag, int grpcPort);

        [LoggerMessage(7, LogLevel.Information, "Authentication is off. Set RouteService__Auth__Enabled=true to require credentials.")]
        public static partial void AccessOpen(ILogger logger);

        [LoggerMessage(8, LogLevel.Information, "Authentication is on.")]
        public static partial void AccessControlled(ILogger logger);

        [LoggerMessage(9, LogLevel.Information, "OpenTelemetry: {Target}.")]
        public static partial void Exporting(ILogger logger, string target);

        [LoggerMessage(10, LogLevel.Information, "Prometheus: metrics on http://localhost:{ManagementPort}/metrics.")]
        public static partial void Scraped(ILogger logger, int managementPort);

        [LoggerMessage(11, LogLevel.Information, "Stopping.")]
        public static partial void Stopping(ILogger logger);

        [LoggerMessage(
            12, LogLevel.Warning, "{Variable} is not read: the connection string of the store is ConnectionStrings__RouteService.")]
        public static partial void ConnectionStringOfOthers(ILogger logger, string variable);
    }
}
