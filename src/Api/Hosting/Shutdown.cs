using System.ComponentModel.DataAnnotations;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using RouteService.Api.Errors;

namespace RouteService.Api.Hosting;

/// <summary>How long the service takes to end.</summary>
internal sealed class ShutdownOptions
{
    /// <summary>How long it still takes calls after it has turned not-ready: until load balancers have seen that.</summary>
    [Range(0, 3_600)]
    public int DelaySeconds { get; init; }

    /// <summary>How long calls may then go on. 25 s and no delay fit the 30 s that Kubernetes waits.</summary>
    [Range(0, 3_600)]
    public int GraceSeconds { get; init; } = 25;
}

/// <summary>
/// The end of the service, in this order: not ready at once; after a wait for load balancers, streams that wait for their client end
/// UNAVAILABLE; then no new connections, GOAWAY on the open ones, and other calls finish within the grace. A second signal, a second or
/// more after the first, ends it now.
/// </summary>
internal sealed partial class Shutdown(
    ShutdownOptions options, StreamLifetime streams, IHostApplicationLifetime lifetime, TimeProvider clock, ILogger<Shutdown> logger)
    : IHostedLifecycleService, IHealthCheck, IDisposable
{
    // Between the ends of the streams and GOAWAY. A client that sees the end of its connection before that of its stream may lose the
    // status, as .NET's does while its own side of the stream is open.
    private static readonly TimeSpan Linger = TimeSpan.FromMilliseconds(250);

    // A supervisor that signals a process and its group, or two supervisors, send the one signal twice. Nobody asks a second time so soon.
    private static readonly TimeSpan OneSignal = TimeSpan.FromSeconds(1);

    // What a shell says of a process that a signal has ended.
    private const int EndedBySignal = 128;

    private readonly List<PosixSignalRegistration> _signals = [];
    private readonly Lock _gate = new();
    private long? _firstSignal;

    public static void AddTo(IServiceCollection services)
    {
        services.AddSingleton<Shutdown>();
        services.AddHostedService(static provider => provider.GetRequiredService<Shutdown>());
        services.AddHealthChecks().AddCheck<Shutdown>("running", tags: [HealthEndpoints.Ready, HealthEndpoints.Running]);
        services.AddOptions<HostOptions>().Configure<ShutdownOptions>(
            static (host, options) => host.ShutdownTimeout = TimeSpan.FromSeconds(options.DelaySeconds + options.GraceSeconds));
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal));
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal));

        // Of a terminal that closes, or of somebody who expects it to reload files, which needs no signal. The host has no handler for it,
        // and without one it would end all calls.
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnHangUp));
        return Task.CompletedTask;
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        // Not-ready, also where it was not a signal that stopped the host.
        lifetime.StopApplication();
        if (options.DelaySeconds > 0)
        {
            Log.Waiting(logger, options.DelaySeconds);
            await Task.Delay(TimeSpan.FromSeconds(options.DelaySeconds), clock, cancellationToken)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await streams.EndAsync();
        await Task.Delay(Linger, clock, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(lifetime.ApplicationStopping.IsCancellationRequested
            ? HealthCheckResult.Unhealthy("The service is shutting down.")
            : HealthCheckResult.Healthy());

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _signals.ForEach(static signal => signal.Dispose());

    /// <summary>Whether a signal is a second one, whose sender does not want to wait. The first is the host's, which stops.</summary>
    internal bool IsSecondSignal()
    {
        lock (_gate)
        {
            if (_firstSignal is { } first)
            {
                return clock.GetElapsedTime(first) >= OneSignal;
            }

            _firstSignal = clock.GetTimestamp();
            return false;
        }
    }

    private void OnHangUp(PosixSignalContext signal)
    {
        signal.Cancel = true;
        lifetime.StopApplication();
    }

    private void OnSignal(PosixSignalContext signal)
    {
        if (IsSecondSignal())
        {
            Log.EndedNow(logger);
            Environment.Exit(EndedBySignal + (signal.Signal is PosixSignal.SIGINT ? 2 : 15));
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Shutting down: reporting not ready, accepting calls for another {Seconds} s.")]
        public static partial void Waiting(ILogger logger, int seconds);

        [LoggerMessage(2, LogLevel.Warning, "Ended by a second signal, without waiting for calls.")]
        public static partial void EndedNow(ILogger logger);
    }
}
