using System.Diagnostics;
using System.Globalization;
using Google.Rpc;
using Grpc.Core;
using Grpc.Health.V1;
using RouteService.Contracts.Routeguide;

namespace RouteService.Operations.Tests;

public sealed class LimitTests : ServiceTest
{
    [Fact]
    public async Task Who_calls_too_often_is_told_when_to_call_again()
    {
        Service.Settings["RouteService__Limits__CallsPerSecond"] = "2";
        Service.Settings["RouteService__Limits__CallBurst"] = "5";
        await StartAsync();
        var channel = Connect();

        var calls = await Task.WhenAll(Enumerable.Range(0, 30).Select(async _ => await TryAsync(channel)));

        var refused = calls.OfType<RpcException>().ToList();
        Assert.InRange(calls.Length - refused.Count, 5, 15);
        Assert.All(refused, static refusal =>
        {
            Assert.Equal(StatusCode.ResourceExhausted, refusal.StatusCode);
            var pushback = int.Parse(refusal.Trailers.GetValue("grpc-retry-pushback-ms")!, CultureInfo.InvariantCulture);
            Assert.InRange(pushback, 1, 60_000);
            var details = Google.Rpc.Status.Parser.ParseFrom(refusal.Trailers.GetValueBytes("grpc-status-details-bin"));
            Assert.Equal(pushback, Math.Ceiling(Assert.Single(details.Details).Unpack<RetryInfo>().RetryDelay.ToTimeSpan().TotalMilliseconds));
        });

        for (var i = 0; i < 20; i++)
        {
            await new Health.HealthClient(channel).CheckAsync(new HealthCheckRequest(), deadline: Soon);
        }

        // Who obeys gets in.
        await Task.Delay(int.Parse(refused[0].Trailers.GetValue("grpc-retry-pushback-ms")!, CultureInfo.InvariantCulture) + 1_000);
        await HelloAsync(channel);
    }

    [Fact]
    public async Task A_route_has_no_more_points_than_it_may()
    {
        Service.Settings["RouteService__Limits__MaxRoutePoints"] = "3";
        await StartAsync();

        Assert.Equal(3, (await RouteAsync(3)).PointCount);
        var refusal = await RefusalAsync(StatusCode.ResourceExhausted, RouteAsync(4));
        Assert.Equal("A route has at most 3 points here; begin another.", refusal.Status.Detail);
    }

    [Fact]
    public async Task A_route_of_a_million_points_takes_no_memory_and_holds_nobody_up()
    {
        await StartAsync();
        await RouteAsync(20_000);
        var before = Resident();

        var route = RouteAsync(1_000_000);
        var calls = 0;
        while (!route.IsCompleted)
        {
            await HelloAsync(Connect());
            calls++;
        }

        Assert.Equal(1_000_000, (await route).PointCount);
        Assert.True(calls > 0);
        Assert.True(Resident() < before + (64 << 20), $"{before} bytes before, {Resident()} after");
    }

    private long Resident()
    {
        using var process = Process.GetProcessById(Service.ProcessId);
        return process.WorkingSet64;
    }

    private async Task<RouteSummary> RouteAsync(int points)
    {
        using var call = new RouteGuide.RouteGuideClient(Connect()).RecordRoute(deadline: Soon);
        try
        {
            var point = new Point();
            for (var i = 0; i < points; i++)
            {
                point.Latitude = i;
                await call.RequestStream.WriteAsync(point);
            }

            await call.RequestStream.CompleteAsync();
        }
        catch (Exception e) when (e is RpcException or InvalidOperationException)
        {
            // The call has ended under the writer; its answer says why.
        }

        return await call;
    }

    private static async Task<RpcException?> TryAsync(Grpc.Net.Client.GrpcChannel channel)
    {
        try
        {
            await HelloAsync(channel);
            return null;
        }
        catch (RpcException e)
        {
            return e;
        }
    }
}
