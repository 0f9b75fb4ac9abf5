using Microsoft.Extensions.Diagnostics.HealthChecks;
using RouteService.Api.Errors;
using RouteService.Domain.Features;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Api.Hosting;

/// <summary>
/// Checks the database's schema before anything else starts. Another schema ends the start, with one line that says so. An unavailable
/// database does not: the service starts, and becomes ready when the database is available and its schema is current.
/// </summary>
internal sealed partial class SchemaWatch(
    PostgisDatabase database, PostgresOptions options, TimeProvider clock, LogThrottle throttle, ILogger<SchemaWatch> logger)
    : BackgroundService, IHostedLifecycleService, IHealthCheck
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private volatile string? _problem = "The database's schema has not been checked yet.";

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(_problem is { } problem ? HealthCheckResult.Unhealthy(problem) : HealthCheckResult.Healthy());

    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        if (await TryEnsureAsync(cancellationToken))
        {
            _problem = null;
        }
    }

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (_problem is not null)
        {
            await Task.Delay(Period, clock, stoppingToken);
            try
            {
                if (await TryEnsureAsync(stoppingToken))
                {
                    _problem = null;
                    Log.Ready(logger, database.Description);
                }
            }
            catch (SchemaException e)
            {
                // Another process may yet migrate it. Probes get the reason.
                _problem = e.Message;
                if (IsToReport(e.Message))
                {
                    Log.WrongSchema(logger, e.Message);
                }
            }
        }
    }

    /// <summary>Migrates the schema if that is configured, and checks it.</summary>
    /// <returns>False if the database is unavailable.</returns>
    /// <exception cref="SchemaException">The database does not have this program's schema.</exception>
    private async Task<bool> TryEnsureAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (options.MigrateOnStart)
            {
                await PostgisSchema.MigrateAsync(database, grantTo: [], cancellationToken);
            }

            await PostgisSchema.CheckAsync(database, cancellationToken);
            return true;
        }
        catch (StoreUnavailableException e)
        {
            if (IsToReport(e.Message))
            {
                var cause = e.InnerException is { } inner ? $" {inner.GetBaseException().Message}" : "";
                Log.Unavailable(logger, database.Description, $"{e.Message}{cause}");
            }

            return false;
        }
    }

    /// <summary>Whether a reason is new, or was last logged long ago.</summary>
    private bool IsToReport(string reason) => throttle.IsDue($"{nameof(SchemaWatch)}: {reason}", out _);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Connected to {Database}; the schema is current.")]
        public static partial void Ready(ILogger logger, string database);

        [LoggerMessage(2, LogLevel.Error, "{Problem}")]
        public static partial void WrongSchema(ILogger logger, string problem);

        [LoggerMessage(3, LogLevel.Warning, "The {Database} cannot be checked; trying again every second: {Reason}")]
        public static partial void Unavailable(ILogger logger, string database, string reason);
    }
}
