using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using RouteService.Domain;
using RouteService.Domain.Features;
using Rules = RouteService.Domain.Features;
using Shapes = RouteService.Domain.Geography;
using static RouteService.Client.Testing.RuleMapping;

namespace RouteService.Client.Testing;

/// <summary>The features, and the log of their changes. The rules of the service's domain decide.</summary>
/// <param name="clock">The clock at this moment.</param>
/// <param name="throwFault">Throws the fault of a call, if it has one.</param>
internal sealed partial class InMemoryCatalog(Func<TimeProvider> clock, Action<string> throwFault) : IFeatureCatalog
{
    private static readonly TimeSpan HeartbeatPeriod = TimeSpan.FromSeconds(20);

    private readonly Lock _lock = new();
    private readonly Dictionary<Shapes.Coordinate, Rules.CatalogFeature> _features = [];
    private readonly Dictionary<Guid, uint> _writes = [];
    private readonly Dictionary<Guid, ImportSummary> _imports = [];

    // Number i has the sequence i + 1.
    private readonly List<Change> _log = [];
    private TaskCompletionSource _logged = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _revision;

    /// <summary>A snapshot of the features.</summary>
    public IReadOnlyList<Feature> Features
    {
        get
        {
            lock (_lock)
            {
                return [.. _features.Values.Select(static feature => new Feature(ToCoordinate(feature.Location), feature.Name))];
            }
        }
    }

    public static double Meters(Coordinate from, Coordinate to) => Shapes.Haversine.Meters(ToPlace(from), ToPlace(to));

    public Feature? Find(Coordinate location)
    {
        lock (_lock)
        {
            return _features.TryGetValue(ToPlace(location), out var feature) ? new Feature(location, feature.Name) : null;
        }
    }

    /// <exception cref="RouteServiceException">The service would refuse the feature.</exception>
    public void Put(CatalogFeature feature) => Told(() => Write([ToUpdate(feature, "feature")], requestId: null));

    public Task<CatalogFeature?> GetFeatureAsync(
        Coordinate location, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
        Answer("GetFeature", timeout, () => ToFeature(Snapshot().GetValueOrDefault(ToPlace(location))), cancellationToken);

    public Task<CatalogFeature> PutFeatureAsync(
        Coordinate location, string? name, JsonObject? properties = null, string? etag = null, bool mustNotExist = false,
        Guid? requestId = null, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        Arguments.CheckPut(name, properties, etag, mustNotExist);
        var sent = new FeatureUpdate(location, name, Sent(properties), etag);
        return Answer("PutFeature", timeout, Put, cancellationToken);

        CatalogFeature Put()
        {
            Rules.FeatureChange change = mustNotExist ? ToCreate(sent) : ToUpdate(sent, "");
            return ToFeature(Write([change], requestId)[0])!;
        }
    }

    public Task<bool> DeleteFeatureAsync(
        Coordinate location, string? etag = null, Guid? requestId = null, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        return Answer("DeleteFeature", timeout, Delete, cancellationToken);

        bool Delete()
        {
            try
            {
                Write([new Rules.FeatureChange.Delete(ToPlace(location)) { Expected = ToEtag(etag) }], requestId);
                return true;
            }
            catch (FeatureConflictException e) when (e.Conflict == FeatureConflict.Missing)
            {
                return false;
            }
        }
    }

    public Task<IReadOnlyList<CatalogFeature>> BatchPutFeaturesAsync(
        IReadOnlyCollection<FeatureUpdate> features, Guid? requestId = null, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        Arguments.CheckBatch(features);
        var sent = features.Select(static update =>
        {
            Arguments.CheckPut(update.Name, update.Properties, update.Etag, mustNotExist: false);
            return update with { Properties = Sent(update.Properties) };
        }).ToList();
        return Answer("BatchPutFeatures", timeout, Put, cancellationToken);

        IReadOnlyList<CatalogFeature> Put()
        {
            var changes = sent.Select((update, i) => ToUpdate(update, $"requests[{i}].")).ToList();
            return [.. Write(changes, requestId).Select(static feature => ToFeature(feature)!)];
        }
    }

    public Task BatchDeleteFeaturesAsync(
        IReadOnlyCollection<FeatureDeletion> features, bool allowMissing = false, Guid? requestId = null, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        Arguments.CheckBatch(features);
        List<Rules.FeatureChange> changes =
        [
            .. features.Select(feature => new Rules.FeatureChange.Delete(ToPlace(feature.Location))
            {
                AllowMissing = allowMissing,
                Expected = ToEtag(feature.Etag),
            }),
        ];
        return Answer("BatchDeleteFeatures", timeout, () => Write(changes, requestId), cancellationToken);
    }

    public IAsyncEnumerable<CatalogFeature> SearchFeaturesAsync(
        FeatureFilter? filter = null, bool withProperties = true, int pageSize = 100, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        Arguments.CheckTimeout(timeout);
        Arguments.CheckPageSize(pageSize, nameof(pageSize));
        return Read("SearchFeatures", Sent(filter), withProperties, cancellationToken);
    }

    public Task<IReadOnlyList<NearFeature>> FindNearestFeaturesAsync(
        Coordinate near, int count = 10, FeatureFilter? filter = null, bool withProperties = true, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        Arguments.CheckPageSize(count, nameof(count));
        var sent = Sent(filter);
        return Answer<IReadOnlyList<NearFeature>>(
            "FindNearestFeatures",
            timeout,
            () =>
            [
                .. Matches(sent).Select(feature => (Feature: feature, Meters: Shapes.Haversine.Meters(ToPlace(near), feature.Location)))
                    .OrderBy(static found => found.Meters)
                    .Take(count)
                    .Select(found => new NearFeature(ToFeature(found.Feature, withProperties)!, found.Meters)),
            ],
            cancellationToken);
    }

    public IAsyncEnumerable<CatalogFeature> StreamFeaturesAsync(
        FeatureFilter? filter = null, bool withProperties = true, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        Arguments.CheckTimeout(timeout);
        return Read("StreamFeatures", Sent(filter), withProperties, cancellationToken);
    }

    public IAsyncEnumerable<FeatureChange> WatchFeaturesAsync(
        Area? area = null, long? after = null, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        Arguments.CheckTimeout(timeout);
        Arguments.CheckAfter(after);
        return Watch(area, after, cancellationToken);
    }

    public Task<ImportSummary> ImportFeaturesAsync(
        IAsyncEnumerable<CatalogFeature> features, bool replaceAll = false, Guid? requestId = null, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(features);
        Arguments.CheckTimeout(timeout);
        return ImportAsync();

        async Task<ImportSummary> ImportAsync()
        {
            await Task.Yield();
            throwFault("Features.ImportFeatures");
            var updates = new List<Rules.FeatureChange.Update>();
            await foreach (var feature in features.WithCancellation(cancellationToken).ConfigureAwait(false))
            {
                cancellationToken.ThrowIfCancellationRequested();
                updates.Add(Told(() => ToUpdate(feature, $"batch.features[{updates.Count}]")));
            }

            cancellationToken.ThrowIfCancellationRequested();
            return Told(() => Import(updates, replaceAll, requestId));
        }
    }

    public Task<ImportSummary> ImportFeaturesAsync(
        IReadOnlyCollection<CatalogFeature> features, bool replaceAll = false, Guid? requestId = null, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(features);
        return ImportFeaturesAsync(features.ToAsyncEnumerable(), replaceAll, requestId, timeout, cancellationToken);
    }

    private async Task<T> Answer<T>(string call, TimeSpan? timeout, Func<T> answer, CancellationToken cancellationToken)
    {
        Arguments.CheckTimeout(timeout);

        // Never synchronously: code that relies on that would fail with a real service.
        await Task.Yield();
        cancellationToken.ThrowIfCancellationRequested();
        throwFault($"Features.{call}");
        return Told(answer);
    }

    private async IAsyncEnumerable<CatalogFeature> Read(
        string call, FeatureFilter? filter, bool withProperties, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.Yield();
        foreach (var feature in Told(() => Matches(filter)))
        {
            cancellationToken.ThrowIfCancellationRequested();
            throwFault($"Features.{call}");
            yield return ToFeature(feature, withProperties)!;
        }
    }

    private async IAsyncEnumerable<FeatureChange> Watch(
        Area? area, long? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.Yield();
        cancellationToken.ThrowIfCancellationRequested();
        throwFault("Features.WatchFeatures");
        var where = Told(() => area is null ? null : ToArea(area, "area"));
        var position = Told(() => Begin(after));
        yield return after is null ? new FeatureChange.Reset(position) : new FeatureChange.Heartbeat(position);
        while (true)
        {
            List<Change> due;
            Task logged;
            lock (_lock)
            {
                due = _log[(int)position..];
                logged = _logged.Task;
            }

            foreach (var change in due)
            {
                position++;
                if (where is null || change.Location is not { } location || where.Contains(location))
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    throwFault("Features.WatchFeatures");
                    yield return ToChange(change, position);
                }
            }

            if (due.Count == 0 && !await HasLoggedAsync(logged, cancellationToken).ConfigureAwait(false))
            {
                yield return new FeatureChange.Heartbeat(position);
            }
        }
    }

    private async Task<bool> HasLoggedAsync(Task logged, CancellationToken cancellationToken)
    {
        try
        {
            await logged.WaitAsync(HeartbeatPeriod, clock(), cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private long Begin(long? after)
    {
        lock (_lock)
        {
            return after > _log.Count
                ? throw new InvalidValueException(
                    "after_sequence", $"after_sequence is {after}; expected at most {_log.Count}, the sequence of the last change.")
                : after ?? _log.Count;
        }
    }

    private Dictionary<Shapes.Coordinate, Rules.CatalogFeature> Snapshot()
    {
        lock (_lock)
        {
            return new(_features);
        }
    }

    private List<Rules.CatalogFeature> Matches(FeatureFilter? filter)
    {
        var area = filter?.Area is { } sent ? ToArea(sent, "filter.area") : null;
        var properties = At("filter.properties", () => ToProperties(filter?.Properties));
        var which = At("filter", () => new Rules.FeatureFilter(area, filter?.Text ?? "", properties));
        return
        [
            .. Snapshot().Values.Where(feature => which.Matches(feature.Location, feature.Name, feature.Properties))
                .OrderBy(static feature => Shapes.ZOrder.Encode(feature.Location)),
        ];
    }
}
