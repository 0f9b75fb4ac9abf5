using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace RouteService.Api.Telemetry;

/// <summary>
/// Sends the remaining telemetry at the shutdown, for two seconds at most: on their own the exporters would wait for a collector that does
/// not answer, five to ten seconds each, one after the other. It is a hosted service only so that it is created at the start, right after
/// the exporters; it is then disposed of right before them, after everything else.
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

        // The last export of metrics ignores this limit, and obeys that of its request only.
        Task last = Task.WhenAll(
            Task.Run(() => traces?.Shutdown(limit)), Task.Run(() => metrics?.Shutdown(limit)), Task.Run(() => logs?.Shutdown(limit)));
        await last.WaitAsync(Limit, clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}
