using System.Diagnostics;
using Grpc.Core;
using Grpc.Health.V1;
using RouteService.Contracts.Routeguide;
using ServingStatus = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace RouteService.Operations.Tests;

/// <summary>RouteChat with its notes in the embedded store.</summary>
public sealed class EmbeddedChatTests : ServiceTest
{
    [Fact]
    public async Task What_was_acknowledged_survives_kill_9_and_what_was_not_can_be_posted_again()
    {
        const int Kills = 3, Posts = 2_000;
        await StartAsync();
        var acknowledged = new SortedDictionary<long, string>();
        for (var kill = 1; kill <= Kills; kill++)
        {
            await PostUntilAsync(acknowledged, Posts * kill / (Kills + 1));
            Assert.NotEqual(0, await Service.StopAsync(RunningService.SigKill));
            await Service.StartAsync("dotnet", Repository.Program);
        }

        await PostUntilAsync(acknowledged, Posts);

        using var listener = Open(after: 0);
        await listener.RequestStream.CompleteAsync();
        var kept = new List<KeyValuePair<long, string>>();
        await foreach (var note in listener.ResponseStream.ReadAllAsync())
        {
            kept.Add(new(note.Sequence, note.NoteId));
        }

        Assert.Equal(acknowledged, kept);

        // Posts all that is not acknowledged, and leaves when so many are; the end of the service may come at any time after.
        async Task PostUntilAsync(SortedDictionary<long, string> acknowledged, int count)
        {
            using var call = Open(after: acknowledged.Count > 0 ? acknowledged.Keys.Max() : 0);
            var posting = Task.Run(async () =>
            {
                foreach (var id in Enumerable.Range(0, Posts).Select(static i => $"{i}").Except(acknowledged.Values.ToHashSet()))
                {
                    await call.RequestStream.WriteAsync(new RouteNote { Location = new Point { Latitude = 900 }, Message = $"note {id}", NoteId = id });
                }
            });
            while (acknowledged.Count < count)
            {
                Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
                acknowledged.Add(call.ResponseStream.Current.Sequence, call.ResponseStream.Current.NoteId);
            }

            call.Dispose();
            await posting.ContinueWith(static _ => { }, TaskScheduler.Default);
        }
    }

    [Fact]
    public async Task A_full_disk_is_told_by_health_and_in_the_log_until_there_is_room()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/prlimit"), "prlimit is missing: apt-get install util-linux.");
        await Service.StartAsync("bash", "-c", $"trap '' XFSZ; exec dotnet '{Repository.Program}'");
        var guide = new RouteGuide.RouteGuideClient(Connect());
        var health = new Health.HealthClient(Connect());
        Assert.Equal(ServingStatus.Serving, await CheckAsync("routeguide.RouteGuide"));
        Assert.Equal(StatusCode.OK, await PostAsync(guide, "before"));

        // No file may be longer than it is: what the program sees of a full disk.
        await LimitAsync("1");
        Assert.Equal(StatusCode.Unavailable, await PostAsync(guide, "no room"));

        Assert.Equal(ServingStatus.NotServing, await CheckAsync("routeguide.RouteGuide"));
        Assert.Equal(ServingStatus.NotServing, await CheckAsync("routeguide.RouteGuide"));
        Assert.Equal(ServingStatus.Serving, await CheckAsync(""));
        await LimitAsync("unlimited");
        Assert.Equal(ServingStatus.Serving, await CheckAsync("routeguide.RouteGuide"));
        Assert.Equal(StatusCode.OK, await PostAsync(guide, "after"));
        var output = await Service.OutputAsync("Health: the store can be used for writes again.");
        Assert.Single(output.Split('\n'), static line => line.Contains("Health: the store cannot be used for writes", StringComparison.Ordinal));

        async Task LimitAsync(string bytes) =>
            (await Command.RunAsync("prlimit", ["--pid", $"{Service.ProcessId}", $"--fsize={bytes}:unlimited"])).AssertSuccess();

        async Task<ServingStatus> CheckAsync(string name) => (await health.CheckAsync(new HealthCheckRequest { Service = name }, deadline: Soon)).Status;
    }

    [Fact]
    public async Task What_is_acknowledged_has_been_synced_to_the_disk()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/strace"), "strace is missing: apt-get install strace.");
        await StartAsync();
        var guide = new RouteGuide.RouteGuideClient(Connect());
        var trace = Path.Combine(Service.Folder, "syncs.txt");
        using var strace = Process.Start("strace", ["-f", "-y", "-e", "trace=fsync,fdatasync", "-o", trace, "-p", $"{Service.ProcessId}"]);

        // Until it watches.
        while (Syncs(trace, "notes.db-wal") == 0)
        {
            Assert.SkipWhen(strace.HasExited, "strace may not watch other processes here.");
            Assert.Equal(StatusCode.OK, await PostAsync(guide, "first"));
        }

        for (var i = 0; i < 5; i++)
        {
            var before = Syncs(trace, "notes.db-wal");
            Assert.Equal(StatusCode.OK, await PostAsync(guide, $"{i}"));
            while (Syncs(trace, "notes.db-wal") == before)
            {
                // The line is written beside the answer; the time limit of the test ends this.
                await Task.Delay(20);
            }
        }

        strace.Kill();
        await strace.WaitForExitAsync();
        var file = Write("places.csv", "name,latitude,longitude\nx,1,2\n");
        var import = await Command.RunAsync(
            "strace",
            ["-f", "-y", "-e", "trace=fsync,fdatasync", "-o", trace, "dotnet", Repository.Program, "import", file],
            RunningService.Environment,
            Service.Folder);
        import.AssertSuccess();
        Assert.NotEqual(0, Syncs(trace, "route-service.db-wal"));

        static int Syncs(string trace, string file) =>
            File.Exists(trace) ? File.ReadLines(trace).Count(line => line.Contains(file, StringComparison.Ordinal)) : 0;
    }

    private static async Task<StatusCode> PostAsync(RouteGuide.RouteGuideClient guide, string message)
    {
        using var call = guide.RouteChat(deadline: Soon);
        try
        {
            await call.RequestStream.WriteAsync(new RouteNote { Location = new Point { Latitude = 901 }, Message = message });
            await call.RequestStream.CompleteAsync();
            await call.ResponseStream.ReadAllAsync().CountAsync();
            return StatusCode.OK;
        }
        catch (RpcException e)
        {
            return e.StatusCode;
        }
    }

    private AsyncDuplexStreamingCall<RouteNote, RouteNote> Open(long after) => new RouteGuide.RouteGuideClient(Connect()).RouteChat(
        new Metadata { { "route-chat-mode", "sequenced" }, { "route-chat-listen", "900,0" }, { "route-chat-after", $"{after}" } });
}
