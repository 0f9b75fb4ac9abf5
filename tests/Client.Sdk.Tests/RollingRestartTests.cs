using System.Net;
using RouteService.Testing.Postgres;

namespace RouteService.Client.Tests;

/// <summary>Three replicas on one PostgreSQL behind one name, each with an address of its own and the same port, as the pods of a headless Service have.</summary>
public sealed class RollingRestartTests : IAsyncLifetime
{
    private const int Replicas = 3;
    private const int Features = 20_000;

    private readonly RunningService[] _services = [.. Enumerable.Range(0, Replicas).Select(static _ => new RunningService())];
    private readonly List<TcpProxy> _addresses = [];
    private TestDatabase? _database;

    public ValueTask InitializeAsync() => default;

    public async ValueTask DisposeAsync()
    {
        foreach (var address in _addresses)
        {
            await address.DisposeAsync();
        }

        foreach (var service in _services)
        {
            await service.DisposeAsync();
        }

        if (_database is not null)
        {
            await _database.DisposeAsync();
        }
    }

    [Fact]
    public async Task Nothing_fails_and_nothing_is_lost_while_all_replicas_are_replaced()
    {
        await StartAsync();
        await using var client = new RouteServiceClient(new RouteServiceClientOptions
        {
            Address = $"dns:///routes.test:{_addresses[0].Port}",
            Resolve = static (_, _) => Task.FromResult(Enumerable.Range(0, Replicas).Select(AddressOf).ToArray()),
        });
        using var rollout = new CancellationTokenSource();
        var (calls, listings, posted) = (0, 0, 0);
        var place = Coordinate.FromDegrees(12, 34);
        await using var listener = await client.JoinChatAsync([place]);
        await using var poster = await client.JoinChatAsync();
        var heard = new List<RouteNote>();
        var listening = Task.Run(async () =>
        {
            await foreach (var note in listener)
            {
                heard.Add(note);
            }
        });

        var load = Task.WhenAll(
            WhileAsync(async () =>
            {
                Assert.Equal("Hello, you!", await client.SayHelloAsync("you"));
                calls++;
            }),
            WhileAsync(async () =>
            {
                var features = await Places.ToListAsync(client.ListFeaturesAsync(BoundingBox.World));
                Assert.Equal(Features, features.Select(static feature => feature.Location).Distinct().Count());
                Assert.Equal(Features, features.Count);
                listings++;
            }),
            WhileAsync(async () => await poster.PostAsync(place, $"note {++posted}")));
        foreach (var service in _services)
        {
            // A fault of the load ends the test at once.
            await Task.WhenAny(load, Task.Delay(TimeSpan.FromSeconds(1)));
            Assert.False(load.IsFaulted, load.Exception?.ToString());
            Assert.Equal(0, await service.StopAsync());
            await service.InitializeAsync();
        }

        await Task.WhenAny(load, Task.Delay(TimeSpan.FromSeconds(1)));
        await rollout.CancelAsync();
        await load;
        await listener.CompleteAsync();
        await listening.WaitAsync(TimeSpan.FromMinutes(1));

        Assert.Equal(Enumerable.Range(1, posted).Select(static i => $"note {i}"), heard.Select(static note => note.Message));
        Assert.True(calls > 20 && listings > 2 && posted > 20, $"{calls} calls, {listings} listings and {posted} notes are too few to tell anything.");

        async Task WhileAsync(Func<Task> body)
        {
            while (!rollout.IsCancellationRequested)
            {
                await body();
            }
        }
    }

    private static IPAddress AddressOf(int replica) => new([127, 0, 0, (byte)(10 + replica)]);

    private async Task StartAsync()
    {
        PostgresServer? server = null;
        try
        {
            server = await PostgresServer.SharedAsync();
        }
        catch (PostgresMissingException e)
        {
            Assert.Skip(e.Message);
        }

        _database = await server.CreateDatabaseAsync();
        foreach (var (replica, service) in _services.Index())
        {
            service.Settings["ConnectionStrings__RouteService"] = _database.ConnectionString;
            service.Settings["RouteService__Postgres__MigrateOnStart"] = "true";
            await service.InitializeAsync();
            _addresses.Add(TcpProxy.Start(() => service.GrpcPort, AddressOf(replica), _addresses.FirstOrDefault()?.Port ?? 0));
        }

        await _database.ExecuteAsync($"INSERT INTO feature (latitude, longitude, name) SELECT i * 1000, i * 2000, 'place ' || i FROM generate_series(1, {Features}) i");
    }
}
