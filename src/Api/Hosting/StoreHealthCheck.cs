using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using RouteService.Domain.Features;

namespace RouteService.Api.Hosting;

/// <summary>Checks whether the store can be used for a purpose. A failure is logged once, with its reason; the recovery too.</summary>
/// <param name="purpose">Purpose, as the log names it: "reads".</param>
/// <param name="probe">Uses the store; throws <see cref="StoreUnavailableException"/> if that fails.</param>
/// <param name="tolerance">Time for which the probe may fail after a success before the check is unhealthy; zero for none.</param>
/// <param name="clock">Clock of the tolerance.</param>
/// <param name="logger">Logger of failure and recovery.</param>
internal sealed partial class StoreHealthCheck(
    string purpose, Func<CancellationToken, Task> probe, TimeSpan tolerance, TimeProvider clock, ILogger<StoreHealthCheck> logger)
    : IHealthCheck
{
    // Shorter than what the host grants a check, whose end tells nothing.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Lock _gate = new();
    private bool _hasSucceeded;
    private long? _failingSince;
    private bool _isReported;

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        // Not recorded, and neither are the queries below it: health checks are in no trace.
        using var activity = new Activity("health").Start();
        using var limit = new CancellationTokenSource(Patience, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        try
        {
            await probe(either.Token);
            Succeed();
            return HealthCheckResult.Healthy();
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return Result($"It has not answered within {Patience.TotalSeconds} s.");
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // Any other exception is a fault of ours, which the host's own log of checks would not show, as it is off.
            return Result(e is StoreUnavailableException ? e.Message : $"{e.GetType().Name}: {e.Message}");
        }
    }

    private HealthCheckResult Result(string reason) => Fail(reason) ? HealthCheckResult.Unhealthy(reason) : HealthCheckResult.Healthy();

    private void Succeed()
    {
        lock (_gate)
        {
            (_hasSucceeded, _failingSince) = (true, null);
            if (_isReported)
            {
                _isReported = false;
                Log.Recovered(logger, purpose);
            }
        }
    }

    /// <returns>Whether the probe has failed for longer than the tolerance.</returns>
    private bool Fail(string reason)
    {
        lock (_gate)
        {
            _failingSince ??= clock.GetTimestamp();
            if (_hasSucceeded && clock.GetElapsedTime(_failingSince.Value) < tolerance)
            {
                return false;
            }

            if (!_isReported)
            {
                _isReported = true;
                Log.Failed(logger, purpose, reason);
            }

            return true;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "Health: the store cannot be used for {Purpose}: {Reason}")]
        public static partial void Failed(ILogger logger, string purpose, string reason);

        [LoggerMessage(2, LogLevel.Information, "Health: the store can be used for {Purpose} again.")]
        public static partial void Recovered(ILogger logger, string purpose);
    }
}

internal static class StoreHealthCheckExtensions
{
    /// <summary>Adds the check of a purpose; all endpoints share its state.</summary>
    /// <param name="checks">Health checks of the service.</param>
    /// <param name="purpose">Name of the check, also in the log.</param>
    /// <param name="tag">Tag of <see cref="HealthEndpoints"/>.</param>
    /// <param name="probe">Creates the probe of the store.</param>
    /// <param name="tolerance">Time for which the probe may fail; null for none.</param>
    public static void AddStoreCheck(
        this IHealthChecksBuilder checks,
        string purpose,
        string tag,
        Func<IServiceProvider, Func<CancellationToken, Task>> probe,
        Func<IServiceProvider, TimeSpan>? tolerance = null)
    {
        checks.Services.TryAddKeyedSingleton(purpose, (provider, _) => new StoreHealthCheck(
            purpose,
            probe(provider),
            tolerance?.Invoke(provider) ?? TimeSpan.Zero,
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<StoreHealthCheck>>()));
        checks.Add(new HealthCheckRegistration(
            purpose, provider => provider.GetRequiredKeyedService<StoreHealthCheck>(purpose), failureStatus: null, [tag]));
    }
}
