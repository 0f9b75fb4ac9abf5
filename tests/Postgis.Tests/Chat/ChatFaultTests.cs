using System.Diagnostics;
using System.Globalization;
using Grpc.Core;
using RouteService.Contracts.Routeguide;
using RouteService.Testing.Postgres;

namespace RouteService.Postgis.Tests.Chat;

/// <summary>Replicas of the built program with travellers at them, and each thing that goes wrong by itself: whatever it is, no note is lost, repeated or out of order.</summary>
public sealed class ChatFaultTests(ChatReplicas replicas, ITestOutputHelper output) : IClassFixture<ChatReplicas>
{
    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(1.5);

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
        Assert.All(ends, static end => Assert.Equal((StatusCode.Unavailable, "The service is shutting down; call again, and another replica answers."), (end.StatusCode, end.Detail)));
        await replicas.StartAsync(0);
    });

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
