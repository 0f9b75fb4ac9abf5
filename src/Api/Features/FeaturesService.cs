using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.Authorization;
using RouteService.Api.Errors;
using RouteService.Api.Security;
using RouteService.Domain;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Domain.Watch;
using Proto = RouteService.Contracts.V1;

namespace RouteService.Api.Features;

/// <summary>The calls of routeservice.v1.Features (docs/features.md).</summary>
internal sealed partial class FeaturesService(
    IFeatureCatalog catalog,
    FeatureSearch search,
    IFeatureStore store,
    FeatureWatches watches,
    ImportTurns imports,
    StreamLifetime streams,
    TimeProvider clock)
    : Proto.Features.FeaturesBase
{
    // Of the features of a page and of a message of a stream, about.
    private const int MaxPageBytes = 2 * 1024 * 1024;
    private const int MaxMessageBytes = 256 * 1024;

    // The largest response that clients take by default, in all of gRPC's languages.
    private const int MaxResponseBytes = 4 * 1024 * 1024;

    [Authorize(Scope.Read)]
    public override async Task<Proto.Feature> GetFeature(Proto.GetFeatureRequest request, ServerCallContext context)
    {
        var location = request.Name.ToLocation("name");
        return (await catalog.GetAsync(location, context.CancellationToken))?.ToProto()
            ?? throw new FeatureConflictException(FeatureConflict.Missing, location, current: null);
    }

    [Authorize(Scope.WriteFeatures)]
    public override async Task<Proto.Feature> CreateFeature(Proto.CreateFeatureRequest request, ServerCallContext context) =>
        (await WriteAsync(new FeatureWrite([request.ToChange()], request.RequestId.ToRequestId()), context)).Features[0];

    [Authorize(Scope.WriteFeatures)]
    public override async Task<Proto.Feature> UpdateFeature(Proto.UpdateFeatureRequest request, ServerCallContext context) =>
        (await WriteAsync(new FeatureWrite([request.ToChange("")], request.RequestId.ToRequestId()), context)).Features[0];

    [Authorize(Scope.WriteFeatures)]
    public override async Task<Proto.BatchUpdateFeaturesResponse> BatchUpdateFeatures(
        Proto.BatchUpdateFeaturesRequest request, ServerCallContext context)
    {
        var changes = request.Requests.ToChanges(static (update, field) => update.ToChange(field), static update => update.RequestId);
        return await WriteAsync(new FeatureWrite(changes, request.RequestId.ToRequestId()) { Check = CheckFits }, context);
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

    [Authorize(Scope.Read)]
    public override async Task<Proto.SearchFeaturesResponse> SearchFeatures(Proto.SearchFeaturesRequest request, ServerCallContext context)
    {
        var query = SearchQuery.Of(request.Filter, request.View);
        var limit = SearchQuery.LimitOf(request.PageSize);
        var response = new Proto.SearchFeaturesResponse();
        var bytes = 0;
        if (request.Near is { } near)
        {
            if (request.PageToken.Length > 0)
            {
                throw new InvalidRequestException("page_token", "page_token is set, and so is near; expected one page, without a token.");
            }

            var nearest = await search.FindNearestAsync(
                query.Filter, near.ToCoordinate("near"), limit, query.IsFull, context.CancellationToken);
            foreach (var (feature, meters) in nearest)
            {
                var sent = query.ToProto(feature);
                bytes += sent.CalculateSize();
                if (bytes > MaxPageBytes && response.Results.Count > 0)
                {
                    break;
                }

                response.Results.Add(new Proto.SearchFeaturesResponse.Types.Result { Feature = sent, DistanceMeters = meters });
            }

            return response;
        }

        var from = query.ToCode(SearchTokenKind.Page, request.PageToken, "page_token");
        var page = await search.ReadPageAsync(query.Filter, from, limit, query.IsFull, context.CancellationToken);
        var last = page.GoesOnAfter;
        foreach (var feature in page.Features)
        {
            var sent = query.ToProto(feature);
            bytes += sent.CalculateSize();
            if (bytes > MaxPageBytes && response.Results.Count > 0)
            {
                last = page.Features[response.Results.Count - 1].Location;
                break;
            }

            response.Results.Add(new Proto.SearchFeaturesResponse.Types.Result { Feature = sent });
        }

        response.NextPageToken = last is { } place ? query.ToToken(SearchTokenKind.Page, place) : "";
        return response;
    }

    [Authorize(Scope.Read)]
    public override async Task StreamFeatures(
        Proto.StreamFeaturesRequest request, IServerStreamWriter<Proto.StreamFeaturesResponse> responseStream, ServerCallContext context)
    {
        var query = SearchQuery.Of(request.Filter, request.View);
        long? from = query.ToCode(SearchTokenKind.Stream, request.ResumeToken, "resume_token");
        while (from is { } start)
        {
            // Writes to the response take no cancellation token, so it is checked once a page; the store checks it too.
            context.CancellationToken.ThrowIfCancellationRequested();
            var page = await search.ReadPageAsync(query.Filter, start, FeatureSearch.MaxPage, query.IsFull, context.CancellationToken);
            var message = new Proto.StreamFeaturesResponse();
            var bytes = 0;
            foreach (var feature in page.Features)
            {
                var sent = query.ToProto(feature);
                message.Features.Add(sent);
                bytes += sent.CalculateSize();
                if (bytes >= MaxMessageBytes)
                {
                    message.ResumeToken = query.ToToken(SearchTokenKind.Stream, feature.Location);
                    await responseStream.WriteAsync(message);
                    (message, bytes) = (new Proto.StreamFeaturesResponse(), 0);
                }
            }

            // If few match, a page may be empty. Its message has a token, so that a resumed stream does not scan the same candidates again.
            var last = page.GoesOnAfter ?? (page.Features.Count > 0 ? page.Features[^1].Location : null);
            if (last is { } place && (message.Features.Count > 0 || page.Features.Count == 0))
            {
                message.ResumeToken = query.ToToken(SearchTokenKind.Stream, place);
                await responseStream.WriteAsync(message);
            }

            from = page.GoesOnAfter is { } next ? ZOrder.Encode(next) + 1 : null;
        }
    }

    /// <summary>Makes changes that leave a feature each.</summary>
    private async Task<Proto.BatchUpdateFeaturesResponse> WriteAsync(FeatureWrite write, ServerCallContext context)
    {
        var features = await catalog.WriteAsync(write, context.CancellationToken);

        // A repeat is answered with the features as they are now, and one may have been deleted since it was written.
        return ToProto(features.Select((feature, i) => feature
            ?? throw new FeatureConflictException(FeatureConflict.Missing, write.Changes[i].Location, current: null)));
    }

    private static Proto.BatchUpdateFeaturesResponse ToProto(IEnumerable<CatalogFeature> features) =>
        new() { Features = { features.Select(static feature => feature.ToProto()) } };

    /// <summary>Before the write is made: a caller whose client refuses the response would not know that it was.</summary>
    private static void CheckFits(IReadOnlyList<CatalogFeature?> features)
    {
        var bytes = ToProto(features.OfType<CatalogFeature>()).CalculateSize();
        if (bytes > MaxResponseBytes)
        {
            throw new InvalidValueException(
                "requests",
                $"requests leave features that take {bytes} bytes in the response; expected at most {MaxResponseBytes}: fewer requests.");
        }
    }
}
