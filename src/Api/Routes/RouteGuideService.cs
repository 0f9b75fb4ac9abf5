using System.Globalization;
using Grpc.Core;
using Microsoft.AspNetCore.Authorization;
using RouteService.Api.Security;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Routes;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Api.Routes;

internal sealed class RouteGuideService(
    IFeatureStore features, RouteChat chat, LimitOptions limits, TimeProvider clock)
    : Proto.RouteGuide.RouteGuideBase
{
    /// <summary>The trailer of RecordRoute: the exact distance in metres, in the shortest text that parses to the same double.</summary>
    private const string DistanceTrailer = "route-distance-meters";

    /// <summary>The trailer of a RouteChat that was ended as a slow consumer: the last sequence that was sent.</summary>
    private const string LastSequenceTrailer = "route-chat-last-sequence";

    // Approximate bytes of a feature or a note on the wire, besides their text.
    private const int MessageOverheadBytes = 24;

    [Authorize(Scope.Read)]
    public override async Task<Proto.Feature> GetFeature(Proto.Point request, ServerCallContext context)
    {
        var found = await features.FindAsync(request.ToCoordinate(""), context.CancellationToken);
        return new Proto.Feature { Name = found?.Name ?? "", Location = request };
    }

    [Authorize(Scope.Read)]
    public override async Task ListFeatures(
        Proto.Rectangle request, IServerStreamWriter<Proto.Feature> responseStream, ServerCallContext context)
    {
        // A write does not need its message after it completes, so one message is reused.
        var response = new Proto.Feature { Location = new Proto.Point() };
        var writer = new PageWriter<Proto.Feature>(responseStream);
        await foreach (var page in features.PagesInAreaAsync(request.ToBoundingBox(), context.CancellationToken))
        {
            for (var i = 0; i < page.Length; i++)
            {
                var feature = page.Span[i];
                response.Name = feature.Name;
                response.Location.Latitude = feature.Location.LatitudeE7;
                response.Location.Longitude = feature.Location.LongitudeE7;
                await writer.WriteAsync(response, MessageOverheadBytes + feature.Name.Length, isLast: i == page.Length - 1);
            }
        }
    }

    [Authorize(Scope.Write)]
    public override async Task<Proto.RouteSummary> RecordRoute(IAsyncStreamReader<Proto.Point> requestStream, ServerCallContext context)
    {
        var route = new RouteRecorder(features, clock);
        for (var points = 1; await requestStream.MoveNext(context.CancellationToken); points++)
        {
            if (points > limits.MaxRoutePoints && limits.MaxRoutePoints > 0)
            {
                throw new RpcException(new Status(
                    StatusCode.ResourceExhausted, $"A route has at most {limits.MaxRoutePoints} points here; begin another."));
            }

            await route.AddAsync(requestStream.Current.ToCoordinate(""), context.CancellationToken);
        }

        var summary = await route.FinishAsync(context.CancellationToken);
        context.ResponseTrailers.Add(DistanceTrailer, summary.Meters.ToString("R", CultureInfo.InvariantCulture));
        return summary.ToProto();
    }

    [Authorize(Scope.Chat)]
    public override async Task RouteChat(
        IAsyncStreamReader<Proto.RouteNote> requestStream, IServerStreamWriter<Proto.RouteNote> responseStream, ServerCallContext context)
    {
        // Ends the posting when the reading fails, so that nothing of this call runs on.
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
        var http = context.GetHttpContext();
        var join = http.Request.Headers.ToJoin(http.ClientIdentity());
        await using var stream = chat.Join(join);
        var posting = PostAsync(requestStream, stream, join.IsSequenced, ending.Token);
        var lastSent = 0L;
        try
        {
            var response = new Proto.RouteNote();
            var writer = new PageWriter<Proto.RouteNote>(responseStream);
            await foreach (var page in stream.ReadAllAsync(context.CancellationToken))
            {
                for (var i = 0; i < page.Length; i++)
                {
                    var logged = page.Span[i];
                    response.Location = logged.Note.Location.ToPoint();
                    response.Message = logged.Note.Message;
                    if (join.IsSequenced)
                    {
                        response.Sequence = logged.Sequence;
                        response.NoteId = logged.Id ?? "";
                    }

                    // Before the write: one that the client does not take in time still comes before the status.
                    lastSent = logged.Sequence;
                    var write = writer.WriteAsync(
                        response, MessageOverheadBytes + logged.Note.Message.Length, isLast: i == page.Length - 1);
                    if (!write.IsCompletedSuccessfully)
                    {
                        await stream.WaitForClientAsync(write);
                    }
                }
            }
        }
        catch (ChatLimitException e) when (e.Limit is ChatLimit.SecondsBehind)
        {
            context.ResponseTrailers.Add(LastSequenceTrailer, lastSent.ToString(CultureInfo.InvariantCulture));
            throw;
        }
        finally
        {
            await ending.CancelAsync();
            await posting;
        }
    }

    /// <summary>Posts the client's notes until its half-close, or until an error, which then ends the stream.</summary>
    private static async Task PostAsync(
        IAsyncStreamReader<Proto.RouteNote> requestStream, ChatStream stream, bool isSequenced, CancellationToken cancellationToken)
    {
        Exception? error = null;
        try
        {
            while (await requestStream.MoveNext(cancellationToken))
            {
                var note = requestStream.Current;
                var id = isSequenced && note.NoteId.Length > 0 ? note.NoteId.ToText("note_id") : null;
                await stream.PostAsync(note.ToNote(), id, cancellationToken);
            }
        }
        catch (Exception e)
        {
            error = e;
        }

        stream.Complete(error);
    }
}
