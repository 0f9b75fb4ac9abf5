using System.Runtime.CompilerServices;
using Grpc.Core;
using Microsoft.AspNetCore.Authorization;
using RouteService.Api.Errors;
using RouteService.Api.Security;
using RouteService.Domain;
using RouteService.Domain.Features;
using RouteService.Infrastructure;
using Proto = RouteService.Contracts.V1;

namespace RouteService.Api.Features;

/// <summary>ImportFeatures. The store reads the stream at its own pace, so neither side holds more than a message.</summary>
internal sealed partial class FeaturesService
{
    // An import that is under way has one of a few places, and in PostGIS a transaction, which must not stay open for ever.
    private static readonly TimeSpan MaxImportSilence = TimeSpan.FromMinutes(10);

    [Authorize(Scope.WriteFeatures)]
    public override async Task<Proto.ImportFeaturesResponse> ImportFeatures(
        IAsyncStreamReader<Proto.ImportFeaturesRequest> requestStream, ServerCallContext context)
    {
        if (!await requestStream.MoveNext(context.CancellationToken) || requestStream.Current.Options is not { } options)
        {
            throw new InvalidRequestException("options", "options is missing; expected it in the first message.");
        }

        var import = new FeatureImport(options.ReplaceAll, options.RequestId.ToRequestId("options.request_id"));
        using var turn = await imports.WaitAsync(context.GetHttpContext(), context.CancellationToken);
        var started = clock.GetTimestamp();
        try
        {
            var summary = await store.ImportAsync(
                ReadBatchesAsync(requestStream, context.CancellationToken), import, context.CancellationToken);
            StoreTelemetry.HasImported(summary.Read, clock.GetElapsedTime(started));
            return new Proto.ImportFeaturesResponse
            {
                ReadCount = summary.Read,
                SupersededCount = summary.Superseded,
                OverwrittenCount = summary.Overwritten,
                TotalCount = summary.Total,
            };
        }
        catch (InvalidValueException e)
        {
            throw new InvalidRequestException(FeatureMapping.Join("options", e.Place), e.Message);
        }
    }

    /// <summary>The features of the messages after the first one.</summary>
    private async IAsyncEnumerable<FeatureContent> ReadBatchesAsync(
        IAsyncStreamReader<Proto.ImportFeaturesRequest> requests, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var silence = new CancellationTokenSource(MaxImportSilence, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancellationToken);
        var read = 0L;
        while (await MoveNextAsync())
        {
            if (requests.Current.Batch is not { } batch)
            {
                throw new InvalidRequestException("batch", "batch is missing; expected it in every message but the first.");
            }

            for (var i = 0; i < batch.Features.Count; i++)
            {
                yield return ToContent(batch.Features[i], $"batch.features[{i}]", ++read);
            }
        }

        async Task<bool> MoveNextAsync()
        {
            // The read itself is cancelled: one that stays pending would fail a later call, whose stream Kestrel makes of this one.
            silence.CancelAfter(MaxImportSilence);
            try
            {
                return await requests.MoveNext(either.Token);
            }
            catch (OperationCanceledException) when (silence.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
            {
                throw new RpcException(new Status(
                    StatusCode.DeadlineExceeded,
                    $"The import's next message has not arrived within {MaxImportSilence.TotalMinutes} minutes; nothing was imported."));
            }
            finally
            {
                // The store takes its own time for what has come.
                silence.CancelAfter(Timeout.InfiniteTimeSpan);
            }
        }
    }

    private static FeatureContent ToContent(Proto.Feature feature, string field, long number)
    {
        try
        {
            return feature.ToContent(field);
        }
        catch (InvalidRequestException e)
        {
            // The field is within one of many messages.
            throw new InvalidRequestException(e.Field, FormattableString.Invariant($"Feature {number} of the stream: {e.Message}"));
        }
    }
}
