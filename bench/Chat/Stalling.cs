using Grpc.Core;
using RouteService.Contracts.Routeguide;

namespace RouteService.Chat.Bench;

/// <summary>Listeners that do not read, while notes pass at their location. Waits for a line on standard input before and after the notes, so that memory can be read.</summary>
internal static class Stalling
{
    public static async Task<string> RunAsync(string address, int listeners, int notes)
    {
        var place = new Point { Latitude = TimeProvider.System.GetUtcNow().Second, Longitude = TimeProvider.System.GetUtcNow().Millisecond };
        using var travellers = new Travellers(address);
        var stalled = new List<AsyncDuplexStreamingCall<RouteNote, RouteNote>>();
        for (var i = 0; i < listeners; i++)
        {
            var call = travellers.Join(place);
            await call.RequestStream.WriteAsync(new RouteNote { Location = new Point { Latitude = i, Longitude = 1_000 }, Message = "here" });
            stalled.Add(call);
        }

        await Task.Delay(TimeSpan.FromSeconds(3), TimeProvider.System);
        await PauseAsync("stalled");
        using var near = new Travellers(address);
        using var post = near.Join();
        var acknowledging = Task.Run(async () =>
        {
            for (var i = 0; i < notes; i++)
            {
                await post.ResponseStream.MoveNext(CancellationToken.None);
            }
        });
        var note = new RouteNote { Location = place, Message = new string('x', 100) };
        for (var i = 0; i < notes; i++)
        {
            await post.RequestStream.WriteAsync(note);
        }

        await acknowledging;
        await Task.Delay(TimeSpan.FromSeconds(3), TimeProvider.System);
        await PauseAsync("passed");
        stalled.ForEach(static call => call.Dispose());
        return FormattableString.Invariant($"listeners={listeners} notes={notes}");
    }

    private static async Task PauseAsync(string word)
    {
        await Console.Out.WriteLineAsync(word);
        await Console.In.ReadLineAsync();
    }
}
