using Grpc.Core;
using Grpc.Net.Client;
using static RouteService.Client.Tests.Places;
using Kind = RouteService.Contracts.V1.WatchFeaturesResponse.Types.Type;
using Proto = RouteService.Contracts.Routeguide;
using V1 = RouteService.Contracts.V1;

namespace RouteService.Client.Tests;

/// <summary>Clients on a channel that throws OperationCanceledException for CANCELLED and DEADLINE_EXCEEDED, whoever has cancelled.</summary>
public sealed class CancellationChannelTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task Unary_calls_fail_by_the_status_and_are_cancelled_by_their_token_alone()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static async (_, context, call) =>
            {
                await Task.Delay(call < 3 ? 0 : Timeout.Infinite, context.CancellationToken);
                throw Script.Error(call == 1 ? StatusCode.DeadlineExceeded : StatusCode.Cancelled, "of the server", ("a", "b"));
            },
        });
        using var channel = Open(service);
        await using var client = On(channel);
        using var cancel = new CancellationTokenSource(300);

        foreach (var (status, reason) in new[] { (StatusCode.DeadlineExceeded, FailureReason.DeadlineExceeded), (StatusCode.Cancelled, FailureReason.Unexpected) })
        {
            var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));
            Assert.Equal((status, reason, "of the server", "b"), (error.StatusCode, error.Reason, error.Detail, error.Trailers.GetValue("a")));
        }

        var late = await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here, TimeSpan.FromMilliseconds(200)));
        Assert.Equal(FailureReason.DeadlineExceeded, late.Reason);
        var cancelled = await Assert.ThrowsAsync<OperationCanceledException>(() => client.GetFeatureAsync(Here, cancellationToken: cancel.Token));
        Assert.Equal(cancel.Token, cancelled.CancellationToken);
    }

    [Fact]
    public async Task A_silent_listing_goes_on()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static async (stream, context, call) =>
            {
                await stream.WriteAsync(Feature(1));
                await Task.Delay(call == 1 ? Timeout.Infinite : 0, context.CancellationToken);
                await stream.WriteAsync(Feature(2));
            },
        });
        using var channel = Open(service);
        await using var client = On(channel, static options => options with { StreamSilence = TimeSpan.FromSeconds(2) });
        using var cancel = new CancellationTokenSource();

        Assert.Equal(["place 1", "place 2"], (await ToListAsync(client.ListFeaturesAsync(BoundingBox.World))).Select(static feature => feature.Name));
        Assert.InRange(service.Script.Calls, 2, int.MaxValue);

        var cancelled = await Assert.ThrowsAsync<OperationCanceledException>(async () =>
        {
            await foreach (var feature in client.ListFeaturesAsync(BoundingBox.World, cancellationToken: cancel.Token))
            {
                await cancel.CancelAsync();
            }
        });
        Assert.Equal(cancel.Token, cancelled.CancellationToken);
    }

    [Fact]
    public async Task A_listing_that_is_late_is_late()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = static async (stream, context, _) => await Task.Delay(Timeout.Infinite, context.CancellationToken),
        });
        using var channel = Open(service);
        await using var client = On(channel);

        for (var i = 0; i < 10; i++)
        {
            var error = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(client.ListFeaturesAsync(BoundingBox.World, TimeSpan.FromMilliseconds(50))));
            Assert.Equal(FailureReason.DeadlineExceeded, error.Reason);
        }
    }

    [Fact]
    public async Task A_watch_whose_store_was_too_slow_goes_on_where_it_was()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            WatchFeatures = async (request, stream, context, call) =>
            {
                await stream.WriteAsync(new V1.WatchFeaturesResponse { Type = Kind.Heartbeat, Sequence = request.HasAfterSequence ? request.AfterSequence : 5 });
                await Task.Delay(call == 1 ? 0 : Timeout.Infinite, context.CancellationToken);
                throw Script.Refusal(StatusCode.DeadlineExceeded, "STORE_TOO_SLOW");
            },
        });
        using var channel = Open(service);
        await using var client = On(channel);
        await using var changes = client.Features.WatchFeaturesAsync().GetAsyncEnumerator();

        Assert.True(await changes.MoveNextAsync());
        Assert.Equal(new FeatureChange.Reset(5), changes.Current);
        Assert.True(await changes.MoveNextAsync().AsTask().WaitAsync(Patience));
        Assert.Equal(new FeatureChange.Heartbeat(5), changes.Current);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(100_000)]
    public async Task A_route_that_the_server_does_not_read_is_sent_again(int points)
    {
        // One point waits for the answer, and so many wait to be sent.
        await using var service = await ScriptedService.StartAsync(new Script
        {
            RecordRoute = static async (stream, context, call) =>
            {
                var summary = new Proto.RouteSummary();
                await Task.Delay(call == 1 ? Timeout.Infinite : 0, context.CancellationToken);
                for (; await stream.MoveNext(context.CancellationToken); summary.PointCount++)
                {
                }

                return summary;
            },
        });
        using var channel = Open(service);
        await using var client = On(channel, static options => options with { StreamSilence = TimeSpan.FromSeconds(3) });

        Assert.Equal(points, (await client.RecordRouteAsync([.. Enumerable.Range(0, points).Select(At)])).Points);
        Assert.InRange(service.Script.Calls, 2, int.MaxValue);
    }

    [Fact]
    public async Task A_session_goes_on_after_a_store_that_was_too_slow_and_after_a_silence()
    {
        var chat = new ScriptedChat
        {
            OnPost = static (stream, post) =>
            {
                if (stream == 1)
                {
                    throw Script.Refusal(StatusCode.DeadlineExceeded, "STORE_TOO_SLOW");
                }
            },
        };
        var script = new Script
        {
            RouteChat = async (posts, notes, context, call) =>
            {
                if (call == 2)
                {
                    await Task.Delay(Timeout.Infinite, context.CancellationToken);
                }

                await chat.Script.RouteChat(posts, notes, context, call);
            },
        };
        await using var service = await ScriptedService.StartAsync(script);
        using var channel = Open(service);
        await using var client = On(channel, static options => options with { StreamSilence = TimeSpan.FromSeconds(1) });
        await using var session = await client.JoinChatAsync([Here]);

        Assert.Equal(1, (await session.PostAsync(Here, "x").WaitAsync(Patience)).Sequence);
        Assert.True(script.Calls >= 3);
    }

    private static GrpcChannel Open(ScriptedService service) =>
        GrpcChannel.ForAddress(service.Address, new GrpcChannelOptions { ThrowOperationCanceledOnCancellation = true });

    private static RouteServiceClient On(GrpcChannel channel, Func<RouteServiceClientOptions, RouteServiceClientOptions>? with = null)
    {
        var options = new RouteServiceClientOptions { Retry = new() { Delay = TimeSpan.FromMilliseconds(10) } };
        return new RouteServiceClient(channel, with?.Invoke(options) ?? options);
    }
}
