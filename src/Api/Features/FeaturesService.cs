using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.Authorization;
using RouteService.Api.Security;
using RouteService.Domain.Features;
using Proto = RouteService.Contracts.V1;

namespace RouteService.Api.Features;

/// <summary>The calls of routeservice.v1.Features that are answered; the others are UNIMPLEMENTED (docs/features.md).</summary>
internal sealed class FeaturesService(IFeatureCatalog catalog) : Proto.Features.FeaturesBase
{
    [Authorize(Scope.Read)]
    public override async Task<Proto.Feature> GetFeature(Proto.GetFeatureRequest request, ServerCallContext context)
    {
        var location = request.Name.ToLocation("name");
        return (await catalog.GetAsync(location, context.CancellationToken))?.ToProto()
            ?? throw new FeatureConflictException(FeatureConflict.Missing, location, current: null);
    }

    [Authorize(Scope.WriteFeatures)]
    public override async Task<Proto.Feature> CreateFeature(Proto.CreateFeatureRequest request, ServerCallContext context) =>
        (await WriteAsync([request.ToChange()], request.RequestId, context))[0];

    [Authorize(Scope.WriteFeatures)]
    public override async Task<Proto.Feature> UpdateFeature(Proto.UpdateFeatureRequest request, ServerCallContext context) =>
        (await WriteAsync([request.ToChange("")], request.RequestId, context))[0];

    [Authorize(Scope.WriteFeatures)]
    public override async Task<Proto.BatchUpdateFeaturesResponse> BatchUpdateFeatures(
        Proto.BatchUpdateFeaturesRequest request, ServerCallContext context)
    {
        var changes = request.Requests.ToChanges(static (update, field) => update.ToChange(field), static update => update.RequestId);
        return new Proto.BatchUpdateFeaturesResponse { Features = { await WriteAsync(changes, request.RequestId, context) } };
    }

    [Authorize(Scope.WriteFeatures)]
    public override async Task<Empty> DeleteFeature(Proto.DeleteFeatureRequest request, ServerCallContext context)
    {
        await catalog.WriteAsync(new FeatureWrite([request.ToChange("")], request.RequestId.ToRequestId()), context.CancellationToken);
        return new Empty();
    }

    [Authorize(Scope.WriteFeatures)]
    public override async Task<Empty> BatchDeleteFeatures(Proto.BatchDeleteFeaturesRequest request, ServerCallContext context)
    {
        var changes = request.Requests.ToChanges(static (delete, field) => delete.ToChange(field), static delete => delete.RequestId);
        await catalog.WriteAsync(new FeatureWrite(changes, request.RequestId.ToRequestId()), context.CancellationToken);
        return new Empty();
    }

    /// <summary>Makes changes that leave a feature each.</summary>
    private async Task<IReadOnlyList<Proto.Feature>> WriteAsync(
        IReadOnlyList<FeatureChange> changes, string requestId, ServerCallContext context)
    {
        var features = await catalog.WriteAsync(new FeatureWrite(changes, requestId.ToRequestId()), context.CancellationToken);

        // A repeat is answered with the features as they are now, and one may have been deleted since it was written.
        return
        [
            .. features.Select((feature, i) => feature?.ToProto()
                ?? throw new FeatureConflictException(FeatureConflict.Missing, changes[i].Location, current: null)),
        ];
    }
}
