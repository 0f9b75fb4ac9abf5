using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using RouteService.Api.Hosting;
using RouteService.Domain.Chat;
using RouteService.Infrastructure;

namespace RouteService.Api.Telemetry;

/// <summary>
/// Sends traces, metrics and logs by OTLP, as OpenTelemetry's own variables say: off until an endpoint is set, and then each signal that has one
/// (OTEL_EXPORTER_OTLP_ENDPOINT for all, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and so on for one).
/// </summary>
internal sealed class OpenTelemetryExport : IDisposable
{
    private readonly OpenTelemetrySdk _sdk;

    private OpenTelemetryExport(OpenTelemetrySdk sdk, string target)
    {
        _sdk = sdk;
        Target = target;
    }

    /// <summary>Which signals go where, for the start-up lines.</summary>
    public string Target { get; }

    /// <summary>Starts it, where the configuration wants any.</summary>
    /// <returns>Disposing of it sends what is left; null where nothing is exported.</returns>
    public static OpenTelemetryExport? Start(IConfiguration configuration)
    {
        var targets = new List<string>();
        var traces = Wants("TRACES");
        var metrics = Wants("METRICS");
        var logs = Wants("LOGS");
        if (targets.Count == 0)
        {
            return null;
        }

        return new OpenTelemetryExport(
            OpenTelemetrySdk.Create(sdk =>
            {
                sdk.ConfigureResource(resource => Describe(resource, configuration));
                if (traces)
                {
                    sdk.WithTracing(static tracing => tracing.AddSource("Microsoft.AspNetCore", StoreTelemetry.Name, "Npgsql"));
                }

                if (metrics)
                {
                    sdk.WithMetrics(static metering => metering.AddMeter(
                        "Grpc.AspNetCore.Server", ChatMetrics.MeterName, StoreTelemetry.Name, "Npgsql", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime"));
                }

                if (logs)
                {
                    sdk.WithLogging(static _ => { }, static logging => logging.IncludeFormattedMessage = true);
                }

                sdk.UseOtlpExporter();
            }),
            string.Join(", ", targets));

        bool Wants(string signal)
        {
            var endpoint = configuration[$"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"] ?? configuration["OTEL_EXPORTER_OTLP_ENDPOINT"];
            if (string.IsNullOrWhiteSpace(endpoint) || string.Equals(configuration["OTEL_SDK_DISABLED"], "true", StringComparison.OrdinalIgnoreCase))
            {
                return false;
            }

            targets.Add($"{signal.ToLowerInvariant()} to {endpoint}");
            return true;
        }
    }

    /// <summary>Sends what is logged, too.</summary>
    public void AddTo(ILoggingBuilder logging) => logging.AddProvider(new LogExport(_sdk.GetLoggerFactory()));

    public void Dispose() => _sdk.Dispose();

    // What the variables say stands; this is for what they do not.
    private static void Describe(ResourceBuilder resource, IConfiguration configuration)
    {
        var given = configuration["OTEL_RESOURCE_ATTRIBUTES"] ?? "";
        if (string.IsNullOrWhiteSpace(configuration["OTEL_SERVICE_NAME"]) && !given.Contains("service.name=", StringComparison.Ordinal))
        {
            resource.AddService("route-service", serviceVersion: StartupReport.Version);
        }
        else if (!given.Contains("service.version=", StringComparison.Ordinal))
        {
            resource.AddAttributes([new("service.version", StartupReport.Version)]);
        }
    }

    private sealed class LogExport(ILoggerFactory loggers) : ILoggerProvider
    {
        public ILogger CreateLogger(string categoryName) => loggers.CreateLogger(categoryName);

        public void Dispose()
        {
            // The SDK's, and gone with it.
        }
    }
}
