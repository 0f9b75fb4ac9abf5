using System.Runtime.CompilerServices;
using Grpc.Core;
using RouteService.Client.Calls;
using Proto = RouteService.Contracts.V1;

namespace RouteService.Client.Catalog;

/// <summary>The messages of StreamFeatures, by as many calls as it takes: a stream that breaks goes on by the last token.</summary>
internal sealed class FeatureStream(
    CallContext context,
    Proto.Features.FeaturesClient stub,
    Proto.StreamFeaturesRequest request,
    TimeSpan? timeout,
    CancellationToken cancellationToken)
    : ResumedStream<Proto.StreamFeaturesResponse>(
        $"{FeatureCatalog.Service}/StreamFeatures", context, timeout, context.Options.StreamSilence, cancellationToken, default)
{
    public static async IAsyncEnumerable<CatalogFeature> ReadAsync(
        CallContext context,
        Proto.Features.FeaturesClient stub,
        Proto.StreamFeaturesRequest request,
        TimeSpan? timeout,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Each enumeration has a token of its own.
        var messages = new FeatureStream(context, stub, request.Clone(), timeout, cancellationToken);
        await using (messages.ConfigureAwait(false))
        {
            while (await messages.MoveNextAsync().ConfigureAwait(false))
            {
                foreach (var feature in messages.Current.Features)
                {
                    yield return FeatureMapping.ToFeature(feature, request.View == Proto.FeatureView.Full);
                }
            }
        }
    }

    protected override AsyncServerStreamingCall<Proto.StreamFeaturesResponse> Open(CallOptions options) =>
        stub.StreamFeatures(request, options);

    /// <returns>False for a message that has only a token, because the features that were looked at do not match.</returns>
    protected override bool TryTake(Proto.StreamFeaturesResponse message)
    {
        request.ResumeToken = message.ResumeToken;
        Progress(message.Features.Count);
        return message.Features.Count > 0;
    }
}
