using Grpc.Core;
using RouteService.Contracts.V1;
using RouteService.Domain.Watch;
using RouteService.Postgis.Tests.Chat;
using Change = RouteService.Contracts.V1.WatchFeaturesResponse.Types.Type;
using Coordinate = RouteService.Domain.Geography.Coordinate;
using FeaturesClient = RouteService.Contracts.V1.Features.FeaturesClient;

namespace RouteService.Postgis.Tests.Watch;

/// <summary>
/// A client that keeps a copy of an area by the rules of docs/features.md: it lists after the first message and after each reset, applies what comes, and
/// after a break, of which it causes some itself, goes on at another replica.
/// </summary>
internal sealed class Watcher(string name, int seed, ChatReplicas replicas, Area? area, Domain.Geography.Area? same)
{
    private readonly Random _chance = new(seed);
    private readonly Lock _gate = new();
    private readonly List<WatchStream> _streams = [];
    private readonly Dictionary<string, Feature> _copy = [];
    private long? _after;

    public string Name => name;

    public IReadOnlyList<WatchStream> Streams => _streams;

    /// <summary>The area by which the checker decides.</summary>
    public Domain.Geography.Area? Area => same;

    /// <summary>The sequence up to which the copy is.</summary>
    public long Reached
    {
        get
        {
            lock (_gate)
            {
                return _after ?? -1;
            }
        }
    }

    /// <summary>The features of the copy, by name.</summary>
    public Dictionary<string, Feature> Copy
    {
        get
        {
            lock (_gate)
            {
                return new Dictionary<string, Feature>(_copy);
            }
        }
    }

    public async Task RunAsync(CancellationToken stop)
    {
        var replica = _chance.Next(ChatReplicas.Count);
        while (!stop.IsCancellationRequested)
        {
            await WatchAsync(replica, stop);
            replica = (replica + 1 + _chance.Next(ChatReplicas.Count - 1)) % ChatReplicas.Count;
            await Task.Delay(50, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public static async Task<Dictionary<string, Feature>> ListAsync(FeaturesClient features, Area? area)
    {
        var all = new Dictionary<string, Feature>();
        using var list = features.StreamFeatures(new StreamFeaturesRequest { Filter = new FeatureFilter { Area = area } }, deadline: ServiceOnPostgis.Deadline);
        await foreach (var page in list.ResponseStream.ReadAllAsync())
        {
            foreach (var feature in page.Features)
            {
                all.Add(feature.Name, feature);
            }
        }

        return all;
    }

    private async Task WatchAsync(int replica, CancellationToken stop)
    {
        using var channel = replicas.Connect(replica);
        var features = new FeaturesClient(channel);
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(stop);

        // Some leave by themselves.
        leaving.CancelAfter(TimeSpan.FromSeconds(1 + (20 * _chance.NextDouble())));
        var request = new WatchFeaturesRequest { Area = area };
        if (_after is { } after)
        {
            request.AfterSequence = after;
        }

        var stream = new WatchStream(_after);
        lock (_gate)
        {
            _streams.Add(stream);
        }

        try
        {
            using var watch = features.WatchFeatures(request, cancellationToken: leaving.Token);
            await foreach (var message in watch.ResponseStream.ReadAllAsync(CancellationToken.None))
            {
                // Listed before the message counts as applied: a break in between repeats both.
                var list = message.Type is Change.Reset || _after is null ? await ListAsync(features, area) : null;
                Apply(stream, message, list);
            }
        }
        catch (RpcException)
        {
            // Whatever it was, it goes on elsewhere; what must not have happened is seen by the checker.
        }
    }

    private void Apply(WatchStream stream, WatchFeaturesResponse message, Dictionary<string, Feature>? list)
    {
        lock (_gate)
        {
            if (list is not null)
            {
                _copy.Clear();
                foreach (var (key, feature) in list)
                {
                    _copy[key] = feature;
                }
            }
            else if (message.Type is Change.Deleted)
            {
                _copy.Remove(message.Feature.Name);
            }
            else if (message.Type is Change.Created or Change.Updated)
            {
                _copy[message.Feature.Name] = message.Feature;
            }

            var at = message.Feature?.Location is { } point ? new Coordinate(point.LatitudeE7, point.LongitudeE7) : default;
            stream.Received.Add(new ReceivedChange(
                message.Type switch
                {
                    Change.Created => WatchEventKind.Created,
                    Change.Updated => WatchEventKind.Updated,
                    Change.Deleted => WatchEventKind.Deleted,
                    Change.Reset => WatchEventKind.Reset,
                    _ => WatchEventKind.Heartbeat,
                },
                message.Sequence,
                at));
            _after = message.Sequence;
        }
    }
}
