using Grpc.Core;
using RouteService.Contracts.Routeguide;

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

    private AsyncDuplexStreamingCall<RouteNote, RouteNote> Open(long after) => new RouteGuide.RouteGuideClient(Connect()).RouteChat(
        new Metadata { { "route-chat-mode", "sequenced" }, { "route-chat-listen", "900,0" }, { "route-chat-after", $"{after}" } });
}
