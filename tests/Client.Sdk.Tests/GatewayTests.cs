using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Http.Features;
using static RouteService.Client.Tests.Places;
using Kind = RouteService.Contracts.V1.WatchFeaturesResponse.Types.Type;
using Proto = RouteService.Contracts.Routeguide;
using V1 = RouteService.Contracts.V1;

namespace RouteService.Client.Tests;

/// <summary>What gateways make of a server that they lose: responses without a status or that end within a message, and refused streams.</summary>
public sealed class GatewayTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_response_that_ends_without_a_status_is_a_break(bool isWithinMessage)
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = async (point, context, call) => await EndsAsync(context, call % 2 == 1) ? new Proto.Feature() : Feature(7),
            ListFeatures = async (features, context, call) =>
            {
                await features.WriteAsync(Feature(call));
                await EndsAsync(context, call % 2 == 1);
            },
            StreamFeatures = async (request, messages, context, call) =>
            {
                if (request.ResumeToken.Length == 0)
                {
                    await messages.WriteAsync(new V1.StreamFeaturesResponse { Features = { new V1.Feature { Location = new V1.Point() } }, ResumeToken = "next" });
                    await EndsAsync(context, isOver: true);
                }
            },
            WatchFeatures = async (request, changes, context, call) =>
            {
                await changes.WriteAsync(new V1.WatchFeaturesResponse { Type = Kind.Heartbeat, Sequence = request.AfterSequence + 1 });
                if (!await EndsAsync(context, call % 2 == 1))
                {
                    await Task.Delay(Timeout.Infinite, context.CancellationToken);
                }
            },
        });
        await using var client = Connect(service.Address);

        Assert.Equal("place 7", (await client.GetFeatureAsync(Here))?.Name);
        Assert.Equal(2, await client.ListFeaturesAsync(new BoundingBox(At(0), At(0))).CountAsync());
        Assert.Equal(1, await client.Features.StreamFeaturesAsync().CountAsync());
        Assert.Equal([1L, 2], await client.Features.WatchFeaturesAsync().Take(2).Select(static change => change.Sequence).ToListAsync());

        async Task<bool> EndsAsync(ServerCallContext context, bool isOver)
        {
            if (isOver)
            {
                var response = context.GetHttpContext().Response;
                if (isWithinMessage)
                {
                    await response.BodyWriter.WriteAsync(new byte[] { 0, 0, 0 });
                }

                // The service adds no status behind the end.
                response.HttpContext.Features.Set<IHttpResponseTrailersFeature>(null);
                await response.CompleteAsync();
            }

            return isOver;
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_stream_that_the_transport_sends_again_without_its_items_is_sent_again_with_them(bool comeOnce)
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ImportFeatures = static async (messages, context, call) =>
            {
                var answer = new V1.ImportFeaturesResponse();
                for (var number = 0; await messages.MoveNext(context.CancellationToken); number++)
                {
                    answer.ReadCount += number == 0 ? 0 : messages.Current.Batch.Features.Count;
                    answer.TotalCount += messages.Current.Options is null ? 0 : 1;
                }

                return answer.TotalCount == 1 ? answer : throw Script.Invalid("options");
            },
        });
        using var refusing = new RefusingOnce();
        using var channel = GrpcChannel.ForAddress(service.Address, new GrpcChannelOptions { HttpHandler = refusing });
        await using var client = new RouteServiceClient(channel, new RouteServiceClientOptions { Retry = new() { Delay = TimeSpan.FromMilliseconds(10) } });
        Coordinate[] points = [.. Enumerable.Range(0, 300).Select(At)];
        CatalogFeature[] features = [.. points.Select(static point => new CatalogFeature(point, "a"))];

        refusing.Arm();
        var summary = comeOnce ? await client.RecordRouteAsync(points.ToAsyncEnumerable()) : await client.RecordRouteAsync(points);
        refusing.Arm();
        var import = comeOnce
            ? await client.Features.ImportFeaturesAsync(features.ToAsyncEnumerable())
            : await client.Features.ImportFeaturesAsync(features);

        Assert.Equal((300, 300), (summary.Points, import.Read));
        Assert.Equal(2, refusing.Refused);
    }

    [Fact]
    public async Task Behind_HAProxy_a_service_that_is_killed_ends_no_route_and_no_watch()
    {
        await using var service = new RunningService();
        var door = FreePort.Next();
        service.Settings["RouteService__Grpc__Port"] = $"{door}";
        await service.InitializeAsync();
        await using var haproxy = await HAProxy.StartAsync(service.Folder, "proto h2", door);
        await using var client = Connect($"http://127.0.0.1:{haproxy.Port}", static options => options with { Timeout = TimeSpan.FromMinutes(1) });
        await using var changes = client.Features.WatchFeaturesAsync().GetAsyncEnumerator();
        Assert.True(await changes.MoveNextAsync());

        var summary = await client.RecordRouteAsync(PointsAsync());
        Assert.Equal(300, summary.Points);

        await client.Features.PutFeatureAsync(Here, "after");
        do
        {
            Assert.True(await changes.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(2)));
        }
        while (changes.Current is not FeatureChange.Written { Feature.Name: "after" });

        async IAsyncEnumerable<Coordinate> PointsAsync()
        {
            for (var i = 0; i < 300; i++)
            {
                if (i == 150)
                {
                    service.Send(RunningService.SigKill);
                    await service.WaitForExitAsync();
                    await service.InitializeAsync();
                }

                yield return At(i);
            }
        }
    }

    /// <summary>As .NET's handler when a gateway refuses a stream: the content goes to a stream that fails, and then once more.</summary>
    private sealed class RefusingOnce() : DelegatingHandler(new SocketsHttpHandler())
    {
        private int _armed;

        public int Refused { get; private set; }

        public void Arm() => Volatile.Write(ref _armed, 1);

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (Interlocked.Exchange(ref _armed, 0) == 1)
            {
                var stream = new Refused();
                _ = request.Content!.CopyToAsync(stream, CancellationToken.None);
                await stream.Written;
                Refused++;
            }

            return await base.SendAsync(request, cancellationToken);
        }
    }

    private sealed class Refused : MemoryStream
    {
        private readonly TaskCompletionSource _written = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Written => _written.Task;

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
        {
            _written.TrySetResult();
            throw new IOException("The stream was refused.");
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            new(WriteAsync([], 0, 0, cancellationToken));
    }
}
