using Microsoft.Extensions.Diagnostics.HealthChecks;
using RouteService.Domain.Features;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Api.Hosting;

/// <summary>
/// PostGIS as the service's database. One with another schema ends the start with a line that says so; one that is away does not: the service starts,
/// is not ready, and is when the database has come.
/// </summary>
internal static class PostgisHosting
{
    /// <exception cref="SettingException">There is no connection string, or it cannot be understood.</exception>
    public static PostgisDatabase Connect(Settings settings)
    {
        const string Variable = "ConnectionStrings__RouteService";
        try
        {
            return new PostgisDatabase(settings.ConnectionString ?? throw new SettingException(
                $"{Variable} is not set: it says where PostGIS is, such as \"Host=localhost;Username=routeservice;Password=…;Database=places\". "
                + "The embedded store needs no migration."));
        }
        catch (ArgumentException e)
        {
            throw new SettingException($"{Variable} cannot be understood: {e.Message.ReplaceLineEndings(" ").Split(" (Parameter")[0]}");
        }
    }

    public static async Task AddPostgisAsync(this IServiceCollection services, Settings settings)
    {
        var database = Connect(settings);
        var isCurrent = await SchemaWatch.TryEnsureAsync(database, settings.Postgres, CancellationToken.None);
        services.AddSingleton(_ => database);
        services.AddSingleton(settings.Postgres);
        services.AddSingleton(StoreDescription.Postgis(database));
        if (!isCurrent)
        {
            services.AddSingleton<SchemaWatch>();
            services.AddHostedService(static provider => provider.GetRequiredService<SchemaWatch>());
            services.AddHealthChecks().AddCheck<SchemaWatch>("schema", tags: [HealthEndpoints.Ready]);
        }
    }
}

/// <summary>Waits for a database that was away at the start, and then sees to its schema. Until that is done the service is not ready.</summary>
internal sealed partial class SchemaWatch(PostgisDatabase database, PostgresOptions options, TimeProvider clock, ILogger<SchemaWatch> logger)
    : BackgroundService, IHealthCheck
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private volatile string? _problem = "The database's schema has not been checked yet.";

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(_problem is { } problem ? HealthCheckResult.Unhealthy(problem) : HealthCheckResult.Healthy());

    /// <summary>Migrates, where it is asked for, and checks.</summary>
    /// <returns>Whether the database was there.</returns>
    /// <exception cref="SchemaException">It is there, and its schema is not this program's.</exception>
    public static async Task<bool> TryEnsureAsync(PostgisDatabase database, PostgresOptions options, CancellationToken cancellationToken)
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

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (_problem is not null)
        {
            await Task.Delay(Period, clock, stoppingToken);
            try
            {
                if (await TryEnsureAsync(database, options, stoppingToken))
                {
                    _problem = null;
                    Log.Ready(logger, database.Description);
                }
            }
            catch (SchemaException e)
            {
                // Another may yet migrate it. It is said once, and to whoever asks for our health.
                if (!string.Equals(_problem, e.Message, StringComparison.Ordinal))
                {
                    Log.WrongSchema(logger, e.Message);
                }

                _problem = e.Message;
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The {Database} is there, and its schema is this program's.")]
        public static partial void Ready(ILogger logger, string database);

        [LoggerMessage(2, LogLevel.Error, "{Problem}")]
        public static partial void WrongSchema(ILogger logger, string problem);
    }
}
