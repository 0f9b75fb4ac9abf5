using System.Globalization;
using Grpc.Core;
using RouteService.Contracts.Routeguide;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Calls;

/// <summary>One RecordRoute, with its attempts.</summary>
internal sealed class RouteRecording(CallContext context, RouteGuide.RouteGuideClient guide, TimeSpan? timeout, CancellationToken cancellationToken)
{
    private const string FullName = "routeguide.RouteGuide/RecordRoute";

    // 32 KB of points: enough that a call whose connection turns out to be dead has lost none.
    private const int MaxKept = 4_096;
    private const string DistanceTrailer = "route-distance-meters";

    private readonly DateTimeOffset _deadline = context.Deadline(timeout ?? Timeout.InfiniteTimeSpan);
    private readonly Cancellation _cancellation = new(cancellationToken);
    private long _sent;

    /// <summary>Points that can be sent again, from the first.</summary>
    public Task<RouteSummary> RecordAsync(IReadOnlyCollection<Coordinate> points) => RunAsync(
        static () => true,
        async (call, silence) =>
        {
            foreach (var point in points)
            {
                await SendAsync(call, silence, point).ConfigureAwait(false);
            }
        });

    /// <summary>Points that come once. The first of them are kept, and while they are all there are, another attempt begins with them.</summary>
    public async Task<RouteSummary> RecordOnceAsync(IAsyncEnumerable<Coordinate> points)
    {
        var coming = points.GetAsyncEnumerator(_cancellation.Token);
        await using (coming.ConfigureAwait(false))
        {
            List<Coordinate>? kept = [];
            return await RunAsync(
                () => kept is not null,
                async (call, silence) =>
                {
                    for (var i = 0; i < kept!.Count; i++)
                    {
                        await SendAsync(call, silence, kept[i]).ConfigureAwait(false);
                    }

                    while (await coming.MoveNextAsync().ConfigureAwait(false))
                    {
                        var point = coming.Current;
                        kept = kept?.Count < MaxKept ? kept : null;
                        kept?.Add(point);
                        await SendAsync(call, silence, point).ConfigureAwait(false);
                    }
                }).ConfigureAwait(false);
        }
    }

    private async Task<RouteSummary> RunAsync(Func<bool> canRepeat, Func<AsyncClientStreamingCall<Point, Proto.RouteSummary>, SilenceTimer, Task> send)
    {
        using var trace = CallTrace.Start(FullName, context);
        using var cancellation = _cancellation;
        var resumption = new Resumption(context, _deadline, trace.Activity);
        try
        {
            while (true)
            {
                _sent = 0;
                AsyncClientStreamingCall<Point, Proto.RouteSummary>? call = null;
                using var silence = new SilenceTimer(context.Options.Clock, context.Options.StreamSilence, () => call?.Dispose());
                RpcException failure;
                try
                {
                    var options = await context.OptionsAsync(_deadline, resumption.Attempts++, extra: null, cancellation.Token).ConfigureAwait(false);
                    call = guide.RecordRoute(options);
                    return await RunOnceAsync(call, silence, send).ConfigureAwait(false);
                }
                catch (RpcException e)
                {
                    failure = silence.HasFired
                        ? new RpcException(new Status(
                            StatusCode.Unavailable, FormattableString.Invariant($"The server took nothing for {context.Options.StreamSilence.TotalSeconds} s.")))
                        : e;
                }
                finally
                {
                    call?.Dispose();
                }

                if (!canRepeat() || !await resumption.WaitAsync(failure, silence.HasFired, wasUnderWay: false, cancellation.Token).ConfigureAwait(false))
                {
                    throw context.End(FullName, failure, resumption.Attempts, _sent, cancellation, silence.HasFired ? FailureReason.Stalled : null);
                }
            }
        }
        catch (Exception e)
        {
            // Of the points, of BearerToken, or what was just thrown.
            var end = context.End(FullName, e, resumption.Attempts, _sent, cancellation);
            trace.Fail(end);
            if (end == e)
            {
                throw;
            }

            throw end;
        }
    }

    private static async Task<RouteSummary> RunOnceAsync(
        AsyncClientStreamingCall<Point, Proto.RouteSummary> call, SilenceTimer silence, Func<AsyncClientStreamingCall<Point, Proto.RouteSummary>, SilenceTimer, Task> send)
    {
        try
        {
            await send(call, silence).ConfigureAwait(false);
            await call.RequestStream.CompleteAsync().ConfigureAwait(false);
        }
        catch (RpcException)
        {
            // The server has ended the call before it had all; why is in the response.
        }

        silence.Start();
        var reply = await call.ResponseAsync.ConfigureAwait(false);
        silence.Stop();
        var exact = call.GetTrailers().GetValue(DistanceTrailer);
        return new RouteSummary(
            reply.PointCount,
            reply.FeatureCount,
            double.TryParse(exact, NumberStyles.Float, CultureInfo.InvariantCulture, out var meters) ? meters : reply.Distance,
            TimeSpan.FromSeconds(reply.ElapsedTime));
    }

    private async Task SendAsync(AsyncClientStreamingCall<Point, Proto.RouteSummary> call, SilenceTimer silence, Coordinate point)
    {
        var write = call.RequestStream.WriteAsync(CallContext.ToPoint(point), _cancellation.Token);
        if (!write.IsCompleted)
        {
            silence.Start();
            await write.ConfigureAwait(false);
            silence.Stop();
        }

        await write.ConfigureAwait(false);
        _sent++;
    }
}
