using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using RouteService.Domain.Features;

namespace RouteService.Api.Hosting;

/// <summary>Whether the store can be used for a purpose. That it cannot is logged once, with the reason, and that it can again.</summary>
/// <param name="purpose">For the log: "reads".</param>
/// <param name="probe">Throws <see cref="StoreUnavailableException"/> where it cannot.</param>
/// <param name="tolerance">How long it may fail after it has succeeded; zero for never.</param>
/// <param name="clock">Measures that.</param>
/// <param name="logger">Is told of changes.</param>
internal sealed partial class StoreHealthCheck(
    string purpose, Func<CancellationToken, Task> probe, TimeSpan tolerance, TimeProvider clock, ILogger<StoreHealthCheck> logger)
    : IHealthCheck
{
    private readonly Lock _gate = new();
    private bool _hasSucceeded;
    private long? _failingSince;
    private bool _isReported;

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        // Not recorded, and so is no query below it: that somebody asks for our health is in no trace.
        using var activity = new Activity("health").Start();
        try
        {
            await probe(cancellationToken);
            Succeed();
            return HealthCheckResult.Healthy();
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // What is not the store's would be a fault of ours, and the host's own line about checks is off.
            var reason = e is StoreUnavailableException ? e.Message : $"{e.GetType().Name}: {e.Message}";
            return Fail(reason) ? HealthCheckResult.Unhealthy(reason) : HealthCheckResult.Healthy();
        }
    }

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

    /// <returns>Whether it has failed for too long.</returns>
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
    /// <summary>Adds the check of a purpose, which has one state for all who ask.</summary>
    /// <param name="checks">Of the service.</param>
    /// <param name="purpose">Its name, and what the log calls it.</param>
    /// <param name="tag">Of <see cref="HealthEndpoints"/>.</param>
    /// <param name="probe">What tries the store.</param>
    /// <param name="tolerance">How long it may fail; null for never.</param>
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
