using System.Diagnostics;
using System.Globalization;
using Grpc.Core;
using Npgsql;
using RouteService.Contracts.V1;
using RouteService.Domain.Watch;
using RouteService.Infrastructure.Postgis;
using RouteService.Postgis.Tests.Chat;
using Box = RouteService.Contracts.V1.Box;
using Circle = RouteService.Contracts.V1.Circle;
using Coordinate = RouteService.Domain.Geography.Coordinate;
using FeaturesClient = RouteService.Contracts.V1.Features.FeaturesClient;

namespace RouteService.Postgis.Tests.Watch;

/// <summary>
/// Replicas of the built program with clients that write and clients that keep copies, and things that go wrong: whatever it is, no change is missed or out
/// of order, and each copy is right at the end.
/// </summary>
public sealed class WatchFaultTests(ChatReplicas replicas, ITestOutputHelper output) : IClassFixture<ChatReplicas>
{
    private const int Places = 30;

    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(1.5);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    [Fact]
    public Task Kill_9_of_a_replica() => DuringTrafficAsync(seed: 1, async () =>
    {
        Assert.NotEqual(0, await replicas.StopAsync(0, RunningService.SigKill));
        await Task.Delay(Moment);
        await replicas.StartAsync(0);
    });

    [Theory]
    [InlineData(StopMode.Fast)]
    [InlineData(StopMode.Immediate)]
    public Task A_restart_of_the_database(StopMode mode) => DuringTrafficAsync(seed: 2, async () =>
    {
        await replicas.Cluster.StopAsync(mode);
        await Task.Delay(Moment);
        await replicas.Cluster.StartAsync();
    });

    [Fact]
    public Task The_end_of_the_listening_sessions() => DuringTrafficAsync(seed: 3, async () =>
    {
        await using var connection = new NpgsqlConnection(replicas.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            $"SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE {Sessions.OfService} AND query LIKE 'LISTEN feature_change%'", connection);
        Assert.True((long)(await command.ExecuteScalarAsync())! > 0);
    });

    [Fact]
    public Task SIGTERM_of_a_replica() => DuringTrafficAsync(seed: 4, async () =>
    {
        Assert.Equal(0, await replicas.StopAsync(0, RunningService.SigTerm));
        await replicas.StartAsync(0);
    });

    /// <summary>A random schedule, of which ROUTE_CHAT_SCHEDULE and ROUTE_CHAT_SECONDS give the seed and the length.</summary>
    [Fact]
    public async Task A_random_schedule_of_faults()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("ROUTE_CHAT_SCHEDULE"), CultureInfo.InvariantCulture, out var given) ? given : 7;
        var seconds = int.TryParse(Environment.GetEnvironmentVariable("ROUTE_CHAT_SECONDS"), CultureInfo.InvariantCulture, out var length) ? length : 20;
        var schedule = FaultSchedule.Create(new Random(seed), seconds);
        output.WriteLine($"{schedule}");
        await DuringTrafficAsync(seed, () => schedule.RunAsync(replicas));
    }

    private async Task DuringTrafficAsync(int seed, Func<Task> fault)
    {
        await replicas.StartAsync();
        using var stop = new CancellationTokenSource();
        using var stopWriting = new CancellationTokenSource();
        var box = new Area { Box = new Box { Low = At(0), High = At((Places / 2) - 1) } };
        var circle = new Area { Circle = new Circle { Center = At(Places / 2), RadiusMeters = 0.05 } };
        List<Watcher> watchers =
        [
            new("everywhere", seed, replicas, area: null, same: null),
            new("everywhere too", seed + 1, replicas, area: null, same: null),
            new("box", seed + 2, replicas, box, new Domain.Geography.Box(new Coordinate(0, 0), new Coordinate((Places / 2) - 1, 0))),
            new("circle", seed + 3, replicas, circle, new Domain.Geography.Circle(new Coordinate(Places / 2, 0), 0.05)),
        ];
        var watching = Task.WhenAll(watchers.Select(watcher => watcher.RunAsync(stop.Token)));
        var writing = Task.WhenAll(
        [
            .. Enumerable.Range(0, 3).Select(writer => WriteAsync(new Random(seed + 100 + writer), writer, stopWriting.Token)),
            .. Enumerable.Range(0, 2).Select(writer => WriteByHandAsync(new Random(seed + 200 + writer), stopWriting.Token)),
        ]);
        try
        {
            await Task.Delay(Moment);
            await fault();
            await Task.Delay(Moment);
            await stopWriting.CancelAsync();
            await writing;
            await using var connections = new PostgisDatabase(replicas.ConnectionString);
            var log = new PostgisChangeLog(connections);

            // The last change is one that all of them see.
            await PutAsync(0, Places / 2, "last");
            await PutAsync(0, 0, "last");
            var head = await log.ReadHeadAsync(default);
            var clock = Stopwatch.StartNew();
            while (watchers.Find(watcher => watcher.Reached < head - 1) is { } behind)
            {
                Assert.False(watching.IsCompleted, "The watching has ended.");
                Assert.True(clock.Elapsed < Patience, $"{behind.Name} is at {behind.Reached} of {head}.");
                await Task.Delay(50);
            }

            await Task.WhenAll(watchers.Select(async watcher =>
            {
                using var channel = replicas.Connect(0);
                var area = watcher.Name switch { "box" => box, "circle" => circle, _ => null };
                while (!await IsRightAsync(watcher, new FeaturesClient(channel), area))
                {
                    Assert.True(clock.Elapsed < Patience, $"The copy of {watcher.Name} has {watcher.Copy.Count} features and is not right.");
                    await Task.Delay(50);
                }
            }));
            await stop.CancelAsync();
            await watching;
            replicas.AssertRunning();
            var changes = await log.ReadFromAsync(0, int.MaxValue, default);
            Assert.Empty(watchers.SelectMany(watcher => watcher.Streams.SelectMany(stream =>
                WatchHistoryChecker.Check(changes, watcher.Name, watcher.Area, stream))));
            output.WriteLine($"{changes.Count} changes; {watchers.Sum(static each => each.Streams.Count)} streams received "
                + $"{watchers.Sum(static each => each.Streams.Sum(static stream => stream.Received.Count))}.");
        }
        catch
        {
            output.WriteLine(replicas.Output);
            throw;
        }
        finally
        {
            await stopWriting.CancelAsync();
            await stop.CancelAsync();
            await Task.WhenAll(writing, watching).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Whether a copy is what is listed; no while the replica cannot answer.</summary>
    private static async Task<bool> IsRightAsync(Watcher watcher, FeaturesClient features, Area? area)
    {
        try
        {
            var (listed, copy) = (await Watcher.ListAsync(features, area), watcher.Copy);
            return listed.Count == copy.Count && listed.All(each => copy.TryGetValue(each.Key, out var same) && same.Equals(each.Value));
        }
        catch (RpcException)
        {
            return false;
        }
    }

    private static Point At(int place) => new() { LatitudeE7 = place };

    /// <summary>Writes through the replicas, again until it is done.</summary>
    private async Task WriteAsync(Random chance, int writer, CancellationToken stop)
    {
        for (var i = 0; !stop.IsCancellationRequested; i++)
        {
            await PutAsync(chance.Next(ChatReplicas.Count), chance.Next(Places), chance.Next(4) == 0 ? null : $"{writer} {i}");
            await Task.Delay(chance.Next(20), CancellationToken.None);
        }
    }

    private async Task PutAsync(int replica, int place, string? name)
    {
        var id = Guid.NewGuid().ToString();
        var clock = Stopwatch.StartNew();
        for (; ; replica = (replica + 1) % ChatReplicas.Count)
        {
            using var channel = replicas.Connect(replica);
            var features = new FeaturesClient(channel);
            try
            {
                if (name is null)
                {
                    await features.DeleteFeatureAsync(
                        new DeleteFeatureRequest { Name = $"features/{place},0", AllowMissing = true, RequestId = id }, deadline: DateTime.UtcNow.AddSeconds(10));
                }
                else
                {
                    var feature = new Feature { Location = At(place), DisplayName = name };
                    await features.UpdateFeatureAsync(
                        new UpdateFeatureRequest { Feature = feature, AllowMissing = true, RequestId = id }, deadline: DateTime.UtcNow.AddSeconds(10));
                }

                return;
            }
            catch (RpcException e) when (e.StatusCode is StatusCode.NotFound)
            {
                // It was done, and another has deleted the feature since.
                return;
            }
            catch (RpcException) when (clock.Elapsed < Patience)
            {
                await Task.Delay(100);
            }
        }
    }

    /// <summary>Writes as psql does: transactions of several statements, and now and then one that is a reset.</summary>
    private async Task WriteByHandAsync(Random chance, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var places = Enumerable.Range(0, Places).Where(_ => chance.Next(10) == 0).ToList();
            var statements = places.Select(place => chance.Next(3) == 0
                ? $"DELETE FROM feature WHERE latitude = {place};"
                : $"INSERT INTO feature (latitude, longitude, name) VALUES ({place}, 0, '{chance.Next()}') ON CONFLICT (latitude, longitude) DO UPDATE SET name = excluded.name;");
            var reset = chance.Next(20) == 0
                ? "INSERT INTO feature (latitude, longitude, name) SELECT -i, 7, '' FROM generate_series(1, 10001) AS i ON CONFLICT DO NOTHING; DELETE FROM feature WHERE longitude = 7;"
                : "";
            try
            {
                await using var connection = new NpgsqlConnection(replicas.ConnectionString);
                await connection.OpenAsync(CancellationToken.None);
                await using var command = new NpgsqlCommand($"BEGIN; {string.Concat(statements)} {reset} COMMIT", connection);
                await command.ExecuteNonQueryAsync(CancellationToken.None);
            }
            catch (NpgsqlException)
            {
                // The database is away; the checker looks at what was committed.
            }

            await Task.Delay(chance.Next(100), CancellationToken.None);
        }
    }
}
