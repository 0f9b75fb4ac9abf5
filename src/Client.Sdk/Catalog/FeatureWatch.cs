using System.Runtime.CompilerServices;
using Grpc.Core;
using RouteService.Client.Calls;
using Kind = RouteService.Contracts.V1.WatchFeaturesResponse.Types.Type;
using Proto = RouteService.Contracts.V1;

namespace RouteService.Client.Catalog;

/// <summary>The messages of WatchFeatures, by as many calls as it takes: a stream that breaks goes on after the last sequence.</summary>
internal sealed class FeatureWatch(
    CallContext context,
    Proto.Features.FeaturesClient stub,
    Proto.Area? area,
    long? after,
    TimeSpan? timeout,
    CancellationToken cancellationToken)
    : ResumedStream<Proto.WatchFeaturesResponse>(
        $"{FeatureCatalog.Service}/WatchFeatures", context, timeout, SilenceOf(context), cancellationToken, default)
{
    // The service sends something every 20 s.
    private static readonly TimeSpan MinSilence = TimeSpan.FromSeconds(30);

    private long? _after = after;
    private bool _isReceived;
    private bool _isResumed;

    protected override bool Ends => false;

    public static async IAsyncEnumerable<FeatureChange> ReadAsync(
        CallContext context,
        Proto.Features.FeaturesClient stub,
        Proto.Area? area,
        long? after,
        TimeSpan? timeout,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var messages = new FeatureWatch(context, stub, area, after, timeout, cancellationToken);
        await using (messages.ConfigureAwait(false))
        {
            while (await messages.MoveNextAsync().ConfigureAwait(false))
            {
                yield return FeatureMapping.ToChange(messages.Current);
            }
        }
    }

    protected override AsyncServerStreamingCall<Proto.WatchFeaturesResponse> Open(CallOptions options)
    {
        _isResumed = _isReceived;
        var request = new Proto.WatchFeaturesRequest { Area = area };
        if (_after is { } sequence)
        {
            request.AfterSequence = sequence;
        }

        return stub.WatchFeatures(request, options);
    }

    protected override bool TryTake(Proto.WatchFeaturesResponse message)
    {
        // Where a watch begins, nothing is known of the area, which is what a reset says: who handles one cannot forget the other.
        if (_after is null)
        {
            message.Type = Kind.Reset;
        }

        // The heartbeat that a stream begins with is no progress, or one that always breaks after it would be opened without a pause.
        if (!_isResumed || message.Type != Kind.Heartbeat)
        {
            Progress(1);
        }

        (_after, _isReceived, _isResumed) = (message.Sequence, true, false);
        return true;
    }

    /// <summary>
    /// A reader that was slower than the service allows goes on where it was, and so does one whose store was too slow, or whose stream
    /// that broke is still counted. A service whose log ends before the last sequence has been restored from a backup: the watch begins
    /// again, with a reset.
    /// </summary>
    protected override bool TryAvoid(RpcException failure)
    {
        var reason = CallFailure.InfoOf(failure)?.Reason;
        if (reason is "WATCH_SLOW_CONSUMER" || (reason is "WATCHES_PER_CLIENT" && _isReceived) || CallFailure.IsOfBusyStore(reason))
        {
            return true;
        }

        if (failure.StatusCode != StatusCode.InvalidArgument || !_isReceived || _after is null)
        {
            return false;
        }

        _after = null;
        return true;
    }

    private static TimeSpan SilenceOf(CallContext context) =>
        context.Options.StreamSilence > MinSilence ? context.Options.StreamSilence : MinSilence;
}
