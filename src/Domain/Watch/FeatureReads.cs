using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Watch;

/// <summary>
/// Reads features for all watches. Watches that ask while a read is under way share the next one, so that a change which wakes a thousand
/// watches costs two reads and not a thousand. No watch waits for others to ask.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
internal sealed class FeatureReads(IChangeLog log)
{
    // Places of one read, up to those of the watch that reaches this; each feature has up to 64 KiB.
    private const int MaxPlaces = 256;

    private readonly Lock _gate = new();
    private Task _last = Task.CompletedTask;
    private HashSet<Coordinate>? _asked;
    private Task<Dictionary<Coordinate, CatalogFeature>>? _next;

    /// <summary>The features at these places, as they are after this call begins. There may be others among them.</summary>
    /// <exception cref="StoreUnavailableException">The store cannot answer.</exception>
    public Task<Dictionary<Coordinate, CatalogFeature>> ReadAsync(
        IReadOnlyCollection<Coordinate> places, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_asked is null || _asked.Count >= MaxPlaces)
            {
                _asked = [];
                _last = _next = ReadAfterAsync(_last, _asked);
            }

            _asked.UnionWith(places);
            return _next!.WaitAsync(cancellationToken);
        }
    }

    private async Task<Dictionary<Coordinate, CatalogFeature>> ReadAfterAsync(Task last, HashSet<Coordinate> asked)
    {
        // Also where it failed, which is the matter of those who asked then. Not in the lock of the caller.
        await last.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        lock (_gate)
        {
            if (_asked == asked)
            {
                _asked = null;
            }
        }

        return (await log.ReadFeaturesAsync(asked, CancellationToken.None)).ToDictionary(static feature => feature.Location);
    }
}
