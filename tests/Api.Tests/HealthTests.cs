using Grpc.Core;
using Grpc.Health.V1;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using RouteService.Api.Hosting;
using RouteService.Domain.Features;
using RouteService.Domain.Tests;
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
    public async Task The_metric_of_readiness_is_about_reads_alone()
    {
        using var meters = new RecordedMeters();
        var metrics = new StateMetrics(meters, []);

        await metrics.PublishAsync(Report(reads: HealthStatus.Healthy, writes: HealthStatus.Unhealthy), default);
        Assert.Equal(1, meters.Last("routeservice.ready"));
        await metrics.PublishAsync(Report(reads: HealthStatus.Unhealthy, writes: HealthStatus.Healthy), default);
        Assert.Equal(0, meters.Last("routeservice.ready"));

        static HealthReport Report(HealthStatus reads, HealthStatus writes) => new(
            new Dictionary<string, HealthReportEntry> { ["reads"] = Entry(reads, HealthEndpoints.Ready), ["writes"] = Entry(writes, HealthEndpoints.Writes) },
            TimeSpan.Zero);

        static HealthReportEntry Entry(HealthStatus status, string tag) => new(status, null, TimeSpan.Zero, null, null, [tag]);
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
