using System.ComponentModel.DataAnnotations;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using RouteService.Api.Errors;

namespace RouteService.Api.Hosting;

/// <summary>Waits of the shutdown.</summary>
internal sealed class ShutdownOptions
{
    /// <summary>Time for which the service accepts calls while not ready, until load balancers have noticed. Default 0.</summary>
    [Range(0, 3_600)]
    public int DelaySeconds { get; init; }

    /// <summary>Time for which calls may then go on. Default 25 s, which without a delay fits the 30 s that Kubernetes waits.</summary>
    [Range(0, 3_600)]
    public int GraceSeconds { get; init; } = 25;
}

/// <summary>
/// The shutdown of the service after SIGTERM, SIGINT or SIGHUP, in this order: not ready at once; after a wait for load balancers, calls
/// that stream requests, and watches, end UNAVAILABLE (<see cref="StreamLifetime"/>); then no new connections, and GOAWAY on open ones.
/// Other calls, listings among them, finish within the grace. A second SIGTERM or SIGINT, a second or more after the first, ends the
/// service at once.
/// </summary>
internal sealed partial class Shutdown(
    ShutdownOptions options, StreamLifetime streams, IHostApplicationLifetime lifetime, TimeProvider clock, ILogger<Shutdown> logger)
    : IHostedLifecycleService, IHealthCheck, IDisposable
{
    // Pause between the ends of the streams and GOAWAY. A client that sees the end of its connection before the end of its stream may lose
    // the status; .NET's client does while its own side of the stream is open.
    private static readonly TimeSpan Linger = TimeSpan.FromMilliseconds(250);

    // A supervisor that signals a process and its group, or two supervisors, send one signal twice. A second request comes later than this.
    private static readonly TimeSpan OneSignal = TimeSpan.FromSeconds(1);

    // The exit code of a process that a signal has ended, less the signal's number, as shells report it.
    private const int EndedBySignal = 128;

    private readonly List<PosixSignalRegistration> _signals = [];
    private readonly Lock _gate = new();
    private long? _firstSignal;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal));
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal));

        // From a closed terminal, or an operator who expects a reload of files, which needs no signal. The host does not handle it, and
        // unhandled it would end all calls at once.
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnHangUp));
        return Task.CompletedTask;
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        // Not ready, also if the host was not stopped by a signal.
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

    /// <summary>Whether a signal is a second one, which ends the service at once. The host handles the first.</summary>
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

internal static class ShutdownExtensions
{
    public static void AddShutdown(this IServiceCollection services)
    {
        services.AddSingleton<Shutdown>();
        services.AddHostedService(static provider => provider.GetRequiredService<Shutdown>());
        services.AddHealthChecks().AddCheck<Shutdown>("running", tags: [HealthEndpoints.Ready, HealthEndpoints.Running]);
        services.AddOptions<HostOptions>().Configure<ShutdownOptions>(
            static (host, options) => host.ShutdownTimeout = TimeSpan.FromSeconds(options.DelaySeconds + options.GraceSeconds));
    }
}
