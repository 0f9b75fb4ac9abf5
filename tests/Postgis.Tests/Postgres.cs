using RouteService.Infrastructure.Postgis;

namespace RouteService.Postgis.Tests;

/// <summary>PostgreSQL for a test, which is skipped where there is none.</summary>
internal static class Postgres
{
    // Migrated once for all tests, which have copies.
    private static readonly Lazy<Task<TestDatabase>> Migrated = new(MakeMigratedAsync);

    public static async Task<PostgresServer> ServerAsync() => await OrSkipAsync(PostgresServer.SharedAsync);

    public static async Task<PostgresCluster> ClusterAsync(params string[] settings) =>
        await OrSkipAsync(() => PostgresCluster.CreateAsync(settings));

    /// <summary>A database with this program's schema, on the server that all share.</summary>
    public static async Task<TestDatabase> DatabaseAsync() => await (await OrSkipAsync(() => Migrated.Value)).CopyAsync();

    /// <summary>A database with this program's schema, on a server of its own.</summary>
    public static async Task<TestDatabase> DatabaseAsync(PostgresCluster cluster) => await MigrateAsync(await new PostgresServer(cluster).CreateDatabaseAsync());

    private static async Task<TestDatabase> MakeMigratedAsync()
    {
        var database = await MigrateAsync(await (await PostgresServer.SharedAsync()).CreateDatabaseAsync());

        // The server may not be ours, and not end with this process.
        AppDomain.CurrentDomain.ProcessExit += (_, _) => database.DisposeAsync().AsTask().Wait(TimeSpan.FromSeconds(10));
        return database;
    }

    private static async Task<TestDatabase> MigrateAsync(TestDatabase database)
    {
        await using var connections = new PostgisDatabase(database.ConnectionString);
        await PostgisSchema.MigrateAsync(connections, [], default);
        return database;
    }

    private static async Task<T> OrSkipAsync<T>(Func<Task<T>> make)
    {
        try
        {
            return await make();
        }
        catch (PostgresMissingException e)
        {
            Assert.Skip(e.Message);
            throw;
        }
    }
}
