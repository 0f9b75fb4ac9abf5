using System.Globalization;
using System.Runtime.CompilerServices;
using Grpc.Core;
using RouteService.Contracts.Routeguide;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Calls;

/// <summary>One call of RecordRoute with its attempts.</summary>
internal sealed class RouteRecording(
    CallContext context, RouteGuide.RouteGuideClient guide, TimeSpan? timeout, CancellationToken cancellationToken)
{
    private const string FullName = "routeguide.RouteGuide/RecordRoute";

    // 32 KB of points: enough that a call whose connection turns out to be dead has lost none.
    private const int MaxKept = 4_096;
    private const string DistanceTrailer = "route-distance-meters";

    private long _sent;

    private string Silence => FormattableString.Invariant(
        $"The server has accepted no point for {context.Options.StreamSilence.TotalSeconds} s.");

    /// <summary>Sends points that can be enumerated again for another attempt.</summary>
    public async Task<RouteSummary> RecordAsync(IReadOnlyCollection<Coordinate> points)
    {
        using var lifetime = NewLifetime();
        return await RunAsync(
            lifetime,
            static () => true,
            async (call, silence) =>
            {
                foreach (var point in points)
                {
                    if (!await TrySendAsync(call, silence, point).ConfigureAwait(false))
                    {
                        return;
                    }
                }
            }).ConfigureAwait(false);
    }

    /// <summary>
    /// Sends points that can be enumerated once. The first are kept; until further ones are sent, another attempt starts with them.
    /// </summary>
    public async Task<RouteSummary> RecordOnceAsync(IAsyncEnumerable<Coordinate> points)
    {
        using var lifetime = NewLifetime();
        var coming = points.GetAsyncEnumerator(lifetime.Token);
        await using (coming.ConfigureAwait(false))
        {
            List<Coordinate>? kept = [];
            return await RunAsync(
                lifetime,
                () => kept is not null,
                async (call, silence) =>
                {
                    for (var i = 0; i < kept!.Count; i++)
                    {
                        if (!await TrySendAsync(call, silence, kept[i]).ConfigureAwait(false))
                        {
                            return;
                        }
                    }

                    while (await coming.MoveNextAsync().ConfigureAwait(false))
                    {
                        var point = coming.Current;
                        kept = kept?.Count < MaxKept ? kept : null;
                        kept?.Add(point);
                        if (!await TrySendAsync(call, silence, point).ConfigureAwait(false))
                        {
                            return;
                        }
                    }
                }).ConfigureAwait(false);
        }
    }

    private CallLifetime NewLifetime() => new(context.Options.Clock, timeout ?? Timeout.InfiniteTimeSpan, cancellationToken);

    /// <param name="lifetime">The call's.</param>
    /// <param name="canRepeat">Whether another attempt can send all points.</param>
    /// <param name="send">Sends the points, as far as the stream takes them. Its exceptions are the caller's.</param>
    private async Task<RouteSummary> RunAsync(
        CallLifetime lifetime, Func<bool> canRepeat, Func<AsyncClientStreamingCall<Point, Proto.RouteSummary>, SilenceTimer, Task> send)
    {
        using var trace = CallTrace.Start(FullName, context);
        var resumption = new Resumption(FullName, context, lifetime, trace.Activity);
        try
        {
            while (true)
            {
                _sent = 0;
                AsyncClientStreamingCall<Point, Proto.RouteSummary>? call = null;
                using var silence = new SilenceTimer(context.Options.Clock, context.Options.StreamSilence, () => call?.Dispose());
                RpcException failure;
                var isSent = false;
                try
                {
                    var options = await context.OptionsAsync(lifetime, resumption.Attempts++, extra: null, lifetime.Token)
                        .ConfigureAwait(false);
                    call = guide.RecordRoute(options);
                    await send(call, silence).ConfigureAwait(false);
                    isSent = true;
                    return await CompleteAsync(call, silence).ConfigureAwait(false);
                }
                catch (RpcException e) when (isSent)
                {
                    failure = silence.HasFired
                        ? new RpcException(new Status(StatusCode.Unavailable, Silence))
                        : CallFailure.Normalize(e, lifetime);
                }
                finally
                {
                    call?.Dispose();
                }

                var isSilent = silence.HasFired;
                if (!canRepeat()
                    || !await resumption.WaitAsync(failure, isSilent, delivered: null, lifetime.Token).ConfigureAwait(false))
                {
                    throw context.End(FullName, failure, resumption.Attempts, _sent, lifetime, isSilent ? FailureReason.Stalled : null);
                }
            }
        }
        catch (Exception e)
        {
            // An exception of the points, of BearerToken, or the one thrown above.
            var end = context.End(FullName, e, resumption.Attempts, _sent, lifetime);
            trace.Fail(end);
            if (end == e)
            {
                throw;
            }

            throw end;
        }
    }

    private static async Task<RouteSummary> CompleteAsync(AsyncClientStreamingCall<Point, Proto.RouteSummary> call, SilenceTimer silence)
    {
        try
        {
            await call.RequestStream.CompleteAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (IsEndOfStream(e))
        {
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

    /// <returns>False if the stream has ended; its response says why.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> TrySendAsync(
        AsyncClientStreamingCall<Point, Proto.RouteSummary> call, SilenceTimer silence, Coordinate point)
    {
        try
        {
            // The call itself has the token; here it would be registered for each point.
            var write = call.RequestStream.WriteAsync(CallContext.ToPoint(point), CancellationToken.None);
            silence.Start();
            await write.ConfigureAwait(false);
            silence.Stop();
            _sent++;
            return true;
        }
        catch (Exception e) when (IsEndOfStream(e))
        {
            return false;
        }
    }

    /// <summary>Whether a write failed because the server, the connection or <see cref="SilenceTimer"/> ended the call.</summary>
    private static bool IsEndOfStream(Exception e) => e is RpcException or HttpRequestException or IOException or InvalidOperationException;
}
