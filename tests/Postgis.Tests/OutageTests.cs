using System.Net;
using Grpc.Core;
using RouteService.Contracts.Routeguide;

namespace RouteService.Postgis.Tests;

/// <summary>The built program while PostgreSQL stops, starts, fails over or only follows: what can be answered is, and what is back is used again.</summary>
public sealed class OutageTests : ServiceTest
{
    [Fact]
    public async Task While_the_database_is_down_calls_end_unavailable_and_when_it_is_back_they_are_answered()
    {
        var (cluster, database) = await ClusterAsync(features: 10);
        var service = await StartAsync(database.ConnectionString);

        await cluster.StopAsync();

        Assert.Contains("database", await ServiceOnPostgis.AssertFailsAsync(StatusCode.Unavailable, () => service.NameAtAsync(800, -1500)));
        await ServiceOnPostgis.AssertFailsAsync(StatusCode.Unavailable, service.CountAsync);
        await ServiceOnPostgis.AssertFailsAsync(StatusCode.Unavailable, () => service.RecordAsync(points: 3));
        await service.NotReadyAsync();
        Assert.Equal(HttpStatusCode.OK, await service.HealthAsync("live"));

        await cluster.StartAsync();

        await service.ReadyAsync();
        Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
        Assert.Equal(10, await service.CountAsync());
        Assert.Equal(3, (await service.RecordAsync(points: 3)).FeatureCount);
    }

    [Theory]
    [InlineData(StopMode.Fast)]
    [InlineData(StopMode.Immediate)]
    public async Task A_listing_and_a_route_outlive_a_restart_of_the_database(StopMode mode)
    {
        var (cluster, database) = await ClusterAsync(features: 100_000);
        var service = await StartAsync(database.ConnectionString);
        using var listing = service.Routes.ListFeatures(ServiceOnPostgis.World, deadline: ServiceOnPostgis.Deadline);
        Assert.True(await listing.ResponseStream.MoveNext(default));
        using var route = service.Routes.RecordRoute(deadline: ServiceOnPostgis.Deadline);
        await route.RequestStream.WriteAsync(new Point { Latitude = 800, Longitude = -1500 });
        await database.UntilQuietAsync();

        await cluster.RestartAsync(mode);

        var first = listing.ResponseStream.Current.Location;
        Assert.Equal(100_000, await ServiceOnPostgis.CountRestAsync(listing, [(first.Latitude, first.Longitude)]));
        await route.RequestStream.WriteAsync(new Point { Latitude = 1600, Longitude = -3000 });
        await route.RequestStream.CompleteAsync();
        Assert.Equal(2, (await route).FeatureCount);
    }

    [Fact]
    public async Task A_listing_whose_database_goes_away_ends_unavailable()
    {
        var (cluster, database) = await ClusterAsync(features: 100_000);
        var service = await StartAsync(database.ConnectionString);
        using var listing = service.Routes.ListFeatures(ServiceOnPostgis.World, deadline: ServiceOnPostgis.Deadline);
        Assert.True(await listing.ResponseStream.MoveNext(default));
        await database.UntilQuietAsync();

        await cluster.StopAsync(StopMode.Immediate);

        await ServiceOnPostgis.AssertFailsAsync(StatusCode.Unavailable, () => ServiceOnPostgis.CountRestAsync(listing, []));
        await service.NotReadyAsync();
        await cluster.StartAsync();
        await service.ReadyAsync();
        Assert.Equal(100_000, await service.CountAsync());
    }

    [Fact]
    public async Task It_starts_without_its_database_and_is_ready_when_that_has_come()
    {
        var (cluster, database) = await ClusterAsync(features: 10);
        await cluster.StopAsync();

        var service = await LaunchAsync(database.ConnectionString);

        Assert.Equal(HttpStatusCode.OK, await service.HealthAsync("live"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await service.HealthAsync("ready"));
        await ServiceOnPostgis.AssertFailsAsync(StatusCode.Unavailable, () => service.NameAtAsync(800, -1500));
        await cluster.StartAsync();
        await service.ReadyAsync();
        Assert.Equal(10, await service.CountAsync());
    }

    [Fact]
    public async Task A_standby_serves_reads_and_refuses_an_import()
    {
        var (cluster, database) = await ClusterAsync(features: 10);
        var standby = Ours(await cluster.CreateStandbyAsync());
        await cluster.WaitForStandbyAsync(standby);
        var connectionString = database.ConnectionString.Replace($"Port={cluster.Port}", $"Port={standby.Port}", StringComparison.Ordinal);

        var service = await StartAsync(connectionString);

        Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
        Assert.Equal(10, await service.CountAsync());
        Assert.Equal(3, (await service.RecordAsync(points: 3)).FeatureCount);
        var import = await Program.ImportAsync(connectionString, "name,latitude,longitude\nNew,1,2\n");
        Assert.Equal(1, import.ExitCode);
        Assert.StartsWith("routeservice: The database is read-only; expected the primary. PostgreSQL says: ", import.Error);
        Assert.EndsWith("(SQLSTATE 25006).", import.Error.Trim());
    }

    [Fact]
    public async Task A_service_that_starts_while_only_a_standby_is_there_serves_reads()
    {
        var (cluster, database) = await ClusterAsync(features: 10);
        var standby = Ours(await cluster.CreateStandbyAsync());
        await cluster.WaitForStandbyAsync(standby);
        await cluster.StopAsync(StopMode.Immediate);

        var service = await LaunchAsync(
            $"Host=127.0.0.1:{cluster.Port},127.0.0.1:{standby.Port};Username=postgres;Database={database.Name};Host Recheck Seconds=1;Timeout=2");

        Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
        await service.ReadyAsync();
    }

    [Fact]
    public async Task Reads_go_on_when_the_primary_fails_and_writes_when_a_standby_takes_its_place()
    {
        var (cluster, database) = await ClusterAsync(features: 10);
        var standby = Ours(await cluster.CreateStandbyAsync());
        await cluster.WaitForStandbyAsync(standby);
        var connectionString =
            $"Host=127.0.0.1:{cluster.Port},127.0.0.1:{standby.Port};Username=postgres;Database={database.Name};Host Recheck Seconds=1;Timeout=2";
        var service = await StartAsync(connectionString);
        Assert.Equal(10, await service.CountAsync());

        await cluster.StopAsync(StopMode.Immediate);

        Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
        Assert.Equal(10, await service.CountAsync());
        await service.ReadyAsync();
        var early = await Program.ImportAsync(connectionString, "name,latitude,longitude\nNew,1,2\n");
        Assert.Equal(1, early.ExitCode);
        Assert.Matches("^routeservice: The database .*\\.\\s*$", early.Error);

        await standby.PromoteAsync();

        Assert.Contains("The store has 11 features.", (await Program.ImportAsync(connectionString, "name,latitude,longitude\nNew,1,2\n")).AssertSuccess().Output);
        Assert.Equal("New", await service.NameAtAsync(10_000_000, 20_000_000));
        Assert.Equal(11, await service.CountAsync());
    }

    private async Task<(PostgresCluster Cluster, TestDatabase Database)> ClusterAsync(int features)
    {
        var cluster = Ours(await Postgres.ClusterAsync());

        // It goes with the cluster.
        var database = await Postgres.DatabaseAsync(cluster);
        await database.FillAsync(features);
        return (cluster, database);
    }
}
