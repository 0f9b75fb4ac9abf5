using Grpc.Core;
using RouteService.Contracts.Routeguide;

namespace RouteService.Runtime.Bench;

/// <summary>The contract that the load client speaks, with nothing behind it.</summary>
internal sealed class EchoService : RouteGuide.RouteGuideBase
{
    private static readonly Feature Answer = new() { Location = new Point { Latitude = 403487200, Longitude = -746590500 } };
    private static readonly Task<Feature> AnswerTask = Task.FromResult(Answer);

    public override Task<Feature> GetFeature(Point request, ServerCallContext context) => AnswerTask;

    /// <summary>As many messages as the request says.</summary>
    public override async Task ListFeatures(Rectangle request, IServerStreamWriter<Feature> responseStream, ServerCallContext context)
    {
        for (var i = 0; i < request.Lo.Latitude; i++)
        {
            await responseStream.WriteAsync(Answer, context.CancellationToken);
        }
    }

    public override async Task<RouteSummary> RecordRoute(IAsyncStreamReader<Point> requestStream, ServerCallContext context)
    {
        var count = 0;
        while (await requestStream.MoveNext(context.CancellationToken))
        {
            count++;
        }

        return new RouteSummary { PointCount = count };
    }
}
