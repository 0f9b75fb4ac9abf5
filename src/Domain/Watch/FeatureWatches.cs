using RouteService.Domain.Geography;

namespace RouteService.Domain.Watch;

/// <summary>Opens watches of features, within the limit for one client.</summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public sealed class FeatureWatches(IChangeLog log, ChangeFeed feed, WatchOptions options, TimeProvider clock, WatchMetrics metrics)
{
    private readonly ClientCounts _clients = new();
    private readonly FeatureReads _reads = new(log);

    /// <summary>Opens a watch. Its disposal makes room for another.</summary>
    /// <param name="client">The client, for the limit.</param>
    /// <param name="area">Where changes are watched; null for everywhere.</param>
    /// <param name="after">The sequence after which the watch begins; null for from now on.</param>
    /// <exception cref="WatchLimitException">The client has too many watches.</exception>
    public FeatureWatch Open(string client, Area? area, long? after)
    {
        if (_clients.Add(client) > options.MaxWatchesPerClient && options.MaxWatchesPerClient > 0)
        {
            _clients.Remove(client);
            throw new WatchLimitException(WatchLimit.WatchesPerClient, options.MaxWatchesPerClient);
        }

        metrics.Opened();
        return new FeatureWatch(_reads, feed, options, clock, metrics, area, after, () =>
        {
            _clients.Remove(client);
            metrics.Closed();
        });
    }
}
