using System.Globalization;
using System.Net;
using static RouteService.Client.Tests.Places;

namespace RouteService.Client.Tests;

/// <summary>Three replicas of the built program on one PostgreSQL, restarted one after the other, as Kubernetes does it, while clients are busy.</summary>
public sealed class RollingRestartTests : IAsyncLifetime
{
    private const int Replicas = 3;
    private const int Features = 20_000;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly Coordinate Square = Coordinate.FromDegrees(1, 1);

    // A second of grace is less than a listing takes: what is cut off then may be told as an error.
    private readonly RunningService[] _services = [.. Enumerable.Range(0, Replicas).Select(static _ => new RunningService { ExpectedErrors = "Grpc.AspNetCore.Server" })];
    private readonly List<TcpProxy> _doors = [];
    private readonly CancellationTokenSource _stop = new();
    private TestDatabase? _database;

    [Fact]
    public async Task No_unary_call_fails_no_listing_loses_or_repeats_a_feature_and_no_note_is_lost()
    {
        await StartAsync();
        await using var client = ConnectToAll();
        await using var other = ConnectToAll();
        await using var ann = await client.JoinChatAsync([Square]);
        await using var bob = await other.JoinChatAsync([Square]);
        var (posted, heard) = (new List<RouteNote>(), ListenAsync(bob));
        var load = new List<Task<int>>
        {
            RepeatAsync(async i => Assert.Equal($"place {i % Features}", (await client.GetFeatureAsync(PlaceAt(i % Features)))?.Name)),
            RepeatAsync(async i => Assert.Equal($"Hello, {i}!", await client.SayHelloAsync(i.ToString(CultureInfo.InvariantCulture)))),
            RepeatAsync(_ => other.CheckHealthAsync()),
            RepeatAsync(_ => ListAsync(client, slowly: false)),
            RepeatAsync(_ => ListAsync(other, slowly: true)),
            RepeatAsync(async i => Assert.Equal(50, (await other.RecordRouteAsync([.. Enumerable.Range(i, 50).Select(static i => PlaceAt(i % Features))])).Features)),
            RepeatAsync(async i => posted.Add(await ann.PostAsync(Square, $"note {i}"))),
        };

        for (var i = 0; i < Replicas; i++)
        {
            // As the endpoints of a Service: gone with SIGTERM, and back when it is ready. Connections that are open drain meanwhile.
            _doors[i].Close();
            Assert.Equal(0, await _services[i].StopAsync());
            await _services[i].InitializeAsync();
            _doors[i].Accept();
            await Task.Delay(500);
            await Task.WhenAll(load.Where(static task => task.IsFaulted));
        }

        await _stop.CancelAsync();
        var counts = await Task.WhenAll(load).WaitAsync(Patience);
        await bob.CompleteAsync();
        await ann.CompleteAsync();
        var notes = await heard.WaitAsync(Patience);

        Assert.All(counts, static count => Assert.True(count > 1, $"One of the loads was done only {count} times."));
        Assert.Equal(Enumerable.Range(0, posted.Count).Select(static i => $"note {i}"), notes.Select(static note => note.Message));
        Assert.Equal(posted.Select(static note => note.Sequence), notes.Select(static note => note.Sequence));
        Assert.Equal(posted, await ToListAsync(ann));
        Assert.True(_doors.Sum(static door => door.Connections) > 2 * Replicas, "No connection was ever lost.");
    }

    public ValueTask InitializeAsync() => default;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        foreach (var door in _doors)
        {
            await door.DisposeAsync();
        }

        foreach (var service in _services)
        {
            await service.DisposeAsync();
        }

        if (_database is not null)
        {
            await _database.DisposeAsync();
        }

        _stop.Dispose();
    }

    /// <summary>Each replica has an address of its own, as pods do, and all have one port.</summary>
    private async Task StartAsync()
    {
        try
        {
            _database = await (await PostgresServer.SharedAsync()).CreateDatabaseAsync();
        }
        catch (PostgresMissingException e)
        {
            Assert.Skip(e.Message);
        }

        foreach (var service in _services)
        {
            service.Settings["ConnectionStrings__RouteService"] = _database.ConnectionString;
            service.Settings["RouteService__Shutdown__GraceSeconds"] = "1";
        }

        _services[0].Settings["RouteService__Postgres__MigrateOnStart"] = "true";
        await _services[0].InitializeAsync();
        await Task.WhenAll(_services.Skip(1).Select(static service => service.InitializeAsync().AsTask()));
        await _database.ExecuteAsync(
            $"INSERT INTO feature (latitude, longitude, name) SELECT (i - 10000) * 10000, i * 20000, 'place ' || i FROM generate_series(0, {Features - 1}) i");
        for (var i = 0; i < Replicas; i++)
        {
            var service = _services[i];
            _doors.Add(TcpProxy.Start(() => service.GrpcPort, Loopback(i), i == 0 ? 0 : _doors[0].Port));
        }
    }

    private RouteServiceClient ConnectToAll() => new(new RouteServiceClientOptions
    {
        Address = $"dns:///replicas.test:{_doors[0].Port}",
        Resolve = static (_, _) => Task.FromResult(Enumerable.Range(0, Replicas).Select(Loopback).ToArray()),
    });

    private Task<int> RepeatAsync(Func<int, Task> work) => Task.Run(async () =>
    {
        var count = 0;
        for (; !_stop.IsCancellationRequested; count++)
        {
            await work(count);

            // Busy, and not so that the replicas take long to start.
            await Task.Delay(2);
        }

        return count;
    });

    private static async Task ListAsync(RouteServiceClient client, bool slowly)
    {
        var seen = new HashSet<Coordinate>();
        await foreach (var feature in client.ListFeaturesAsync(BoundingBox.World))
        {
            Assert.True(seen.Add(feature.Location), $"{feature} has come twice.");
            if (slowly && seen.Count % 100 == 0)
            {
                // So that what is under way when a replica ends is not at its end within the grace.
                await Task.Delay(20);
            }
        }

        Assert.Equal(Features, seen.Count);
    }

    private static async Task<List<RouteNote>> ListenAsync(IRouteChat chat) => await ToListAsync(chat);

    private static Coordinate PlaceAt(int i) => Coordinate.FromE7((i - 10_000) * 10_000, i * 20_000);

    private static IPAddress Loopback(int replica) => new([127, 0, 0, (byte)(31 + replica)]);
}
