using Grpc.AspNetCore.Server;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Npgsql;
using OpenTelemetry;
using OpenTelemetry.Context.Propagation;
using OpenTelemetry.Instrumentation.AspNetCore;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using RouteService.Api.Errors;
using RouteService.Domain.Chat;
using RouteService.Domain.Watch;
using RouteService.Infrastructure;

namespace RouteService.Api.Telemetry;

/// <summary>Traces, metrics and logs by OTLP (<see cref="TelemetrySettings"/>), and metrics for Prometheus to scrape.</summary>
internal static class TelemetryExtensions
{
    private const string ScrapePath = "/metrics";

    /// <summary>Adds the configured telemetry. Call it before other hosted services are added, so that telemetry outlives them.</summary>
    /// <exception cref="SettingException">A variable of OpenTelemetry's has a value that cannot be used.</exception>
    public static void AddTelemetry(this WebApplicationBuilder builder, bool prometheus)
    {
        var settings = new TelemetrySettings(builder.Configuration, prometheus);
        builder.Services.AddSingleton(settings);
        builder.Services.AddSingleton<ServerCallMetrics>();
        if (!settings.ExportsAny && !settings.Prometheus)
        {
            return;
        }

        var telemetry = builder.Services.AddOpenTelemetry().AddOtlp(settings, builder.Configuration);
        builder.Services.AddHostedService(TelemetryShutdown.Create);
        if (settings.Exports(Signal.Traces))
        {
            // ASP.NET Core reads the caller's trace itself. With the SDK's default propagator, which also has baggage, it would be read
            // twice in each call.
            Sdk.SetDefaultTextMapPropagator(new TraceContextPropagator());
            telemetry.WithTracing(static traces => traces.AddAspNetCoreInstrumentation());
            builder.Services.AddOptions<AspNetCoreTraceInstrumentationOptions>().Configure<ServerCallMetrics>(static (traces, calls) =>
            {
                traces.Filter = static http => !IsProbe(http.Request.Path);
                traces.EnrichWithHttpResponse = (span, response) =>
                    span.DisplayName = calls.SpanNameOf(response.HttpContext) ?? span.DisplayName;
            });
        }

        if (settings.Exports(Signal.Logs))
        {
            telemetry.WithLogging(
                logs => logs.AddOtlpExporter(options => settings.Configure(Signal.Logs, options)),
                static logs => logs.IncludeFormattedMessage = true);
        }

        if (settings.Prometheus)
        {
            telemetry.WithMetrics(static metrics => metrics
                .AddInstruments()

                // By OTLP the meter's name is no label either.
                .AddPrometheusExporter(static exporter => exporter.ScopeInfoEnabled = false));
        }

    }

    /// <summary>Counts the messages of a service's streams, where metrics are exported.</summary>
    public static IGrpcServerBuilder CountMessages<TService>(this IGrpcServerBuilder grpc)
        where TService : class
    {
        grpc.Services.TryAddSingleton<MessageCounter>();
        grpc.Services.AddOptions<GrpcServiceOptions<TService>>().Configure<TelemetrySettings>(static (options, settings) =>
        {
            if (settings.Prometheus || settings.Exports(Signal.Metrics))
            {
                options.Interceptors.Add<MessageCounter>();
            }
        });
        return grpc;
    }

    /// <summary>Exports the telemetry of a command other than serve, until it is disposed of. Null if nothing is exported.</summary>
    /// <exception cref="SettingException">A variable of OpenTelemetry's has a value that cannot be used.</exception>
    public static IAsyncDisposable? StartTelemetry(this IConfiguration configuration, TimeProvider clock)
    {
        var settings = new TelemetrySettings(configuration);
        return settings.ExportsAny
            ? new CommandTelemetry(
                OpenTelemetrySdk.Create(sdk =>
                {
                    // Otherwise the SDK reads environment variables only.
                    sdk.Services.AddSingleton(configuration);
                    sdk.AddOtlp(settings, configuration);
                }),
                clock)
            : null;
    }

    /// <summary>
    /// Observes calls, and answers Prometheus on the management port. It comes before all other middleware, so that it sees their refusals
    /// and requires no credentials.
    /// </summary>
    public static void UseTelemetry(this WebApplication app)
    {
        app.Use(app.Services.GetRequiredService<ServerCallMetrics>().InvokeAsync);
        if (app.Services.GetRequiredService<TelemetrySettings>().Prometheus)
        {
            app.UseOpenTelemetryPrometheusScrapingEndpoint(
                static http => http.Request.Path == ScrapePath && http.Features.Get<ManagementConnection>() is not null);
        }
    }

    private static IOpenTelemetryBuilder AddOtlp(
        this IOpenTelemetryBuilder telemetry, TelemetrySettings settings, IConfiguration configuration)
    {
        telemetry.ConfigureResource(resource => Describe(resource, configuration));
        if (settings.Exports(Signal.Traces))
        {
            telemetry.WithTracing(traces => traces
                .AddSource(StoreTelemetry.Name)
                .AddNpgsql()
                .AddOtlpExporter(options => settings.Configure(Signal.Traces, options)));
        }

        if (settings.Exports(Signal.Metrics))
        {
            telemetry.WithMetrics(metrics => metrics
                .AddInstruments()
                .AddOtlpExporter(options => settings.Configure(Signal.Metrics, options)));
        }

        return telemetry;
    }

    // Two instruments are left out because of their cost for each call: http.server.request.duration repeats rpc.server.call.duration, and
    // kestrel.queued_requests counts each HTTP/2 stream on its way to the thread pool, up and down.
    private static MeterProviderBuilder AddInstruments(this MeterProviderBuilder metrics) => metrics
        .AddMeter(ServerCallMetrics.MeterName, ChatMetrics.MeterName, WatchMetrics.MeterName, StoreTelemetry.Name)
        .AddMeter("Microsoft.AspNetCore.Server.Kestrel")
        .AddView("kestrel.queued_requests", MetricStreamConfiguration.Drop)
        .AddNpgsqlInstrumentation()
        .AddRuntimeInstrumentation();

    // Defaults for attributes that the variables do not set.
    private static void Describe(ResourceBuilder resource, IConfiguration configuration)
    {
        var given = configuration["OTEL_RESOURCE_ATTRIBUTES"] ?? "";
        if (string.IsNullOrWhiteSpace(configuration["OTEL_SERVICE_NAME"]) && !given.Contains("service.name=", StringComparison.Ordinal))
        {
            resource.AddService("route-service", serviceVersion: ServiceVersion.Text);
        }
        else if (!given.Contains("service.version=", StringComparison.Ordinal))
        {
            resource.AddAttributes([new("service.version", ServiceVersion.Text)]);
        }
    }

    private static bool IsProbe(PathString path) =>
        path.StartsWithSegments("/healthz", StringComparison.Ordinal)
        || path.StartsWithSegments("/grpc.health.v1.Health", StringComparison.Ordinal)
        || path == ScrapePath;

    private sealed class CommandTelemetry(OpenTelemetrySdk sdk, TimeProvider clock) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await new TelemetryShutdown(sdk.TracerProvider, sdk.MeterProvider, sdk.LoggerProvider, clock).DisposeAsync();
            sdk.Dispose();
        }
    }
}
