using Microsoft.Extensions.Diagnostics.HealthChecks;
using RouteService.Domain.Features;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Api.Hosting;

/// <summary>
/// Checks the database's schema before anything else starts. A database with another schema ends the start with a line that says so. An
/// unavailable one does not: the service starts, is not ready, and becomes ready when the database is available and its schema is current.
/// </summary>
internal sealed partial class SchemaWatch(
    PostgisDatabase database, PostgresOptions options, TimeProvider clock, ILogger<SchemaWatch> logger)
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
                // Another process may yet migrate it. It is said once in the log, and to each probe.
                if (!string.Equals(_problem, e.Message, StringComparison.Ordinal))
                {
                    Log.WrongSchema(logger, e.Message);
                }

                _problem = e.Message;
            }
        }
    }

    /// <summary>Migrates, where that is set, and checks.</summary>
    /// <returns>False where the database is unavailable.</returns>
    /// <exception cref="SchemaException">The schema of the database is not this program's.</exception>
    private async Task<bool> TryEnsureAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (options.MigrateOnStart)
            {
                await PostgisSchema.MigrateAsync(database, cancellationToken);
            }

            await PostgisSchema.CheckAsync(database, cancellationToken);
            return true;
        }
        catch (StoreUnavailableException)
        {
            return false;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Connected to {Database}; the schema is current.")]
        public static partial void Ready(ILogger logger, string database);

        [LoggerMessage(2, LogLevel.Error, "{Problem}")]
        public static partial void WrongSchema(ILogger logger, string problem);
    }
}
