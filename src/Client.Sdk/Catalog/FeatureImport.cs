using System.Runtime.CompilerServices;
using Grpc.Core;
using RouteService.Client.Calls;
using Proto = RouteService.Contracts.V1;

namespace RouteService.Client.Catalog;

/// <summary>One call of ImportFeatures with its attempts: the options, then the features in batches.</summary>
/// <remarks>
/// A service that is well lets an import wait before it reads, for a turn, a place in the store or another merge, and may write for minutes
/// what was sent. So no silence ends one: its time limit does, and a connection that is dead is found by keep-alive pings.
/// </remarks>
internal sealed class FeatureImport(
    CallContext context,
    SemaphoreSlim turns,
    Proto.Features.FeaturesClient stub,
    Proto.ImportFeaturesRequest.Types.Options options,
    TimeSpan? timeout,
    CancellationToken cancellationToken)
    : ClientStream<Proto.ImportFeaturesRequest, Proto.ImportFeaturesRequest, Proto.ImportFeaturesResponse>(
        context, $"{FeatureCatalog.Service}/ImportFeatures", turns, timeout, cancellationToken)
{
    // A message of the service has at most 4 MiB by default, and a feature can have about 400 KiB.
    private const int BatchBytes = 256 * 1024;

    // 4 MiB, and the options.
    protected override int MaxKept => 17;

    protected override bool IsTimed => false;

    public async Task<ImportSummary> ImportAsync(IReadOnlyCollection<CatalogFeature> features) =>
        ToSummary((await SendAsync(ToMessages(features)).ConfigureAwait(false)).Response);

    public async Task<ImportSummary> ImportOnceAsync(IAsyncEnumerable<CatalogFeature> features) =>
        ToSummary((await SendOnceAsync(ToMessagesAsync(features)).ConfigureAwait(false)).Response);

    protected override AsyncClientStreamingCall<Proto.ImportFeaturesRequest, Proto.ImportFeaturesResponse> Start(CallOptions options) =>
        stub.ImportFeatures(options);

    protected override Proto.ImportFeaturesRequest ToMessage(Proto.ImportFeaturesRequest item) => item;

    // The options are always sent first. Counts say nothing: those of a repeated request id are the first import's.
    protected override bool IsOfLess(RpcException failure) =>
        failure.StatusCode is StatusCode.InvalidArgument && CallFailure.ViolationsOf(failure).Any(static field => field.Field is "options");

    protected override int Weigh(Proto.ImportFeaturesRequest item) => item.Batch?.Features.Count ?? 0;

    private IEnumerable<Proto.ImportFeaturesRequest> ToMessages(IReadOnlyCollection<CatalogFeature> features)
    {
        yield return new() { Options = options };
        var batch = new Batch();
        foreach (var feature in features)
        {
            if (batch.Add(feature) is { } full)
            {
                yield return full;
            }
        }

        if (batch.Rest() is { } rest)
        {
            yield return rest;
        }
    }

    private async IAsyncEnumerable<Proto.ImportFeaturesRequest> ToMessagesAsync(
        IAsyncEnumerable<CatalogFeature> features, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        yield return new() { Options = options };
        var batch = new Batch();
        await foreach (var feature in features.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            if (batch.Add(feature) is { } full)
            {
                yield return full;
            }
        }

        if (batch.Rest() is { } rest)
        {
            yield return rest;
        }
    }

    private static ImportSummary ToSummary(Proto.ImportFeaturesResponse response) =>
        new(response.ReadCount, response.SupersededCount, response.OverwrittenCount, response.TotalCount);

    /// <summary>Features of the next message.</summary>
    private sealed class Batch
    {
        private Proto.ImportFeaturesRequest.Types.Batch _features = new();
        private int _bytes;

        /// <returns>The message, if it is full.</returns>
        public Proto.ImportFeaturesRequest? Add(CatalogFeature feature)
        {
            ArgumentNullException.ThrowIfNull(feature);
            var added = FeatureMapping.ToProto(feature);
            _features.Features.Add(added);
            _bytes += added.CalculateSize();
            return _bytes >= BatchBytes ? Rest() : null;
        }

        /// <returns>The message; null if it has no features.</returns>
        public Proto.ImportFeaturesRequest? Rest()
        {
            if (_features.Features.Count == 0)
            {
                return null;
            }

            var message = new Proto.ImportFeaturesRequest { Batch = _features };
            (_features, _bytes) = (new(), 0);
            return message;
        }
    }
}
