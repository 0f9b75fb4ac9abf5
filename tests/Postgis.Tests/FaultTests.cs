using System.Diagnostics;
using System.Net;
using Grpc.Core;
using RouteService.Contracts.Routeguide;
using RouteService.Testing.Postgres;

namespace RouteService.Postgis.Tests;

/// <summary>The built program while its database is in trouble: each call ends with the truth and in time, and what is mended is used again.</summary>
public sealed class FaultTests : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _ours = [];

    [Fact]
    public async Task While_the_database_is_down_calls_end_unavailable_and_when_it_is_back_they_are_answered()
    {
        var (cluster, database) = await ClusterAsync(features: 10);
        var service = await StartAsync(database.ConnectionString);

        await cluster.StopAsync();

        Assert.Contains("database", await ServiceOnPostgis.AssertFailsAsync(StatusCode.Unavailable, () => service.NameAtAsync(800, -1500)));
        await ServiceOnPostgis.AssertFailsAsync(StatusCode.Unavailable, service.CountAsync);
        await ServiceOnPostgis.AssertFailsAsync(StatusCode.Unavailable, () => RecordAsync(service, points: 3));
        await service.NotReadyAsync();
        Assert.Equal(HttpStatusCode.OK, await service.HealthAsync("live"));

        await cluster.StartAsync();

        await service.ReadyAsync();
        Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
        Assert.Equal(10, await service.CountAsync());
        Assert.Equal(3, (await RecordAsync(service, points: 3)).FeatureCount);
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
    public async Task Connections_that_an_administrator_ends_while_they_are_idle_cost_no_call()
    {
        var database = await DatabaseAsync(features: 10);
        var service = await StartAsync(database.ConnectionString);
        for (var i = 0; i < 5; i++)
        {
            Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
            Assert.Equal(10, await service.CountAsync());
            await database.TerminateAsync();
        }

        Assert.Equal(10, await service.CountAsync());
    }

    [Fact]
    public async Task A_query_that_an_administrator_ends_is_tried_once_more()
    {
        var database = await DatabaseAsync(features: 10);
        var service = await StartAsync(database.ConnectionString);
        Task<string> found;
        Task<int> counted;
        await using (await database.LockFeaturesAsync())
        {
            found = service.NameAtAsync(800, -1500);
            counted = service.CountAsync();
            await database.UntilAsync(Sessions.Waiting, static count => count == 2);
            await database.TerminateAsync();
            await database.UntilAsync(Sessions.Waiting, static count => count == 2);
        }

        Assert.StartsWith("place 1 ", await found);
        Assert.Equal(10, await counted);
    }

    [Fact]
    public async Task A_query_that_an_administrator_ends_twice_is_unavailable()
    {
        var database = await DatabaseAsync(features: 10);
        var service = await StartAsync(database.ConnectionString);
        await using (await database.LockFeaturesAsync())
        {
            var found = service.NameAtAsync(800, -1500);
            var counted = service.CountAsync();
            while (!found.IsCompleted || !counted.IsCompleted)
            {
                await database.TerminateAsync(Sessions.Waiting);
                await Task.Delay(20);
            }

            await ServiceOnPostgis.AssertFailsAsync(StatusCode.Unavailable, () => found);
            await ServiceOnPostgis.AssertFailsAsync(StatusCode.Unavailable, () => counted);
        }

        Assert.Equal(10, await service.CountAsync());
    }

    [Fact]
    public async Task Who_finds_the_pool_exhausted_is_told_so()
    {
        var database = await DatabaseAsync(features: 10);
        var service = await StartAsync($"{database.ConnectionString};Maximum Pool Size=1;Timeout=1;Command Timeout=30");
        Task<int> counted;
        await using (await database.LockFeaturesAsync())
        {
            counted = service.CountAsync();
            await database.UntilAsync(Sessions.Waiting, static count => count == 1);

            Assert.Contains("connections", await ServiceOnPostgis.AssertFailsAsync(StatusCode.ResourceExhausted, () => service.NameAtAsync(800, -1500)));
            await ServiceOnPostgis.AssertFailsAsync(StatusCode.ResourceExhausted, service.CountAsync);
            await service.NotReadyAsync();
        }

        Assert.Equal(10, await counted);
        await service.ReadyAsync();
        Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
    }

    [Theory]
    [InlineData("Options=-c statement_timeout=200ms")]
    [InlineData("Command Timeout=1")]
    public async Task A_database_that_takes_too_long_is_a_deadline_exceeded(string setting)
    {
        var database = await DatabaseAsync(features: 10);
        var service = await StartAsync($"{database.ConnectionString};{setting}");
        await using (await database.LockFeaturesAsync())
        {
            await ServiceOnPostgis.AssertFailsAsync(StatusCode.DeadlineExceeded, () => service.NameAtAsync(800, -1500));
            await ServiceOnPostgis.AssertFailsAsync(StatusCode.DeadlineExceeded, service.CountAsync);
            await ServiceOnPostgis.AssertFailsAsync(StatusCode.DeadlineExceeded, () => RecordAsync(service, points: 3));
            await service.NotReadyAsync();
        }

        await service.ReadyAsync();
        Assert.Equal(10, await service.CountAsync());
        Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
    }

    [Theory]
    [InlineData("the client cancels")]
    [InlineData("the deadline passes")]
    public async Task A_listing_stops_its_query_within_a_second_when(string end)
    {
        var database = await DatabaseAsync(features: 10);

        // Nothing but the call's end can end its query.
        var service = await StartAsync($"{database.ConnectionString};Command Timeout=600");
        await using (await database.LockFeaturesAsync())
        {
            // A busy machine may be late once; a service that does not stop its query is late each time.
            var took = TimeSpan.MaxValue;
            for (var attempt = 0; attempt < 5 && took > TimeSpan.FromSeconds(1); attempt++)
            {
                using var cancellation = new CancellationTokenSource();
                var deadline = end is "the deadline passes" ? DateTime.UtcNow.AddSeconds(1) : ServiceOnPostgis.Deadline;
                using var listing = service.Routes.ListFeatures(ServiceOnPostgis.World, deadline: deadline, cancellationToken: cancellation.Token);
                var first = listing.ResponseStream.MoveNext(default);
                await database.UntilAsync(Sessions.Waiting, static count => count == 1);
                if (end is "the client cancels")
                {
                    await cancellation.CancelAsync();
                }

                Assert.Equal(
                    end is "the client cancels" ? StatusCode.Cancelled : StatusCode.DeadlineExceeded,
                    (await Assert.ThrowsAsync<RpcException>(() => first)).StatusCode);
                took = await database.UntilAsync(Sessions.Waiting, static count => count == 0);
            }

            Assert.True(took < TimeSpan.FromSeconds(1), $"It has taken {took}.");
        }

        Assert.Equal(10, await service.CountAsync());
    }

    [Fact]
    public async Task Ten_clients_that_read_a_message_a_second_stop_nobody_with_a_pool_of_ten()
    {
        var database = await DatabaseAsync(features: 100_000);
        var service = await StartAsync($"{database.ConnectionString};Maximum Pool Size=10;Timeout=1");
        using var enough = new CancellationTokenSource();
        var slow = Enumerable.Range(0, 10).Select(_ => ReadSlowlyAsync()).ToList();
        await Task.WhenAll(slow.Select(reader => reader.FirstRead.Task));

        // They hold no connection while they wait for their clients, though the database has much more for them.
        await database.UntilQuietAsync();
        for (var i = 1; i <= 20; i++)
        {
            Assert.StartsWith($"place {i} ", await service.NameAtAsync(i * 800, i * -1500));
        }

        Assert.Equal(100_000, await service.CountAsync());
        Assert.All(slow, static reader => Assert.False(reader.Reading.IsCompleted));
        await enough.CancelAsync();
        await Task.WhenAll(slow.Select(reader => reader.Reading));

        (Task Reading, TaskCompletionSource FirstRead) ReadSlowlyAsync()
        {
            var firstRead = new TaskCompletionSource();
            return (Read(), firstRead);

            async Task Read()
            {
                using var listing = service.Routes.ListFeatures(ServiceOnPostgis.World, deadline: ServiceOnPostgis.Deadline, cancellationToken: enough.Token);
                try
                {
                    while (await listing.ResponseStream.MoveNext(default))
                    {
                        firstRead.TrySetResult();
                        await Task.Delay(TimeSpan.FromSeconds(1), enough.Token);
                    }
                }
                catch (Exception e) when (e is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
                {
                    // The test has seen enough.
                }
            }
        }
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
        Assert.Equal(3, (await RecordAsync(service, points: 3)).FeatureCount);
        var import = await Program.ImportAsync(connectionString, "name,latitude,longitude\nNew,1,2\n");
        Assert.Equal((1, "routeservice: The database is a read-only standby."), (import.ExitCode, import.Error.Trim()));
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

    public async ValueTask DisposeAsync()
    {
        for (var i = _ours.Count - 1; i >= 0; i--)
        {
            await _ours[i].DisposeAsync();
        }
    }

    private static async Task<RouteSummary> RecordAsync(ServiceOnPostgis service, int points)
    {
        using var call = service.Routes.RecordRoute(deadline: ServiceOnPostgis.Deadline);
        for (var i = 1; i <= points; i++)
        {
            await call.RequestStream.WriteAsync(new Point { Latitude = i * 800, Longitude = i * -1500 });
        }

        await call.RequestStream.CompleteAsync();
        return await call;
    }

    private async Task<(PostgresCluster Cluster, TestDatabase Database)> ClusterAsync(int features)
    {
        var cluster = Ours(await Postgres.ClusterAsync());

        // It goes with the cluster.
        var database = await Postgres.DatabaseAsync(new PostgresServer(cluster.ConnectionString));
        await database.FillAsync(features);
        return (cluster, database);
    }

    private async Task<TestDatabase> DatabaseAsync(int features)
    {
        var database = Ours(await Postgres.DatabaseAsync());
        await database.FillAsync(features);
        return database;
    }

    private async Task<ServiceOnPostgis> StartAsync(string connectionString) => Ours(await ServiceOnPostgis.StartAsync(connectionString));

    private async Task<ServiceOnPostgis> LaunchAsync(string connectionString) => Ours(await ServiceOnPostgis.LaunchAsync(connectionString));

    private T Ours<T>(T resource)
        where T : IAsyncDisposable
    {
        _ours.Add(resource);
        return resource;
    }
}
