using Grpc.Core;
using Microsoft.AspNetCore.Authorization;
using RouteService.Api.Errors;
using RouteService.Api.Security;
using RouteService.Domain.Watch;
using Proto = RouteService.Contracts.V1;

namespace RouteService.Api.Features;

internal sealed partial class FeaturesService
{
    [Authorize(Scope.Read)]
    public override Task WatchFeatures(
        Proto.WatchFeaturesRequest request, IServerStreamWriter<Proto.WatchFeaturesResponse> responseStream, ServerCallContext context)
    {
        var area = request.Area is { } sent ? SearchQuery.ToArea(sent, "area") : null;
        long? after = request.HasAfterSequence ? request.AfterSequence : null;
        if (after < 0)
        {
            throw new InvalidRequestException("after_sequence", $"after_sequence is {after}; expected a sequence of a message, or none.");
        }

        return streams.RunAsync(
            async token =>
            {
                using var watch = watches.Open(context.GetHttpContext().ClientIdentity(), area, after);
                await foreach (var happened in watch.ReadAllAsync(token))
                {
                    // With a token the server would register it for every message.
                    var write = responseStream.WriteAsync(ToProto(happened), CancellationToken.None);
                    if (!write.IsCompletedSuccessfully)
                    {
                        await watch.WaitForClientAsync(write, token);
                    }
                }
            },
            context.CancellationToken);
    }

    private static Proto.WatchFeaturesResponse ToProto(WatchEvent happened) => new()
    {
        Type = happened.Kind switch
        {
            WatchEventKind.Created => Proto.WatchFeaturesResponse.Types.Type.Created,
            WatchEventKind.Updated => Proto.WatchFeaturesResponse.Types.Type.Updated,
            WatchEventKind.Deleted => Proto.WatchFeaturesResponse.Types.Type.Deleted,
            WatchEventKind.Reset => Proto.WatchFeaturesResponse.Types.Type.Reset,
            _ => Proto.WatchFeaturesResponse.Types.Type.Heartbeat,
        },
        Feature = happened.Kind is WatchEventKind.Deleted ? happened.Location.ToProto() : happened.Feature?.ToProto(),
        Sequence = happened.Sequence,
    };
}
