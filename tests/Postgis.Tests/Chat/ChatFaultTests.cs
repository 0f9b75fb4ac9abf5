using System.Diagnostics;
using System.Globalization;
using Grpc.Core;
using Grpc.Net.Client;
using RouteService.Contracts.Routeguide;
using RouteService.Domain.Geography;

namespace RouteService.Postgis.Tests.Chat;

/// <summary>Replicas of the built program with travellers at them, and each thing that goes wrong by itself: whatever it is, no note is lost, repeated or out of order.</summary>
public sealed class ChatFaultTests(ChatReplicas replicas, ITestOutputHelper output) : IClassFixture<ChatReplicas>, IDisposable
{
    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(1.5);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly Dictionary<int, GrpcChannel> _channels = [];

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public Task Kill_9_of_a_replica(int count) => DuringTrafficAsync(count, async _ =>
    {
        Assert.NotEqual(0, await replicas.StopAsync(0, RunningService.SigKill));
        await Task.Delay(Moment);
        await replicas.StartAsync(0);
    });

    [Theory]
    [InlineData(2, StopMode.Fast)]
    [InlineData(3, StopMode.Immediate)]
    public Task A_restart_of_the_database(int count, StopMode mode) => DuringTrafficAsync(count, async _ =>
    {
        await replicas.Cluster.StopAsync(mode);
        await Task.Delay(Moment);
        await replicas.Cluster.StartAsync();
    });

    [Fact]
    public Task The_end_of_the_listening_sessions_by_an_administrator() => DuringTrafficAsync(3, async traffic =>
    {
        await replicas.UntilAllListenAsync();
        var streams = traffic.Streams.Count();
        Assert.Equal(ChatReplicas.Count, await replicas.TerminateListenersAsync());
        await Task.Delay(Moment);
        Assert.DoesNotContain(traffic.Streams.Skip(streams), static stream => stream.End?.StatusCode is StatusCode.Unavailable);
    });

    [Fact]
    public Task A_replica_that_stands_still_for_twenty_seconds() => DuringTrafficAsync(3, _ => replicas.PauseAsync(1, TimeSpan.FromSeconds(20)));

    [Fact]
    public Task SIGTERM_ends_all_streams_with_a_reason_and_they_go_on_elsewhere() => DuringTrafficAsync(2, async traffic =>
    {
        var open = traffic.Streams.Where(static stream => stream is { Replica: 0, End: null }).ToList();
        Assert.NotEmpty(open);

        Assert.Equal(0, await replicas.StopAsync(0, RunningService.SigTerm));

        // All but those that their own client has just left.
        var ends = open.Select(static stream => stream.End!.Value).Where(static end => end.StatusCode is not StatusCode.Cancelled).ToList();
        Assert.NotEmpty(ends);

        // .NET's client can lose the status to the end of the connection that follows it, which it calls INTERNAL. EndToEnd.Tests hold the status.
        Assert.All(
            ends.Where(static end => end.StatusCode is not StatusCode.Internal),
            static end => Assert.Equal((StatusCode.Unavailable, "The service is shutting down; call again, and another replica answers."), (end.StatusCode, end.Detail)));
        await replicas.StartAsync(0);
    });

    [Fact]
    public async Task Five_hundred_who_listen_and_are_silent_get_what_comes_and_go_on_elsewhere()
    {
        const int Listeners = 500;
        await replicas.StartAsync();
        Coordinate place = new(-1, 0);
        var staying = Enumerable.Range(0, Listeners / 2).Select(_ => Listen(1, place, after: 0)).ToList();
        var leaving = Enumerable.Range(0, Listeners / 2).Select(_ => Listen(0, place, after: 0)).ToList();
        using var author = Listen(2, place, after: 0);
        await PostAsync(author, place, "first");
        await AllGetAsync([.. staying, .. leaving], "first");

        await replicas.UntilAllListenAsync();
        Assert.Equal(ChatReplicas.Count, await replicas.TerminateListenersAsync());
        await PostAsync(author, place, "second");
        var last = await AllGetAsync([.. staying, .. leaving], "second");

        Assert.Equal(0, await replicas.StopAsync(0, RunningService.SigTerm));
        await PostAsync(author, place, "third");
        foreach (var listener in leaving)
        {
            var end = await Assert.ThrowsAsync<RpcException>(() => listener.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));

            // .NET's client can lose the status to the end of the connection that follows it, which it calls INTERNAL. EndToEnd.Tests hold the status.
            Assert.Contains(end.StatusCode, (StatusCode[])[StatusCode.Unavailable, StatusCode.Internal]);
            listener.Dispose();
        }

        var resumed = leaving.ConvertAll(_ => Listen(1, place, after: last));
        await AllGetAsync([.. staying, .. resumed], "third");
        staying.Concat(resumed).ToList().ForEach(static listener => listener.Dispose());
        await replicas.StartAsync();
    }

    [Fact]
    public async Task One_that_stops_reading_holds_nobody_up_gets_all_when_it_reads_again_and_does_not_keep_the_service_from_its_end()
    {
        const int Notes = 3_000;
        await replicas.StartAsync();
        Coordinate place = new(-2, 0);
        using var stalled = Listen(0, place, after: 0);
        using var author = Listen(0, place, after: 0);
        var text = new string('x', 4_000);

        // More than the windows on its way and the memory of the service hold.
        var posting = Task.Run(async () =>
        {
            for (var i = 1; i <= Notes; i++)
            {
                await author.RequestStream.WriteAsync(Note(place, $"{i}{text}"));
            }
        });
        for (var i = 1; i <= Notes; i++)
        {
            Assert.StartsWith($"{i}x", (await NextAsync(author)).Message);
        }

        await posting;
        for (var i = 1; i <= Notes / 2; i++)
        {
            Assert.StartsWith($"{i}x", (await NextAsync(stalled)).Message);
        }

        Assert.Equal(0, await replicas.StopAsync(0, RunningService.SigTerm));
        var end = await Assert.ThrowsAsync<RpcException>(async () => await stalled.ResponseStream.ReadAllAsync().LastAsync());
        Assert.Contains(end.StatusCode, (StatusCode[])[StatusCode.Unavailable, StatusCode.Internal]);
        await replicas.StartAsync();
    }

    /// <summary>
    /// Any of these faults, at any time, also while another lasts. ROUTESERVICE_TEST_CHAT_SECONDS says for how long, and ROUTESERVICE_TEST_CHAT_SEED which:
    /// the seed that a run has printed gives the same faults at the same times again, though not the same races.
    /// </summary>
    [Fact]
    public async Task Faults_at_random()
    {
        var seed = int.Parse(Environment.GetEnvironmentVariable("ROUTESERVICE_TEST_CHAT_SEED") ?? $"{Environment.TickCount}", CultureInfo.InvariantCulture);
        var seconds = int.Parse(Environment.GetEnvironmentVariable("ROUTESERVICE_TEST_CHAT_SECONDS") ?? "30", CultureInfo.InvariantCulture);
        output.WriteLine($"ROUTESERVICE_TEST_CHAT_SEED={seed} ROUTESERVICE_TEST_CHAT_SECONDS={seconds}");
        await replicas.StartAsync();

        // Piece by piece, as the travellers keep all that they see.
        var clock = Stopwatch.StartNew();
        for (var piece = 0; clock.Elapsed.TotalSeconds < seconds; piece++)
        {
            var schedule = FaultSchedule.Create(new Random(seed + piece), Math.Min(30, seconds));
            output.WriteLine($"{schedule}");
            await DuringTrafficAsync(ChatReplicas.Count, _ => schedule.RunAsync(replicas), seed + piece);
        }
    }

    public void Dispose() => _channels.Values.ToList().ForEach(static channel => channel.Dispose());

    private AsyncDuplexStreamingCall<RouteNote, RouteNote> Listen(int replica, Coordinate place, long after)
    {
        if (!_channels.TryGetValue(replica, out var channel))
        {
            _channels.Add(replica, channel = replicas.Connect(replica));
        }

        return new RouteGuide.RouteGuideClient(channel).RouteChat(new Metadata
        {
            { "route-chat-mode", "sequenced" },
            { "route-chat-listen", FormattableString.Invariant($"{place.LatitudeE7},{place.LongitudeE7}") },
            { "route-chat-after", after.ToString(CultureInfo.InvariantCulture) },
        });
    }

    private static RouteNote Note(Coordinate place, string message) =>
        new() { Location = new Point { Latitude = place.LatitudeE7, Longitude = place.LongitudeE7 }, Message = message };

    private static async Task PostAsync(AsyncDuplexStreamingCall<RouteNote, RouteNote> author, Coordinate place, string message)
    {
        await author.RequestStream.WriteAsync(Note(place, message));
        Assert.Equal(message, (await NextAsync(author)).Message);
    }

    private static async Task<RouteNote> NextAsync(AsyncDuplexStreamingCall<RouteNote, RouteNote> call)
    {
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
        return call.ResponseStream.Current;
    }

    /// <returns>Its sequence.</returns>
    private static async Task<long> AllGetAsync(IReadOnlyList<AsyncDuplexStreamingCall<RouteNote, RouteNote>> listeners, string message)
    {
        var notes = await Task.WhenAll(listeners.Select(NextAsync));
        Assert.All(notes, note => Assert.Equal(message, note.Message));
        return Assert.Single(notes.Select(static note => note.Sequence).Distinct());
    }

    private async Task DuringTrafficAsync(int count, Func<ChatTraffic, Task> fault, int seed = 1)
    {
        await replicas.StartAsync();
        await using var traffic = ChatTraffic.Start(replicas, count, seed);
        try
        {
            await Task.Delay(Moment);
            await fault(traffic);
            await Task.Delay(Moment);
            output.WriteLine(await traffic.FinishAsync());
        }
        catch
        {
            output.WriteLine(replicas.Output);
            throw;
        }
    }
}
