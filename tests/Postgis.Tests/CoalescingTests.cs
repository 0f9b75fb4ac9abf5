
namespace RouteService.Postgis.Tests;

/// <summary>How many statements the calls of clients become, as PostgreSQL's own log has it.</summary>
public sealed class CoalescingTests
{
    private const int Calls = 2_000;

    [Theory]
    [InlineData("256", 1, Calls / 4)]
    [InlineData("1", Calls, Calls)]
    public async Task Calls_at_once_share_their_queries_where_they_may(string mostInOne, int least, int most)
    {
        await using var cluster = await LoggingClusterAsync();
        var database = await FilledDatabaseAsync(cluster);
        await using var service = await ServiceOnPostgis.LaunchAsync(database.ConnectionString, ("RouteService__Postgres__MaxLookUpBatch", mostInOne));
        await service.ReadyAsync();
        await service.NameAtAsync(800, -1500);

        var statements = await StatementsOfAsync(cluster, async () =>
        {
            var names = await Task.WhenAll(Enumerable.Range(1, Calls).Select(i => service.NameAtAsync(i * 800, i * -1500)));
            Assert.Equal(Enumerable.Range(1, Calls).Select(static i => i <= 1_000 ? $"place {i}" : ""), names.Select(static name => name.TrimEnd('.', ' ')));
        });

        Assert.InRange(statements, least, most + Probes);
    }

    [Fact]
    public async Task A_lone_call_is_a_query_and_a_route_is_few()
    {
        await using var cluster = await LoggingClusterAsync();
        var database = await FilledDatabaseAsync(cluster);
        await using var service = await ServiceOnPostgis.StartAsync(database.ConnectionString);

        var lone = await StatementsOfAsync(cluster, async () =>
        {
            for (var i = 1; i <= 50; i++)
            {
                Assert.StartsWith($"place {i} ", await service.NameAtAsync(i * 800, i * -1500));
            }
        });
        var route = await StatementsOfAsync(cluster, async () =>
        {
            var summary = await service.RecordAsync(points: 50_000);
            Assert.Equal((50_000, 1_000), (summary.PointCount, summary.FeatureCount));
        });

        Assert.InRange(lone, 50, 50 + Probes);
        Assert.InRange(route, 1, 5_000);
    }

    // Readiness is looked at too, every five seconds.
    private const int Probes = 30;

    private static Task<PostgresCluster> LoggingClusterAsync() => Postgres.ClusterAsync("log_statement = all", "log_parameter_max_length = 0");

    private static async Task<TestDatabase> FilledDatabaseAsync(PostgresCluster cluster)
    {
        var database = await Postgres.DatabaseAsync(cluster);
        await database.FillAsync(1_000);
        return database;
    }

    private static async Task<int> StatementsOfAsync(PostgresCluster cluster, Func<Task> work)
    {
        var before = await CountAsync();
        await work();
        return await CountAsync() - before;

        async Task<int> CountAsync() => (await cluster.ReadLogAsync()).Split("FROM unnest(").Length;
    }
}
