using System.Collections.Concurrent;
using Grpc.Core;
using Npgsql;
using RouteService.Contracts.Routeguide;
using V1 = RouteService.Contracts.V1;

namespace RouteService.Postgis.Tests;

/// <summary>The built program through PgBouncer in transaction mode.</summary>
public sealed class PoolerTests : ServiceTest
{
    private const string Full = "ResourceExhausted: The database has no connection left; try again, with fewer calls at once.";

    [Fact]
    public async Task Every_call_is_answered_and_notes_of_other_replicas_come()
    {
        var database = await DatabaseAsync(features: 10);
        var pooler = Ours(await Pooler.StartAsync(database.ConnectionString));
        var (one, other) = (await StartAsync(pooler.To(database)), await StartAsync(pooler.To(database)));
        using var hearing = other.Routes.RouteChat(deadline: ServiceOnPostgis.Deadline);
        await hearing.RequestStream.WriteAsync(Note("first"));
        using var again = other.Routes.RouteChat(deadline: ServiceOnPostgis.Deadline);
        await again.RequestStream.WriteAsync(Note("second"));
        Assert.True(await hearing.ResponseStream.MoveNext(default));

        Assert.StartsWith("place 1 ", await one.NameAtAsync(800, -1500));
        Assert.Equal(10, await one.CountAsync());
        Assert.Equal(3, (await one.RecordAsync(points: 3)).FeatureCount);
        await PostAsync(one, "from afar");

        Assert.Equal("second", hearing.ResponseStream.Current.Message);
        Assert.True(await hearing.ResponseStream.MoveNext(default));
        Assert.Equal("from afar", hearing.ResponseStream.Current.Message);
    }

    [Fact]
    public async Task Writes_searches_and_imports_are_answered_and_watches_of_other_replicas_hear_of_them()
    {
        var database = await DatabaseAsync(features: 10);
        var pooler = Ours(await Pooler.StartAsync(database.ConnectionString));
        var (one, other) = (await StartAsync(pooler.To(database)), await StartAsync(pooler.To(database)));
        using var watch = other.Features.WatchFeatures(new V1.WatchFeaturesRequest(), deadline: ServiceOnPostgis.Deadline);
        Assert.True(await watch.ResponseStream.MoveNext(default));

        var places = Enumerable.Range(0, 50).Select(static i => new V1.Point { LatitudeE7 = -1 - i }).ToList();
        var created = await Task.WhenAll(places.Select(async place => await one.Features.CreateFeatureAsync(
            new V1.CreateFeatureRequest { Feature = new V1.Feature { Location = place, DisplayName = "new" }, RequestId = Guid.NewGuid().ToString() },
            deadline: ServiceOnPostgis.Deadline)));
        using var import = one.Features.ImportFeatures(deadline: ServiceOnPostgis.Deadline);
        await import.RequestStream.WriteAsync(new V1.ImportFeaturesRequest { Options = new V1.ImportFeaturesRequest.Types.Options() });
        var batch = new V1.ImportFeaturesRequest.Types.Batch { Features = { new V1.Feature { Location = places[0], DisplayName = "imported" } } };
        await import.RequestStream.WriteAsync(new V1.ImportFeaturesRequest { Batch = batch });
        await import.RequestStream.CompleteAsync();

        Assert.Equal(60, (await import).TotalCount);
        var found = await one.Features.SearchFeaturesAsync(
            new V1.SearchFeaturesRequest { Filter = new V1.FeatureFilter { Text = "new" } }, deadline: ServiceOnPostgis.Deadline);
        Assert.Equal(49, found.Results.Count);
        var heard = new HashSet<string>();
        while (heard.Count < created.Length || watch.ResponseStream.Current.Feature?.DisplayName is not "imported")
        {
            Assert.True(await watch.ResponseStream.MoveNext(default));
            heard.Add(watch.ResponseStream.Current.Feature?.Name ?? "");
            heard.Remove("");
        }

        Assert.Equal(created.Select(static feature => feature.Name).Order(), heard.Order());
    }

    [Theory]
    [InlineData("the pooler")]
    [InlineData("the database")]
    [InlineData("the database, by a crash")]
    public async Task After_a_restart_no_call_fails(string restarted)
    {
        var cluster = Ours(await Postgres.ClusterAsync());
        var database = await Postgres.DatabaseAsync(cluster);
        await database.FillAsync(10);
        var pooler = Ours(await Pooler.StartAsync(cluster.ConnectionString));
        var service = await StartAsync(pooler.To(database));
        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => service.CountAsync()));

        await (restarted is "the pooler" ? pooler.RestartAsync() : cluster.RestartAsync(restarted is "the database" ? StopMode.Fast : StopMode.Immediate));

        // The pooler may still believe that its server is down, for as long as it waits between its own attempts.
        if (restarted is not "the pooler")
        {
            await service.ReadyAsync();
        }

        Assert.All(await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => service.CountAsync())), static count => Assert.Equal(10, count));
        Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
        await PostAsync(service, "after it");
    }

    /// <summary>The pooler lets its clients wait for a server that it cannot connect to, so the time for an answer may pass.</summary>
    [Fact]
    public async Task While_the_database_is_away_calls_end_and_afterwards_they_are_answered()
    {
        var cluster = Ours(await Postgres.ClusterAsync());
        var database = await Postgres.DatabaseAsync(cluster);
        await database.FillAsync(10);
        var pooler = Ours(await Pooler.StartAsync(cluster.ConnectionString));
        var service = await StartAsync($"{pooler.To(database)};Command Timeout=2");

        await cluster.StopAsync(StopMode.Immediate);

        foreach (var call in (Func<Task>[])[service.CountAsync, () => service.NameAtAsync(800, -1500), () => service.RecordAsync(points: 3)])
        {
            var end = await Assert.ThrowsAsync<RpcException>(call);
            Assert.True(end.StatusCode is StatusCode.Unavailable or StatusCode.DeadlineExceeded, end.ToString());
        }

        await service.NotReadyAsync();
        await cluster.StartAsync();
        await service.ReadyAsync();
        Assert.Equal(10, await service.CountAsync());
    }

    /// <summary>Whether the service has most of them or strangers do: what it cannot have is told as such, and what it has goes on working.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Callers_are_told_that_the_clients_of_the_pooler_are_used_up(bool byStrangers)
    {
        const int Clients = 8, Calls = 60;
        var database = await DatabaseAsync(features: 10);
        var pooler = Ours(await Pooler.StartAsync(database.ConnectionString, Clients));
        var service = await StartAsync(pooler.To(database));
        await using var strangers = NpgsqlDataSource.Create($"{pooler.To(database)};Maximum Pool Size=100;No Reset On Close=true");
        var held = new List<NpgsqlConnection>();
        if (byStrangers)
        {
            // The connections of the service end, and it has at most those again that are not for calls.
            await pooler.RestartAsync();
            while (await TryHoldAsync())
            {
            }
        }

        var ends = new ConcurrentQueue<string>();
        Task calls;
        await using (await database.LockFeaturesAsync())
        {
            calls = Task.WhenAll(Enumerable.Range(0, Calls).Select(async _ =>
            {
                try
                {
                    await service.CountAsync();
                    ends.Enqueue("OK");
                }
                catch (RpcException e)
                {
                    ends.Enqueue($"{e.StatusCode}: {e.Status.Detail}");
                }
            }));
            while (ends.Count < Calls - Clients)
            {
                await Task.Delay(20);
            }
        }

        await calls;
        Assert.Equal(byStrangers ? [Full] : ["OK", Full], ends.Distinct().Order(StringComparer.Ordinal));
        foreach (var connection in held)
        {
            await connection.DisposeAsync();
        }

        strangers.Clear();
        await service.ReadyAsync();
        Assert.Equal(10, await service.CountAsync());

        async Task<bool> TryHoldAsync()
        {
            try
            {
                held.Add(await strangers.OpenConnectionAsync());
                return true;
            }
            catch (PostgresException)
            {
                return false;
            }
        }
    }

    private static RouteNote Note(string message) => new() { Location = new Point { Latitude = 5, Longitude = 6 }, Message = message };

    private static async Task PostAsync(ServiceOnPostgis service, string message)
    {
        using var chat = service.Routes.RouteChat(deadline: ServiceOnPostgis.Deadline);
        await chat.RequestStream.WriteAsync(Note(message));
        await chat.RequestStream.CompleteAsync();
        await foreach (var _ in chat.ResponseStream.ReadAllAsync())
        {
        }
    }
}
