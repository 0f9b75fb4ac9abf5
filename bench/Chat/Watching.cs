using System.Globalization;
using Grpc.Core;
using Grpc.Net.Client;
using RouteService.Contracts.V1;
using Change = RouteService.Contracts.V1.WatchFeaturesResponse.Types.Type;
using FeaturesClient = RouteService.Contracts.V1.Features.FeaturesClient;

namespace RouteService.Chat.Bench;

/// <summary>
/// Single writes of features, and a watch: the time of a change from the call of its write to the watch, on this process's clock.
/// </summary>
internal static class Watching
{
    // Changes of this time are not counted.
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(3);

    private const int Places = 10_000;

    /// <param name="writer">Address of the replica that writes.</param>
    /// <param name="watcher">Address of the replica that is watched.</param>
    /// <param name="callers">Limit of the writes in flight.</param>
    /// <param name="rate">Writes a second; 0 for as many as the callers make.</param>
    /// <param name="time">How long it is measured.</param>
    public static async Task<string> RunAsync(string writer, string watcher, int callers, int rate, TimeSpan time)
    {
        using var near = GrpcChannel.ForAddress($"http://{writer}");
        using var far = GrpcChannel.ForAddress($"http://{watcher}");
        using var watch = new FeaturesClient(far).WatchFeatures(new WatchFeaturesRequest());
        await watch.ResponseStream.MoveNext(CancellationToken.None);
        var watching = WatchAsync(watch);
        var features = new FeaturesClient(near);
        using var room = new SemaphoreSlim(callers);
        var started = TimeProvider.System.GetTimestamp();
        var writes = new List<Task>();
        var warm = 0;
        var sent = 0;
        for (; TimeProvider.System.GetElapsedTime(started) < WarmUp + time; sent++)
        {
            var due = rate == 0 ? TimeSpan.Zero : TimeSpan.FromSeconds((double)sent / rate) - TimeProvider.System.GetElapsedTime(started);
            if (due > TimeSpan.Zero)
            {
                await Task.Delay(due, TimeProvider.System);
            }

            warm += TimeProvider.System.GetElapsedTime(started) < WarmUp ? 1 : 0;
            await room.WaitAsync();
            writes.Add(WriteAsync(sent));
        }

        await Task.WhenAll(writes);
        var seconds = TimeProvider.System.GetElapsedTime(started).TotalSeconds - WarmUp.TotalSeconds;
        await features.CreateFeatureAsync(new CreateFeatureRequest { Feature = At(Places, "end") });
        var all = (await watching).Skip(warm).Order().ToArray();
        await features.DeleteFeatureAsync(new DeleteFeatureRequest { Name = FormattableString.Invariant($"features/{Places},0") });
        return FormattableString.Invariant(
            $"writes_s={(sent - warm) / seconds:F0} p50_ms={all[all.Length / 2]:F1} p99_ms={all[all.Length * 99 / 100]:F1} max_ms={all[^1]:F1}");

        async Task WriteAsync(int i)
        {
            try
            {
                var feature = At(i % Places, TimeProvider.System.GetTimestamp().ToString(CultureInfo.InvariantCulture));
                await features.UpdateFeatureAsync(
                    new UpdateFeatureRequest { Feature = feature, AllowMissing = true, RequestId = Guid.NewGuid().ToString() });
            }
            finally
            {
                room.Release();
            }
        }
    }

    private static Feature At(int place, string name) => new() { Location = new Point { LatitudeE7 = place }, DisplayName = name };

    private static async Task<List<double>> WatchAsync(AsyncServerStreamingCall<WatchFeaturesResponse> watch)
    {
        var delays = new List<double>();
        while (await watch.ResponseStream.MoveNext(CancellationToken.None))
        {
            var message = watch.ResponseStream.Current;
            if (message.Type is not (Change.Created or Change.Updated))
            {
                continue;
            }

            if (message.Feature.DisplayName == "end")
            {
                return delays;
            }

            var written = long.Parse(message.Feature.DisplayName, CultureInfo.InvariantCulture);
            delays.Add(TimeProvider.System.GetElapsedTime(written).TotalMilliseconds);
        }

        throw new InvalidOperationException("The watch has ended.");
    }
}
