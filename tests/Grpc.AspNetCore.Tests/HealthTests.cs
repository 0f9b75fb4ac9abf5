using Grpc.AspNetCore.HealthChecks;
using Grpc.Core;
using Grpc.Health.V1;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using ServingStatus = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace Grpc.AspNetCore.Tests;

/// <summary>grpc.health.v1 over .NET's health checks.</summary>
public sealed class HealthTests : IAsyncLifetime
{
    private readonly HashSet<string> _sick = [];
    private EchoServer _server = null!;

    private Health.V1.Health.HealthClient Health => new(_server.Channel);

    public async ValueTask InitializeAsync() => _server = await EchoServer.StartAsync(
        services: services =>
        {
            services.AddGrpcHealthChecks(options =>
            {
                options.Services.Map("with.Store", check => check.Tags.Contains("store"));
                options.Services.Map("with.Nothing", _ => false);
            })
                .AddCheck("store", () => _sick.Contains("throws") ? throw new IOException() : new HealthCheckResult(Status("store")), ["store"])
                .AddCheck("queue", () => new HealthCheckResult(Status("queue")));

            // The test says when the periodic checks are due.
            services.Configure<HealthCheckPublisherOptions>(options => options.Delay = TimeSpan.FromDays(1));

            HealthStatus Status(string name) => _sick.Contains(name) ? HealthStatus.Unhealthy : _sick.Contains($"{name} a little") ? HealthStatus.Degraded : HealthStatus.Healthy;
        },
        map: app => app.MapGrpcHealthChecksService());

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData("", true, true)]
    [InlineData("queue", false, true)]
    [InlineData("store", false, false)]
    [InlineData("throws", false, false)]
    [InlineData("store a little", true, true)]
    public async Task A_service_is_as_well_as_the_checks_behind_it(string sick, bool overallServes, bool withStoreServes)
    {
        var overall = overallServes ? ServingStatus.Serving : ServingStatus.NotServing;
        var withStore = withStoreServes ? ServingStatus.Serving : ServingStatus.NotServing;
        _sick.Add(sick);

        Assert.Equal((overall, withStore, ServingStatus.Serving), (await CheckAsync(""), await CheckAsync("with.Store"), await CheckAsync("with.Nothing")));
        var list = (await Health.ListAsync(new HealthListRequest())).Statuses.OrderBy(one => one.Key).Select(one => (one.Key, one.Value.Status));
        Assert.Equal([("", overall), ("with.Nothing", ServingStatus.Serving), ("with.Store", withStore)], list);
    }

    [Fact]
    public async Task A_check_of_an_unknown_service_is_NOT_FOUND()
    {
        var end = await Assert.ThrowsAsync<RpcException>(() => CheckAsync("nobody"));

        Assert.Equal((StatusCode.NotFound, "There is no service 'nobody' here."), (end.StatusCode, end.Status.Detail));
    }

    [Fact]
    public async Task More_services_than_a_list_holds_are_RESOURCE_EXHAUSTED()
    {
        for (var i = 0; i < 100; i++)
        {
            Options.Services.Map($"one.of.{i}", _ => true);
        }

        var end = await Assert.ThrowsAsync<RpcException>(async () => await Health.ListAsync(new HealthListRequest()));

        Assert.Equal(StatusCode.ResourceExhausted, end.StatusCode);
    }

    [Fact]
    public async Task A_watch_tells_the_state_and_then_each_change_once()
    {
        using var watch = Health.Watch(new HealthCheckRequest { Service = "with.Store" });
        Assert.Equal(ServingStatus.Serving, await NextAsync(watch));

        await PublishAsync();
        _sick.Add("queue");
        await PublishAsync();
        _sick.Add("store");
        await PublishAsync();
        Assert.Equal(ServingStatus.NotServing, await NextAsync(watch));

        _sick.Clear();
        await PublishAsync();
        Assert.Equal(ServingStatus.Serving, await NextAsync(watch));
    }

    [Fact]
    public async Task A_watch_of_an_unknown_service_waits_for_it()
    {
        using var watch = Health.Watch(new HealthCheckRequest { Service = "to.come" });
        Assert.Equal(ServingStatus.ServiceUnknown, await NextAsync(watch));

        Options.Services.Map("to.come", _ => true);
        await PublishAsync();

        Assert.Equal(ServingStatus.Serving, await NextAsync(watch));
    }

    [Fact]
    public async Task When_the_server_stops_all_are_NOT_SERVING_and_watches_end()
    {
        using var watch = Health.Watch(new HealthCheckRequest { Service = "with.Nothing" });
        using var unknown = Health.Watch(new HealthCheckRequest { Service = "nobody" });
        Assert.Equal((ServingStatus.Serving, ServingStatus.ServiceUnknown), (await NextAsync(watch), await NextAsync(unknown)));

        var stopping = _server.StopAsync();

        Assert.Equal(ServingStatus.NotServing, await NextAsync(watch));
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => watch.ResponseStream.MoveNext(default))).StatusCode);
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => unknown.ResponseStream.MoveNext(default))).StatusCode);
        await stopping;
    }

    private GrpcHealthChecksOptions Options => _server.Services.GetRequiredService<IOptions<GrpcHealthChecksOptions>>().Value;

    private async Task<ServingStatus> CheckAsync(string service) => (await Health.CheckAsync(new HealthCheckRequest { Service = service })).Status;

    private static async Task<ServingStatus> NextAsync(AsyncServerStreamingCall<HealthCheckResponse> watch)
    {
        Assert.True(await watch.ResponseStream.MoveNext(default).WaitAsync(TimeSpan.FromMinutes(1)));
        return watch.ResponseStream.Current.Status;
    }

    /// <summary>The periodic checks run.</summary>
    private async Task PublishAsync()
    {
        var report = await _server.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        foreach (var publisher in _server.Services.GetServices<IHealthCheckPublisher>())
        {
            await publisher.PublishAsync(report, default);
        }
    }
}
