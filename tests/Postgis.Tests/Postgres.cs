using RouteService.Infrastructure.Postgis;

namespace RouteService.Postgis.Tests;

/// <summary>PostgreSQL for a test, which is skipped where there is none.</summary>
internal static class Postgres
{
    public static async Task<PostgresServer> ServerAsync() => await OrSkipAsync(PostgresServer.SharedAsync);

    public static async Task<PostgresCluster> ClusterAsync(params string[] settings) =>
        await OrSkipAsync(() => PostgresCluster.CreateAsync(settings));

    /// <summary>A database with this program's schema.</summary>
    public static async Task<TestDatabase> DatabaseAsync(PostgresServer? server = null)
    {
        server ??= await ServerAsync();
        var database = await OrSkipAsync(server.CreateDatabaseAsync);
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
