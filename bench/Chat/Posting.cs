using Grpc.Core;
using RouteService.Contracts.Routeguide;

namespace RouteService.Chat.Bench;

/// <summary>Durable notes a second: streams that post, each at its own location, and count acknowledgements.</summary>
internal static class Posting
{
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(2);

    public static async Task<string> RunAsync(string address, int streams, TimeSpan time)
    {
        using var travellers = new Travellers(address);
        using var stop = new CancellationTokenSource();
        long acknowledged = 0;
        var posting = Enumerable.Range(0, streams).Select(i => PostAsync(travellers.Join(), i, () => Interlocked.Increment(ref acknowledged), stop.Token)).ToList();
        await Task.Delay(WarmUp, TimeProvider.System);
        var (before, started) = (Interlocked.Read(ref acknowledged), TimeProvider.System.GetTimestamp());
        await Task.Delay(time, TimeProvider.System);
        var rate = (Interlocked.Read(ref acknowledged) - before) / TimeProvider.System.GetElapsedTime(started).TotalSeconds;
        await stop.CancelAsync();
        await Task.WhenAll(posting);
        return FormattableString.Invariant($"notes_s={rate:F0}");
    }

    private static async Task PostAsync(AsyncDuplexStreamingCall<RouteNote, RouteNote> call, int number, Action acknowledged, CancellationToken stop)
    {
        using (call)
        {
            var reading = Task.Run(
                async () =>
                {
                    while (await call.ResponseStream.MoveNext(CancellationToken.None))
                    {
                        acknowledged();
                    }
                },
                CancellationToken.None);

            // The service limits unanswered posts, which slows a writer that never waits.
            var note = new RouteNote { Location = new Point { Latitude = TimeProvider.System.GetUtcNow().Millisecond, Longitude = number }, Message = "A note of some words." };
            while (!stop.IsCancellationRequested)
            {
                await call.RequestStream.WriteAsync(note, CancellationToken.None);
            }

            await call.RequestStream.CompleteAsync();
            await reading;
        }
    }
}
