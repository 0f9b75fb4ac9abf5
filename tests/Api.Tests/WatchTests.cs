using Grpc.Core;
using RouteService.Contracts.V1;
using RouteService.Domain.Watch;
using Change = RouteService.Contracts.V1.WatchFeaturesResponse.Types.Type;
using FeaturesClient = RouteService.Contracts.V1.Features.FeaturesClient;

namespace RouteService.Api.Tests;

/// <summary>WatchFeatures over the wire, on the embedded store.</summary>
public sealed class WatchTests : IAsyncDisposable
{
    private const string Here = "features/10,20";
    private const string Elsewhere = "features/300000000,20";

    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-test-").FullName;
    private readonly List<Service> _services = [];

    public async ValueTask DisposeAsync()
    {
        foreach (var service in _services)
        {
            await service.DisposeAsync();
        }

        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_feature_is_created_changed_and_deleted_before_the_eyes_of_a_watch()
    {
        var features = Start();
        using var watch = features.WatchFeatures(new WatchFeaturesRequest());
        var first = await NextAsync(watch);
        Assert.Equal((Change.Heartbeat, null), (first.Type, first.Feature));

        var created = await features.CreateFeatureAsync(new CreateFeatureRequest { Feature = new Feature { Name = Here, DisplayName = "a" } });
        Assert.Equal(new WatchFeaturesResponse { Type = Change.Created, Feature = created, Sequence = first.Sequence + 1 }, await NextAsync(watch));
        var updated = await features.UpdateFeatureAsync(new UpdateFeatureRequest { Feature = new Feature { Name = Here, DisplayName = "b" } });
        Assert.Equal(new WatchFeaturesResponse { Type = Change.Updated, Feature = updated, Sequence = first.Sequence + 2 }, await NextAsync(watch));
        await features.DeleteFeatureAsync(new DeleteFeatureRequest { Name = Here });
        var deleted = new Feature { Name = Here, Location = created.Location };
        Assert.Equal(new WatchFeaturesResponse { Type = Change.Deleted, Feature = deleted, Sequence = first.Sequence + 3 }, await NextAsync(watch));
    }

    [Theory]
    [InlineData("box")]
    [InlineData("circle")]
    [InlineData("polygon")]
    public async Task A_watch_of_an_area_has_what_is_in_it(string shape)
    {
        var features = Start();
        using var watch = features.WatchFeatures(new WatchFeaturesRequest { Area = AreaOf(shape) });
        await NextAsync(watch);

        foreach (var name in (string[])[Elsewhere, "features/2000,20", Here])
        {
            await features.CreateFeatureAsync(new CreateFeatureRequest { Feature = new Feature { Name = name } });
        }

        Assert.Equal(Here, (await NextAsync(watch)).Feature.Name);
    }

    [Fact]
    public async Task A_watch_goes_on_after_a_sequence_also_of_a_service_that_has_started_again()
    {
        var features = Start();
        using var watch = features.WatchFeatures(new WatchFeaturesRequest());
        var begin = (await NextAsync(watch)).Sequence;
        await features.CreateFeatureAsync(new CreateFeatureRequest { Feature = new Feature { Name = Here } });
        await features.CreateFeatureAsync(new CreateFeatureRequest { Feature = new Feature { Name = Elsewhere } });
        await _services[0].DisposeAsync();
        _services.Clear();

        features = Start();
        using var resumed = features.WatchFeatures(new WatchFeaturesRequest { AfterSequence = begin + 1 });

        Assert.Equal((Change.Heartbeat, begin + 1), await KindAsync(resumed));
        Assert.Equal((Change.Created, begin + 2), await KindAsync(resumed));
    }

    [Fact]
    public async Task A_watch_after_zero_has_all_that_the_log_has()
    {
        var features = Start();
        using var begin = features.WatchFeatures(new WatchFeaturesRequest());
        var before = (await NextAsync(begin)).Sequence;
        await features.CreateFeatureAsync(new CreateFeatureRequest { Feature = new Feature { Name = Here } });

        using var watch = features.WatchFeatures(new WatchFeaturesRequest { AfterSequence = 0 });

        Assert.Equal((Change.Heartbeat, 0), await KindAsync(watch));
        (Change Type, long Sequence) last;
        do
        {
            last = await KindAsync(watch);
        }
        while (last.Sequence <= before);
        Assert.Equal((Change.Created, before + 1), last);
    }

    [Fact]
    public async Task A_sequence_that_the_log_does_not_have_yet_and_a_wrong_area_are_refused_with_the_field()
    {
        var features = Start();
        foreach (var (field, request) in new (string, WatchFeaturesRequest)[]
        {
            ("after_sequence", new WatchFeaturesRequest { AfterSequence = 1_000_000 }),
            ("after_sequence", new WatchFeaturesRequest { AfterSequence = -1 }),
            ("area", new WatchFeaturesRequest { Area = new Area() }),
            ("area.circle.center", new WatchFeaturesRequest { Area = new Area { Circle = new Circle() } }),
        })
        {
            using var watch = features.WatchFeatures(request);
            var error = await Assert.ThrowsAsync<RpcException>(() => NextAsync(watch));
            Assert.Equal(StatusCode.InvalidArgument, error.StatusCode);
            Assert.Equal(field, error.GetRpcStatus()!.GetDetail<Google.Rpc.BadRequest>().FieldViolations[0].Field);
        }
    }

    [Fact]
    public async Task A_client_has_as_many_watches_as_it_may_and_room_again_when_one_ends()
    {
        var features = Start(new WatchOptions { MaxWatchesPerClient = 2 });
        using var first = features.WatchFeatures(new WatchFeaturesRequest());
        using var second = features.WatchFeatures(new WatchFeaturesRequest());
        await NextAsync(first);
        await NextAsync(second);

        using var third = features.WatchFeatures(new WatchFeaturesRequest());
        var error = await Assert.ThrowsAsync<RpcException>(() => NextAsync(third));
        Assert.Equal(StatusCode.ResourceExhausted, error.StatusCode);
        Assert.Equal("WATCHES_PER_CLIENT", error.GetRpcStatus()!.GetDetail<Google.Rpc.ErrorInfo>().Reason);

        first.Dispose();
        while (true)
        {
            using var another = features.WatchFeatures(new WatchFeaturesRequest());
            try
            {
                await NextAsync(another);
                return;
            }
            catch (RpcException e) when (e.StatusCode is StatusCode.ResourceExhausted)
            {
                // The service has not heard of the end yet.
            }
        }
    }

    [Fact]
    public async Task A_watch_ends_with_its_deadline_and_with_the_service()
    {
        var features = Start();
        using var late = features.WatchFeatures(new WatchFeaturesRequest(), deadline: DateTime.UtcNow.AddSeconds(1));
        using var watch = features.WatchFeatures(new WatchFeaturesRequest());
        await NextAsync(watch);

        var error = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            while (await late.ResponseStream.MoveNext())
            {
            }
        });
        Assert.Equal(StatusCode.DeadlineExceeded, error.StatusCode);
        await _services[0].StopAsync();
        error = await Assert.ThrowsAsync<RpcException>(() => NextAsync(watch));
        Assert.Equal((StatusCode.Unavailable, "The service is shutting down; call again, and another replica answers."), (error.StatusCode, error.Status.Detail));
    }

    private static Area AreaOf(string shape)
    {
        static Point At(int latitude, int longitude) => new() { LatitudeE7 = latitude, LongitudeE7 = longitude };
        return shape switch
        {
            "box" => new Area { Box = new Box { Low = At(0, 0), High = At(1_000, 1_000) } },
            "circle" => new Area { Circle = new Circle { Center = At(0, 0), RadiusMeters = 5 } },
            _ => new Area
            {
                Polygon = new Polygon { Rings = { new Polygon.Types.Ring { Points = { At(0, 0), At(0, 1_000), At(1_000, 0), At(0, 0) } } } },
            },
        };
    }

    private static async Task<WatchFeaturesResponse> NextAsync(AsyncServerStreamingCall<WatchFeaturesResponse> watch)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        Assert.True(await watch.ResponseStream.MoveNext(patience.Token));
        return watch.ResponseStream.Current;
    }

    private static async Task<(Change Type, long Sequence)> KindAsync(AsyncServerStreamingCall<WatchFeaturesResponse> watch)
    {
        var message = await NextAsync(watch);
        return (message.Type, message.Sequence);
    }

    private FeaturesClient Start(WatchOptions? options = null)
    {
        _services.Add(Service.StartEmbedded(_folder, options));
        return new FeaturesClient(_services[^1].Channel);
    }
}
