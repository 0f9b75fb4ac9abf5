using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace RouteService.Api.Telemetry;

/// <summary>
/// Sends what is left of the telemetry, for two seconds at most: by themselves the exporters would wait for a collector that does not
/// answer, five to ten seconds each and in turn. It is a hosted service only to be there from the start; made right after the exporters, it
/// is disposed of right before them, after all else.
/// </summary>
internal sealed class TelemetryShutdown(TracerProvider? traces, MeterProvider? metrics, LoggerProvider? logs, TimeProvider clock)
    : IHostedService, IAsyncDisposable
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    public static TelemetryShutdown Create(IServiceProvider services) => new(
        services.GetService<TracerProvider>(),
        services.GetService<MeterProvider>(),
        services.GetService<LoggerProvider>(),
        services.GetRequiredService<TimeProvider>());

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        var limit = (int)Limit.TotalMilliseconds;

        // The last export of metrics heeds no limit but that of its request.
        Task last = Task.WhenAll(
            Task.Run(() => traces?.Shutdown(limit)), Task.Run(() => metrics?.Shutdown(limit)), Task.Run(() => logs?.Shutdown(limit)));
        await last.WaitAsync(Limit, clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}
