using System.Diagnostics.CodeAnalysis;
using RouteService.Api.Errors;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Watch;
using RouteService.Infrastructure.Import;
using RouteService.Infrastructure.Postgis;
using RouteService.Infrastructure.Sqlite;

namespace RouteService.Api.Hosting;

/// <summary>Registers the store: PostGIS if a connection string is configured, else SQLite in this process.</summary>
internal static class Stores
{
    private const string ConnectionStringVariable = "ConnectionStrings__RouteService";

    /// <param name="builder">The host.</param>
    /// <param name="withSamples">Whether a new embedded store starts with the sample features, or with none.</param>
    public static void AddStore(this WebApplicationBuilder builder, bool withSamples)
    {
        if (builder.Configuration.GetConnectionString("RouteService") is { } connectionString)
        {
            builder.Services.AddPostgis(connectionString);
        }
        else
        {
            builder.Services.AddSqlite(withSamples);
        }
    }

    /// <summary>The database of the <c>migrate</c> command.</summary>
    /// <exception cref="SettingException">No connection string is configured.</exception>
    public static PostgisDatabase GetDatabase(this IServiceProvider services) =>
        services.GetService<PostgisDatabase>() ?? throw new SettingException(
            $"{ConnectionStringVariable} is not set: it says where PostGIS is, such as "
            + "\"Host=localhost;Username=routeservice;Password=…;Database=places\". The embedded store needs no migration.");

    /// <summary>Checks that a command can use the store.</summary>
    /// <param name="services">The host's.</param>
    /// <param name="mayBeMissing">Whether the embedded store's file is made if it is missing.</param>
    /// <param name="cancellationToken">Ends the check.</param>
    /// <exception cref="SchemaException">The database does not have this program's schema.</exception>
    /// <exception cref="SettingException">The embedded store's file is missing.</exception>
    public static async Task CheckStoreAsync(this IServiceProvider services, bool mayBeMissing, CancellationToken cancellationToken)
    {
        if (services.GetService<PostgisDatabase>() is { } database)
        {
            await PostgisSchema.CheckAsync(database, cancellationToken);
        }
        else if (!mayBeMissing && Path.GetFullPath(services.GetRequiredService<SqliteOptions>().Path) is var path && !File.Exists(path))
        {
            throw new SettingException(
                $"The database '{path}' does not exist. Set RouteService__Sqlite__Path to that of a service, "
                + $"or {ConnectionStringVariable} for PostGIS.");
        }
    }

    private static void AddPostgis(this IServiceCollection services, string connectionString)
    {
        services.AddSingleton(_ => Connect(connectionString));
        services.AddSingleton(static provider => StoreDescription.Postgis(provider.GetRequiredService<PostgisDatabase>()));
        services.AddSingleton<IFeatureStore, PostgisFeatureStore>();
        services.AddSingleton<IFeatureCatalog, PostgisFeatureCatalog>();
        services.AddSingleton<IChangeLog, PostgisChangeLog>();
        services.AddSingleton<INoteLog, PostgisNoteLog>();
        services.AddSingleton<SchemaWatch>();
        services.AddHostedService(static provider => provider.GetRequiredService<SchemaWatch>());
        services.AddHealthChecks()
            .AddCheck<SchemaWatch>("schema", tags: [HealthEndpoints.Ready])
            .AddWriteCheck(static provider => provider.GetRequiredService<PostgresOptions>().WriteOutageTolerance);
    }

    [SuppressMessage("Usage", "VSTHRD002", Justification = "Opening does not wait: SQLite's calls are synchronous, the samples in memory.")]
    private static void AddSqlite(this IServiceCollection services, bool withSamples)
    {
        services.AddSingleton(static provider => StoreDescription.Sqlite(provider.GetRequiredService<SqliteOptions>()));
        services.AddSingleton(provider => SqliteFeatureStore.OpenAsync(
            provider.GetRequiredService<SqliteOptions>(),
            withSamples ? SamplePlaces.ReadAllAsync() : null,
            provider.GetRequiredService<TimeProvider>(),
            CancellationToken.None).GetAwaiter().GetResult());
        services.AddSingleton<IFeatureStore>(static provider => provider.GetRequiredService<SqliteFeatureStore>());
        services.AddSingleton<IFeatureCatalog>(static provider => provider.GetRequiredService<SqliteFeatureStore>());
        services.AddSingleton<IChangeLog>(static provider => provider.GetRequiredService<SqliteFeatureStore>());
        services.AddSingleton<INoteLog>(static provider => SqliteNoteLog.Open(
            provider.GetRequiredService<SqliteOptions>(), provider.GetRequiredService<TimeProvider>()));
        var checks = services.AddHealthChecks();
        checks.AddWriteCheck();

        // An import by a command holds the file while it merges, and writes wait for it.
        checks.AddStoreCheck(
            "writes of features",
            HealthEndpoints.Writes,
            static provider => provider.GetRequiredService<SqliteFeatureStore>().CheckWritableAsync,
            static _ => SqliteFeatureStore.BusyTimeout);
        checks.AddStoreCheck("notes", HealthEndpoints.Ready, static provider => provider.GetRequiredService<INoteLog>().ReadHeadAsync);
    }

    private static void AddWriteCheck(this IHealthChecksBuilder checks, Func<IServiceProvider, TimeSpan>? tolerance = null) =>
        checks.AddStoreCheck(
            "writes",
            HealthEndpoints.Writes,
            static provider => provider.GetRequiredService<INoteLog>().CheckWritableAsync,
            tolerance);

    private static PostgisDatabase Connect(string connectionString)
    {
        try
        {
            return new PostgisDatabase(connectionString);
        }
        catch (ConnectionStringException e)
        {
            throw new SettingException($"{ConnectionStringVariable} cannot be used: {e.Message}");
        }
    }
}

/// <summary>The store in use, for the start-up lines.</summary>
internal sealed record StoreDescription(string Text)
{
    public static StoreDescription Sqlite(SqliteOptions options) => new(
        $"SQLite, embedded in this process, in {Path.GetFullPath(options.Path)}");

    public static StoreDescription Postgis(PostgisDatabase database) => new($"PostGIS, {database.Description}");
}
