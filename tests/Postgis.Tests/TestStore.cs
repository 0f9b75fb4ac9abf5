using RouteService.Infrastructure.Postgis;

namespace RouteService.Postgis.Tests;

/// <summary>A store in a database of its own.</summary>
internal sealed class TestStore : IAsyncDisposable
{
    private TestStore(TestDatabase database, PostgisDatabase connections, PostgresOptions options)
    {
        Database = database;
        Connections = connections;
        Store = new PostgisFeatureStore(connections, options);
    }

    public TestDatabase Database { get; }

    public PostgisDatabase Connections { get; }

    public PostgisFeatureStore Store { get; }

    public static async Task<TestStore> CreateAsync(string settings = "", PostgresOptions? options = null)
    {
        var database = await Postgres.DatabaseAsync();
        return new TestStore(database, new PostgisDatabase($"{database.ConnectionString};{settings}"), options ?? new PostgresOptions());
    }

    public async ValueTask DisposeAsync()
    {
        await Store.DisposeAsync();
        await Connections.DisposeAsync();
        await Database.DisposeAsync();
    }
}
