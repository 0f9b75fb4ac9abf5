using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Grpc.Core;
using static RouteService.Client.Tests.Places;

namespace RouteService.Client.Tests;

/// <summary>What is told of calls. Each test looks at the spans below one of its own, as others run at the same time.</summary>
public sealed class TelemetryTests : IDisposable
{
    private const string TestSource = "RouteService.Client.Tests";

    private static readonly ActivitySource Source = new(TestSource);

    private readonly ConcurrentQueue<Activity> _spans = [];
    private readonly ActivityListener _listener;
    private readonly Activity _test;

    public TelemetryTests()
    {
        _listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name is RouteServiceTelemetry.ActivitySourceName or TestSource,
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = _spans.Enqueue,
        };
        ActivitySource.AddActivityListener(_listener);
        _test = Source.StartActivity("test")!;
    }

    private IEnumerable<Activity> Spans => _spans.Where(span => span.TraceId == _test.TraceId && span.Source.Name == RouteServiceTelemetry.ActivitySourceName);

    public void Dispose()
    {
        _test.Dispose();
        _listener.Dispose();
    }

    [Fact]
    public async Task A_call_is_one_span_with_its_retries_as_events_and_the_service_is_told_of_it()
    {
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static (point, _, call) => call < 3 ? throw Script.Error(StatusCode.Unavailable) : Task.FromResult(Feature(1)),
        });
        await using var client = Connect(service.Address);

        await client.GetFeatureAsync(Here);

        var span = Assert.Single(Spans);
        Assert.Equal(("routeguide.RouteGuide/GetFeature", ActivityKind.Client, ActivityStatusCode.Unset, _test.SpanId), (span.DisplayName, span.Kind, span.Status, span.ParentSpanId));
        Assert.Equal(
            ["rpc.grpc.status_code=0", "rpc.method=GetFeature", "rpc.service=routeguide.RouteGuide", "rpc.system=grpc", "server.address=127.0.0.1", $"server.port={service.Port}"],
            span.TagObjects.Select(static tag => $"{tag.Key}={tag.Value}").Order(StringComparer.Ordinal));
        Assert.Equal(["retry 1 14", "retry 2 14"], span.Events.Select(static retry =>
            $"{retry.Name} {retry.Tags.Single(static tag => tag.Key == "rpc.retry.attempt").Value} {retry.Tags.Single(static tag => tag.Key == "rpc.grpc.status_code").Value}"));
        Assert.Equal(3, service.Script.Requests.Count);
        Assert.All(service.Script.Requests, request =>
        {
            // traceparent: version, trace, the span that sends, flags (W3C Trace Context, 3.2).
            var parts = request["traceparent"].Split('-');
            Assert.Equal($"{span.TraceId}", parts[1]);
        });
    }

    [Fact]
    public async Task What_fails_is_an_error_of_its_span()
    {
        await using var service = await ScriptedService.StartAsync(new Script { GetFeature = static (_, _, _) => throw Script.Error(StatusCode.PermissionDenied, "not you") });
        await using var client = Connect(service.Address);

        await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));

        var span = Assert.Single(Spans);
        Assert.Equal((ActivityStatusCode.Error, 7, "PERMISSION_DENIED"), (span.Status, span.GetTagItem("rpc.grpc.status_code"), span.GetTagItem("error.type")));
        Assert.Contains("not you", span.StatusDescription);
    }

    [Fact]
    public async Task The_span_of_a_listing_lasts_until_its_end()
    {
        var received = new TaskCompletionSource();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            ListFeatures = async (stream, context, call) =>
            {
                await stream.WriteAsync(Feature(call));
                if (call == 1)
                {
                    await received.Task;
                    Script.Reset(context);
                }
            },
        });
        await using var client = Connect(service.Address);

        await using (var listing = client.ListFeaturesAsync(BoundingBox.World).GetAsyncEnumerator())
        {
            Assert.True(await listing.MoveNextAsync());
            Assert.Empty(Spans);
            received.SetResult();
            Assert.True(await listing.MoveNextAsync());
            Assert.False(await listing.MoveNextAsync());
        }

        var span = Assert.Single(Spans);
        Assert.Equal("routeguide.RouteGuide/ListFeatures", span.DisplayName);
        Assert.Single(span.Events);
    }

    [Fact]
    public async Task Calls_are_measured_with_few_labels()
    {
        var measured = new ConcurrentQueue<(double Seconds, string Tags)>();
        var retries = 0L;
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static (point, _, call) => call == 1 ? throw Script.Error(StatusCode.Unavailable) : Task.FromResult(Feature(1)),
            RecordRoute = static (_, _, _) => throw Script.Error(StatusCode.Internal),
        });
        using var meters = new MeterListener
        {
            InstrumentPublished = static (instrument, listener) =>
            {
                if (instrument.Meter.Name == RouteServiceTelemetry.MeterName)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        meters.SetMeasurementEventCallback<double>((instrument, value, tags, _) =>
        {
            var text = string.Join(' ', tags.ToArray().Select(static tag => $"{tag.Key}={tag.Value}"));
            if (instrument.Name == "rpc.client.call.duration" && instrument.Unit == "s" && text.Contains($"server.port={service.Port}", StringComparison.Ordinal))
            {
                measured.Enqueue((value, text));
            }
        });
        meters.SetMeasurementEventCallback<long>((instrument, value, _, _) => Interlocked.Add(ref retries, instrument.Name == "routeservice.client.retries" ? value : 0));
        meters.Start();
        await using var client = Connect(service.Address);

        await client.GetFeatureAsync(Here);
        await Assert.ThrowsAsync<RouteServiceException>(() => client.RecordRouteAsync([Here]));

        var server = $"server.address=127.0.0.1 server.port={service.Port}";
        Assert.Equal(
            [
                $"rpc.system=grpc rpc.service=routeguide.RouteGuide rpc.method=GetFeature rpc.grpc.status_code=0 {server}",
                $"rpc.system=grpc rpc.service=routeguide.RouteGuide rpc.method=RecordRoute rpc.grpc.status_code=13 {server} error.type=INTERNAL",
            ],
            measured.Select(static each => each.Tags));
        Assert.All(measured, static each => Assert.InRange(each.Seconds, double.Epsilon, 60));
        Assert.True(Interlocked.Read(ref retries) >= 1);
    }
}
