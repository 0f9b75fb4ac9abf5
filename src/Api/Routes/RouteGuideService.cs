using System.Globalization;
using Grpc.Core;
using RouteService.Contracts.Routeguide;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Routes;
using Feature = RouteService.Contracts.Routeguide.Feature;
using RouteNote = RouteService.Contracts.Routeguide.RouteNote;
using RouteSummary = RouteService.Contracts.Routeguide.RouteSummary;

namespace RouteService.Api.Routes;

internal sealed class RouteGuideService(IFeatureStore features, RouteChat chat, TimeProvider clock) : RouteGuide.RouteGuideBase
{
    /// <summary>The trailer of RecordRoute with the distance in metres as an exact double, in the shortest text that reads back as it.</summary>
    private const string DistanceTrailer = "route-distance-meters";

    public override async Task<Feature> GetFeature(Point request, ServerCallContext context)
    {
        var found = await features.FindAsync(request.ToCoordinate(""), context.CancellationToken);
        return new Feature { Name = found?.Name ?? "", Location = request };
    }

    public override async Task ListFeatures(Rectangle request, IServerStreamWriter<Feature> responseStream, ServerCallContext context)
    {
        // A write has made bytes of its message when it is done, so one message serves them all.
        var response = new Feature { Location = new Point() };
        await foreach (var feature in features.InAreaAsync(request.ToBoundingBox(), context.CancellationToken))
        {
            response.Name = feature.Name;
            response.Location.Latitude = feature.Location.LatitudeE7;
            response.Location.Longitude = feature.Location.LongitudeE7;
            await responseStream.WriteAsync(response, context.CancellationToken);
        }
    }

    public override async Task<RouteSummary> RecordRoute(IAsyncStreamReader<Point> requestStream, ServerCallContext context)
    {
        var route = new RouteRecorder(features, clock);
        while (await requestStream.MoveNext(context.CancellationToken))
        {
            await route.AddAsync(requestStream.Current.ToCoordinate(""), context.CancellationToken);
        }

        var summary = await route.FinishAsync(context.CancellationToken);
        context.ResponseTrailers.Add(DistanceTrailer, summary.Meters.ToString("R", CultureInfo.InvariantCulture));
        return summary.ToProto();
    }

    public override async Task RouteChat(
        IAsyncStreamReader<RouteNote> requestStream, IServerStreamWriter<RouteNote> responseStream, ServerCallContext context)
    {
        // Ends the posting when the reading fails, so that nothing of this call is left running behind it.
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
        await using var session = chat.Join();
        var posting = PostAsync(requestStream, session, ending.Token);
        try
        {
            var response = new RouteNote();
            await foreach (var page in session.ReadAllAsync(context.CancellationToken))
            {
                for (var i = 0; i < page.Length; i++)
                {
                    var note = page.Span[i].Note;
                    response.Location = note.Location.ToPoint();
                    response.Message = note.Message;
                    await responseStream.WriteAsync(response, context.CancellationToken);
                }
            }
        }
        finally
        {
            await ending.CancelAsync();
            await posting;
        }
    }

    /// <summary>Hands the client's notes to its session, and the session its end: the half-close, or the error that is the call's.</summary>
    private static async Task PostAsync(IAsyncStreamReader<RouteNote> requestStream, ChatSession session, CancellationToken cancellationToken)
    {
        Exception? error = null;
        try
        {
            while (await requestStream.MoveNext(cancellationToken))
            {
                await session.PostAsync(requestStream.Current.ToNote(), cancellationToken);
            }
        }
        catch (Exception e)
        {
            error = e;
        }

        session.Complete(error);
    }
}
