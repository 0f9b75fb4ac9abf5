using System.Globalization;
using RouteService.Contracts.Routeguide;

namespace RouteService.Chat.Bench;

/// <summary>One writer and many listeners at a location: the time of a note from its post to each listener, on this process's clock.</summary>
internal static class FanOut
{
    // Posts of this time are not counted.
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(3);

    public static async Task<string> RunAsync(string writer, string listener, int listeners, int notesPerSecond, TimeSpan time)
    {
        var place = new Point { Latitude = TimeProvider.System.GetUtcNow().Second, Longitude = TimeProvider.System.GetUtcNow().Millisecond };
        using var far = new Travellers(listener);
        using var near = new Travellers(writer);
        var early = (int)(notesPerSecond * WarmUp.TotalSeconds);
        var notes = early + (int)(notesPerSecond * time.TotalSeconds);
        var delays = new double[listeners][];
        var listening = Enumerable.Range(0, listeners).Select(i =>
        {
            delays[i] = new double[notes];
            return ListenAsync(far.Join(place), delays[i]);
        }).ToList();
        using var post = near.Join();
        var acknowledged = Task.Run(async () =>
        {
            while (await post.ResponseStream.MoveNext(CancellationToken.None))
            {
            }
        });

        // Until all listeners have joined.
        await Task.Delay(TimeSpan.FromSeconds(3), TimeProvider.System);
        var started = TimeProvider.System.GetTimestamp();
        for (var i = 0; i < notes; i++)
        {
            var due = TimeSpan.FromSeconds((double)i / notesPerSecond) - TimeProvider.System.GetElapsedTime(started);
            if (due > TimeSpan.Zero)
            {
                await Task.Delay(due, TimeProvider.System);
            }

            await post.RequestStream.WriteAsync(new RouteNote { Location = place, Message = TimeProvider.System.GetTimestamp().ToString(CultureInfo.InvariantCulture) });
        }

        await post.RequestStream.CompleteAsync();
        await acknowledged;
        await Task.WhenAll(listening).WaitAsync(TimeSpan.FromMinutes(2));
        var rate = listeners * notes / TimeProvider.System.GetElapsedTime(started).TotalSeconds;
        var all = delays.SelectMany(one => one.Skip(early)).Order().ToArray();
        return FormattableString.Invariant($"messages_s={rate:F0} p50_ms={all[all.Length / 2]:F1} p99_ms={all[all.Length * 99 / 100]:F1} max_ms={all[^1]:F1}");
    }

    private static async Task ListenAsync(Grpc.Core.AsyncDuplexStreamingCall<RouteNote, RouteNote> call, double[] delays)
    {
        using (call)
        {
            for (var i = 0; i < delays.Length; i++)
            {
                if (!await call.ResponseStream.MoveNext(CancellationToken.None))
                {
                    throw new InvalidOperationException("A listener's stream has ended.");
                }

                var posted = long.Parse(call.ResponseStream.Current.Message, CultureInfo.InvariantCulture);
                delays[i] = TimeProvider.System.GetElapsedTime(posted).TotalMilliseconds;
            }
        }
    }
}
