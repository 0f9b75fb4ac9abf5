using Grpc.Core;
using Grpc.Health.V1;
using RouteService.Domain.Features;
using ServingStatus = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace RouteService.Api.Tests;

public sealed class HealthTests
{
    [Fact]
    public async Task RouteGuide_serves_while_the_store_answers_and_the_greeters_always()
    {
        await using var service = Service.Start();
        var health = new Health.HealthClient(service.Channel);

        Assert.Equal(
            (ServingStatus.Serving, ServingStatus.Serving, ServingStatus.Serving),
            (await CheckAsync(""), await CheckAsync("routeguide.RouteGuide"), await CheckAsync("helloworld.Greeter")));
        service.Store.Failure = new StoreUnavailableException("down");
        Assert.Equal(
            (ServingStatus.NotServing, ServingStatus.NotServing, ServingStatus.Serving),
            (await CheckAsync(""), await CheckAsync("routeguide.RouteGuide"), await CheckAsync("helloworld.Greeter")));

        async Task<ServingStatus> CheckAsync(string name) => (await health.CheckAsync(new HealthCheckRequest { Service = name })).Status;
    }

    [Fact]
    public async Task A_service_that_is_not_known_is_NOT_FOUND()
    {
        await using var service = Service.Start();

        var end = await Assert.ThrowsAsync<RpcException>(
            async () => await new Health.HealthClient(service.Channel).CheckAsync(new HealthCheckRequest { Service = "nobody" }));

        Assert.Equal(StatusCode.NotFound, end.StatusCode);
    }

    [Fact]
    public async Task A_watch_of_a_service_that_is_not_known_says_so_and_stays()
    {
        await using var service = Service.Start();
        using var watch = new Health.HealthClient(service.Channel).Watch(new HealthCheckRequest { Service = "nobody" });

        Assert.True(await watch.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(ServingStatus.ServiceUnknown, watch.ResponseStream.Current.Status);
    }

    [Fact]
    public async Task A_watch_sees_the_service_stop()
    {
        await using var service = Service.Start();
        using var watch = new Health.HealthClient(service.Channel).Watch(new HealthCheckRequest());
        Assert.True(await watch.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(ServingStatus.Serving, watch.ResponseStream.Current.Status);

        var stopping = service.StopAsync();

        Assert.True(await watch.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(ServingStatus.NotServing, watch.ResponseStream.Current.Status);
        Assert.False(await watch.ResponseStream.MoveNext(CancellationToken.None));
        await stopping;
    }
}
