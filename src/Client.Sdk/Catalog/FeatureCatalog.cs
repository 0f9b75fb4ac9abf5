using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using RouteService.Client.Calls;
using Proto = RouteService.Contracts.V1;

namespace RouteService.Client.Catalog;

/// <summary>The calls of routeservice.v1.Features.</summary>
/// <param name="context">The client's.</param>
/// <param name="unary">The client's.</param>
/// <param name="stub">The service's.</param>
/// <param name="importTurns">Limits the imports at once.</param>
/// <param name="check">Checks that a call may begin, and its time limit.</param>
internal sealed class FeatureCatalog(
    CallContext context, UnaryCalls unary, Proto.Features.FeaturesClient stub, SemaphoreSlim importTurns, Action<TimeSpan?> check)
    : IFeatureCatalog
{
    public const string Service = "routeservice.v1.Features";

    private readonly UnaryMethod<Proto.GetFeatureRequest, Proto.Feature> _get =
        new($"{Service}/GetFeature", stub.GetFeatureAsync);

    private readonly UnaryMethod<Proto.CreateFeatureRequest, Proto.Feature> _create =
        new($"{Service}/CreateFeature", stub.CreateFeatureAsync);

    private readonly UnaryMethod<Proto.UpdateFeatureRequest, Proto.Feature> _update =
        new($"{Service}/UpdateFeature", stub.UpdateFeatureAsync);

    private readonly UnaryMethod<Proto.DeleteFeatureRequest, Empty> _delete =
        new($"{Service}/DeleteFeature", stub.DeleteFeatureAsync);

    private readonly UnaryMethod<Proto.BatchUpdateFeaturesRequest, Proto.BatchUpdateFeaturesResponse> _batchUpdate =
        new($"{Service}/BatchUpdateFeatures", stub.BatchUpdateFeaturesAsync);

    private readonly UnaryMethod<Proto.BatchDeleteFeaturesRequest, Empty> _batchDelete =
        new($"{Service}/BatchDeleteFeatures", stub.BatchDeleteFeaturesAsync);

    private readonly UnaryMethod<Proto.SearchFeaturesRequest, Proto.SearchFeaturesResponse> _search =
        new($"{Service}/SearchFeatures", stub.SearchFeaturesAsync);

    public Task<CatalogFeature?> GetFeatureAsync(
        Coordinate location, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        check(timeout);
        return FindAsync();

        async Task<CatalogFeature?> FindAsync()
        {
            try
            {
                var request = new Proto.GetFeatureRequest { Name = FeatureMapping.ToName(location) };
                return ToFeature(await unary.CallAsync(_get, request, timeout, cancellationToken).ConfigureAwait(false));
            }
            catch (RouteServiceException e) when (e.Reason == FailureReason.NotFound)
            {
                return null;
            }
        }
    }

    public Task<CatalogFeature> PutFeatureAsync(
        Coordinate location, string? name, JsonObject? properties = null, string? etag = null, bool mustNotExist = false,
        Guid? requestId = null, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        check(timeout);
        Arguments.CheckPut(name, properties, etag, mustNotExist);
        if (mustNotExist)
        {
            var feature = FeatureMapping.ToProto(new CatalogFeature(location, name ?? "", properties));
            return PutAsync(_create, new Proto.CreateFeatureRequest { Feature = feature, RequestId = ToText(requestId) });
        }

        var update = FeatureMapping.ToRequest(new FeatureUpdate(location, name, properties, etag));
        update.RequestId = ToText(requestId);
        return PutAsync(_update, update);

        async Task<CatalogFeature> PutAsync<T>(UnaryMethod<T, Proto.Feature> method, T request) =>
            ToFeature(await unary.CallAsync(method, request, timeout, cancellationToken).ConfigureAwait(false));
    }

    public Task<bool> DeleteFeatureAsync(
        Coordinate location, string? etag = null, Guid? requestId = null, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        check(timeout);
        return DeleteAsync();

        async Task<bool> DeleteAsync()
        {
            try
            {
                var request = new Proto.DeleteFeatureRequest
                {
                    Name = FeatureMapping.ToName(location),
                    Etag = etag ?? "",
                    RequestId = ToText(requestId),
                };
                await unary.CallAsync(_delete, request, timeout, cancellationToken).ConfigureAwait(false);
                return true;
            }
            catch (RouteServiceException e) when (e.Reason == FailureReason.NotFound)
            {
                return false;
            }
        }
    }

    public Task<IReadOnlyList<CatalogFeature>> BatchPutFeaturesAsync(
        IReadOnlyCollection<FeatureUpdate> features, Guid? requestId = null, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        check(timeout);
        Arguments.CheckBatch(features);
        var request = new Proto.BatchUpdateFeaturesRequest
        {
            Requests = { features.Select(FeatureMapping.ToRequest) },
            RequestId = ToText(requestId),
        };
        return PutAsync();

        async Task<IReadOnlyList<CatalogFeature>> PutAsync()
        {
            var response = await unary.CallAsync(_batchUpdate, request, timeout, cancellationToken).ConfigureAwait(false);
            return [.. response.Features.Select(ToFeature)];
        }
    }

    public async Task BatchDeleteFeaturesAsync(
        IReadOnlyCollection<FeatureDeletion> features, bool allowMissing = false, Guid? requestId = null, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        check(timeout);
        Arguments.CheckBatch(features);
        var request = new Proto.BatchDeleteFeaturesRequest
        {
            Requests =
            {
                features.Select(feature => new Proto.DeleteFeatureRequest
                {
                    Name = FeatureMapping.ToName(feature.Location),
                    Etag = feature.Etag ?? "",
                    AllowMissing = allowMissing,
                }),
            },
            RequestId = ToText(requestId),
        };
        await unary.CallAsync(_batchDelete, request, timeout, cancellationToken).ConfigureAwait(false);
    }

    public IAsyncEnumerable<CatalogFeature> SearchFeaturesAsync(
        FeatureFilter? filter = null, bool withProperties = true, int pageSize = 100, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        check(timeout);
        Arguments.CheckPageSize(pageSize, nameof(pageSize));
        var request = new Proto.SearchFeaturesRequest
        {
            Filter = FeatureMapping.ToProto(filter),
            View = FeatureMapping.ToView(withProperties),
            PageSize = pageSize,
        };
        return SearchAsync(request, withProperties, timeout, cancellationToken);
    }

    public Task<IReadOnlyList<NearFeature>> FindNearestFeaturesAsync(
        Coordinate near, int count = 10, FeatureFilter? filter = null, bool withProperties = true, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        check(timeout);
        Arguments.CheckPageSize(count, nameof(count));
        var request = new Proto.SearchFeaturesRequest
        {
            Filter = FeatureMapping.ToProto(filter),
            Near = FeatureMapping.ToPoint(near),
            View = FeatureMapping.ToView(withProperties),
            PageSize = count,
        };
        return FindAsync();

        async Task<IReadOnlyList<NearFeature>> FindAsync()
        {
            var response = await unary.CallAsync(_search, request, timeout, cancellationToken).ConfigureAwait(false);
            return
            [
                .. response.Results.Select(result => new NearFeature(
                    FeatureMapping.ToFeature(result.Feature, withProperties), result.DistanceMeters)),
            ];
        }
    }

    public IAsyncEnumerable<CatalogFeature> StreamFeaturesAsync(
        FeatureFilter? filter = null, bool withProperties = true, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        check(timeout);
        var request = new Proto.StreamFeaturesRequest
        {
            Filter = FeatureMapping.ToProto(filter),
            View = FeatureMapping.ToView(withProperties),
        };
        return FeatureStream.ReadAsync(context, stub, request, timeout, cancellationToken);
    }

    public IAsyncEnumerable<FeatureChange> WatchFeaturesAsync(
        Area? area = null, long? after = null, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        check(timeout);
        Arguments.CheckAfter(after);
        var sent = area is null ? null : FeatureMapping.ToProto(area);
        return FeatureWatch.ReadAsync(context, stub, sent, after, timeout, cancellationToken);
    }

    public Task<ImportSummary> ImportFeaturesAsync(
        IAsyncEnumerable<CatalogFeature> features, bool replaceAll = false, Guid? requestId = null, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(features);
        check(timeout);
        return NewImport(replaceAll, requestId, timeout, cancellationToken).ImportOnceAsync(features);
    }

    public Task<ImportSummary> ImportFeaturesAsync(
        IReadOnlyCollection<CatalogFeature> features, bool replaceAll = false, Guid? requestId = null, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(features);
        check(timeout);
        return NewImport(replaceAll, requestId, timeout, cancellationToken).ImportAsync(features);
    }

    private FeatureImport NewImport(bool replaceAll, Guid? requestId, TimeSpan? timeout, CancellationToken cancellationToken) =>
        new(context, importTurns, stub, new() { ReplaceAll = replaceAll, RequestId = ToText(requestId) }, timeout, cancellationToken);

    private async IAsyncEnumerable<CatalogFeature> SearchAsync(
        Proto.SearchFeaturesRequest first,
        bool withProperties,
        TimeSpan? timeout,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Each enumeration begins at the first page.
        var request = first.Clone();
        do
        {
            var page = await unary.CallAsync(_search, request, timeout, cancellationToken).ConfigureAwait(false);
            foreach (var result in page.Results)
            {
                yield return FeatureMapping.ToFeature(result.Feature, withProperties);
            }

            request.PageToken = page.NextPageToken;
        }
        while (request.PageToken.Length > 0);
    }

    private static CatalogFeature ToFeature(Proto.Feature feature) => FeatureMapping.ToFeature(feature, withProperties: true);

    private static string ToText(Guid? requestId) => (requestId ?? Guid.NewGuid()).ToString("D");
}
