using System.Globalization;
using Grpc.Core;
using RouteService.Contracts.Routeguide;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Calls;

/// <summary>One call of RecordRoute with its attempts.</summary>
internal sealed class RouteRecording(
    CallContext context, RouteGuide.RouteGuideClient guide, TimeSpan? timeout, CancellationToken cancellationToken)
    : ClientStream<Coordinate, Point, Proto.RouteSummary>(
        context, "routeguide.RouteGuide/RecordRoute", turns: null, timeout, cancellationToken)
{
    private const string DistanceTrailer = "route-distance-meters";

    // 32 KB of points: enough that a call whose connection turns out to be dead has lost none.
    protected override int MaxKept => 4_096;

    public async Task<RouteSummary> RecordAsync(IReadOnlyCollection<Coordinate> points) =>
        ToSummary(await SendAsync(points).ConfigureAwait(false));

    public async Task<RouteSummary> RecordOnceAsync(IAsyncEnumerable<Coordinate> points) =>
        ToSummary(await SendOnceAsync(points).ConfigureAwait(false));

    protected override AsyncClientStreamingCall<Point, Proto.RouteSummary> Start(CallOptions options) => guide.RecordRoute(options);

    protected override bool IsOfLess(Proto.RouteSummary response, long sent) => response.PointCount != Math.Min(sent, int.MaxValue);

    protected override Point ToMessage(Coordinate item) => CallContext.ToPoint(item);

    private static RouteSummary ToSummary((Proto.RouteSummary Response, Metadata Trailers) answer)
    {
        var (reply, exact) = (answer.Response, answer.Trailers.GetValue(DistanceTrailer));
        return new RouteSummary(
            reply.PointCount,
            reply.FeatureCount,
            double.TryParse(exact, NumberStyles.Float, CultureInfo.InvariantCulture, out var meters) ? meters : reply.Distance,
            TimeSpan.FromSeconds(reply.ElapsedTime));
    }
}
