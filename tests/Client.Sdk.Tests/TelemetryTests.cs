using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Grpc.Core;
using static RouteService.Client.Tests.Places;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Tests;

/// <summary>Alone, for listeners are the whole process's.</summary>
[CollectionDefinition(nameof(TelemetryTests), DisableParallelization = true)]
[Collection(nameof(TelemetryTests))]
public sealed class TelemetryTests
{
    [Fact]
    public async Task Each_call_is_one_span_whose_context_is_the_servers_parent()
    {
        using var spans = new Spans();
        var servers = new ConcurrentDictionary<string, Activity>();
        await using var service = await ScriptedService.StartAsync(Answering(servers));
        using var caller = new Activity("the caller").Start();
        await using (var client = Connect(service.Address))
        {
            await client.GetFeatureAsync(Here);
            await ToListAsync(client.ListFeaturesAsync(BoundingBox.World));
            await client.RecordRouteAsync([Here]);
            await using var chat = await client.JoinChatAsync([Here]);
            await chat.CompleteAsync();
            await ToListAsync(chat);
        }

        foreach (var method in (string[])["GetFeature", "ListFeatures", "RecordRoute", "RouteChat"])
        {
            var span = Assert.Single(spans.Ended, span => span.OperationName == $"routeguide.RouteGuide/{method}");
            Assert.Equal((ActivityKind.Client, ActivityStatusCode.Unset), (span.Kind, span.Status));
            Assert.Equal(
                [
                    ("rpc.grpc.status_code", 0),
                    ("rpc.method", method),
                    ("rpc.service", "routeguide.RouteGuide"),
                    ("rpc.system", "grpc"),
                    ("server.address", "127.0.0.1"),
                    ("server.port", service.Port),
                ],
                span.TagObjects.Select(static tag => (tag.Key, tag.Value!)).OrderBy(static tag => tag.Key, StringComparer.Ordinal));
            Assert.Empty(span.Events);

            // A session outlives the call that it is joined in.
            Assert.Equal(method == "RouteChat" ? default : caller.SpanId, span.ParentSpanId);
            Assert.Equal((span.TraceId, span.SpanId), (servers[method].TraceId, servers[method].ParentSpanId));
        }

        Assert.Equal(4, spans.Ended.Count);
        Assert.Same(caller, Activity.Current);
    }

    [Fact]
    public async Task A_listing_that_is_left_early_leaves_the_span_that_its_reader_is_in()
    {
        using var spans = new Spans();
        await using var service = await ScriptedService.StartAsync(new Script { ListFeatures = static (stream, _, _) => stream.WriteAsync(Feature(1)) });
        await using var client = Connect(service.Address);
        using var caller = new Activity("the caller").Start();
        using var inner = new Activity("the reader's");

        await foreach (var feature in client.ListFeaturesAsync(BoundingBox.World))
        {
            inner.Start();
            break;
        }

        Assert.Same(inner, Activity.Current);
        Assert.Single(spans.Ended);
    }

    [Fact]
    public async Task Retries_are_events_and_a_failure_is_the_spans_status()
    {
        using var spans = new Spans();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static (_, _, _) => throw Script.Error(StatusCode.Unavailable, "out"),
            ListFeatures = static async (stream, _, call) =>
            {
                await stream.WriteAsync(Feature(1));
                throw Script.Error(call == 4 ? StatusCode.Unavailable : StatusCode.PermissionDenied);
            },
        });
        await using var client = Connect(service.Address, static options => options with { Retry = new() { MaxAttempts = 3, Delay = TimeSpan.FromMilliseconds(1) } });

        await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));
        await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(client.ListFeaturesAsync(BoundingBox.World)));
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        await Assert.ThrowsAsync<OperationCanceledException>(() => client.GetFeatureAsync(Here, cancellationToken: cancelled.Token));

        var (unary, listing, cancellation) = (spans.Ended[0], spans.Ended[1], spans.Ended[2]);
        Assert.Equal([("retry", "1 14"), ("retry", "2 14")], unary.Events.Select(Describe));
        Assert.Equal((ActivityStatusCode.Error, 14, "UNAVAILABLE"), (unary.Status, unary.GetTagItem("rpc.grpc.status_code"), unary.GetTagItem("error.type")));
        Assert.Contains("out", unary.StatusDescription);
        Assert.Equal([("retry", "1 14")], listing.Events.Select(Describe));
        Assert.Equal("PERMISSION_DENIED", listing.GetTagItem("error.type"));
        Assert.Equal(1, cancellation.GetTagItem("rpc.grpc.status_code"));

        static (string, string) Describe(ActivityEvent retry)
        {
            var tags = retry.Tags.ToDictionary(static tag => tag.Key, static tag => tag.Value);
            Assert.InRange((double)tags["rpc.retry.delay"]!, 0, 1);
            return (retry.Name, $"{tags["rpc.retry.attempt"]} {tags["rpc.grpc.status_code"]}");
        }
    }

    [Fact]
    public async Task Pauses_are_spread_up_to_a_bound_that_doubles()
    {
        using var spans = new Spans();
        await using var service = await ScriptedService.StartAsync(new Script { GetFeature = static (_, _, _) => throw Script.Error(StatusCode.Unavailable) });
        await using var client = Connect(service.Address, static options => options with
        {
            Retry = new() { MaxAttempts = 4, Delay = TimeSpan.FromMilliseconds(4), MaxDelay = TimeSpan.FromMilliseconds(12), Budget = 1_000 },
        });

        await Task.WhenAll(Enumerable.Range(0, 60).Select(_ => Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here))));

        // Of sixty in each place, one is in the upper half of its range: all but one time in 2^60.
        var pauses = spans.Ended.Select(static span => span.Events.Select(static retry => 1_000 * (double)retry.Tags.Single(static tag => tag.Key == "rpc.retry.delay").Value!).ToArray()).ToList();
        Assert.Equal(60, pauses.Count);
        foreach (var (retry, bound) in (ReadOnlySpan<(int, double)>)[(0, 4), (1, 8), (2, 12)])
        {
            Assert.InRange(pauses.Max(each => each[retry]), bound / 2, bound);
        }
    }

    [Fact]
    public async Task The_span_of_a_listing_lasts_until_its_end()
    {
        using var spans = new Spans();
        var received = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
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
            Assert.Empty(spans.Ended);
            received.SetResult();
            Assert.True(await listing.MoveNextAsync());
            Assert.False(await listing.MoveNextAsync());
        }

        Assert.Single(Assert.Single(spans.Ended).Events);
    }

    [Fact]
    public async Task A_hedge_is_an_event_of_the_same_span()
    {
        using var spans = new Spans();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static async (point, context, call) =>
            {
                await Task.Delay(call == 1 ? Timeout.Infinite : 0, context.CancellationToken);
                return new Proto.Feature { Name = "hedge", Location = point };
            },
        });
        await using var client = Connect(service.Address, static options => options with { Hedging = new() { Delay = TimeSpan.FromMilliseconds(20) } });

        await client.GetFeatureAsync(Here);

        var span = Assert.Single(spans.Ended);
        Assert.Equal((ActivityStatusCode.Unset, "hedge"), (span.Status, Assert.Single(span.Events).Name));
    }

    [Fact]
    public async Task The_duration_is_measured_by_labels_that_are_few()
    {
        using var listener = new MeterListener();
        var durations = new ConcurrentBag<(double Seconds, string Labels)>();
        long retries = 0;
        listener.InstrumentPublished = static (instrument, listener) =>
        {
            if (instrument.Meter.Name == RouteServiceTelemetry.MeterName)
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) =>
        {
            Assert.Equal(("rpc.client.call.duration", "s"), (instrument.Name, instrument.Unit));
            durations.Add((value, string.Join(' ', tags.ToArray().Select(static tag => $"{tag.Key}={tag.Value}").Order(StringComparer.Ordinal))));
        });
        listener.SetMeasurementEventCallback<long>((instrument, value, _, _) =>
        {
            Assert.Equal("routeservice.client.retries", instrument.Name);
            Interlocked.Add(ref retries, value);
        });
        listener.Start();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static async (point, _, _) =>
            {
                await Task.Delay(20);
                return point.Latitude == 0 ? throw Script.Error(StatusCode.InvalidArgument) : new Proto.Feature { Name = "here", Location = point };
            },
            ListFeatures = static async (stream, context, call) =>
            {
                await stream.WriteAsync(Feature(1));
                if (call == 52)
                {
                    Script.Reset(context);
                }
            },
        });
        await using var client = Connect(service.Address);

        // Whatever is asked for, the labels stay the same.
        await Task.WhenAll(Enumerable.Range(1, 50).Select(i => client.GetFeatureAsync(At(i))));
        await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(At(0)));
        await ToListAsync(client.ListFeaturesAsync(BoundingBox.World));

        var where = $"rpc.service=routeguide.RouteGuide rpc.system=grpc server.address=127.0.0.1 server.port={service.Port}";
        Assert.Equal(
            [
                ($"error.type=INVALID_ARGUMENT rpc.grpc.status_code=3 rpc.method=GetFeature {where}", 1),
                ($"rpc.grpc.status_code=0 rpc.method=GetFeature {where}", 50),
                ($"rpc.grpc.status_code=0 rpc.method=ListFeatures {where}", 1),
            ],
            durations.GroupBy(static one => one.Labels).Select(static one => (one.Key, one.Count())).OrderBy(static one => one.Key, StringComparer.Ordinal));
        Assert.All(durations.Where(static one => one.Labels.Contains("GetFeature", StringComparison.Ordinal)), static one => Assert.InRange(one.Seconds, 0.015, 60));
        Assert.Equal(1, retries);
    }

    [Fact]
    public async Task Without_a_listener_there_is_no_span_and_the_callers_own_is_sent_on()
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        var during = new List<Activity?>();
        await using var client = Connect(service.Address, options => options with
        {
            SendTokenWithoutTls = true,
            BearerToken = _ =>
            {
                during.Add(Activity.Current);
                return new("token");
            },
        });
        Activity.Current = null;

        await client.GetFeatureAsync(Here);
        await ToListAsync(client.ListFeaturesAsync(BoundingBox.World));

        Assert.Equal([null, null], during);
        Assert.All(service.Script.Requests, static request => Assert.DoesNotContain("traceparent", request.Keys));
        service.Script.Requests.Clear();

        using var caller = new Activity("the caller").Start();
        await client.GetFeatureAsync(Here);

        Assert.Same(caller, during[^1]);
        Assert.Equal(caller.Id, service.Script.Requests.Single()["traceparent"]);
    }

    /// <summary>A service that answers, and keeps its spans.</summary>
    private static Script Answering(ConcurrentDictionary<string, Activity> spans) => new()
    {
        GetFeature = (point, _, _) =>
        {
            spans["GetFeature"] = Activity.Current!;
            return Task.FromResult(new Proto.Feature { Name = "here", Location = point });
        },
        ListFeatures = async (stream, _, _) =>
        {
            spans["ListFeatures"] = Activity.Current!;
            await stream.WriteAsync(Feature(1));
        },
        RecordRoute = (points, context, call) =>
        {
            spans["RecordRoute"] = Activity.Current!;
            return new Script().RecordRoute(points, context, call);
        },
        RouteChat = async (requests, _, _, _) =>
        {
            spans["RouteChat"] = Activity.Current!;
            while (await requests.MoveNext(default))
            {
            }
        },
    };

    /// <summary>The SDK's spans, in the order in which they end. ASP.NET's are made too, for the scripted service.</summary>
    private sealed class Spans : IDisposable
    {
        private readonly ActivityListener _listener;
        private readonly ConcurrentQueue<Activity> _ended = new();

        public Spans()
        {
            _listener = new ActivityListener
            {
                ShouldListenTo = static source => source.Name is RouteServiceTelemetry.ActivitySourceName or "Microsoft.AspNetCore",
                Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
                ActivityStopped = span =>
                {
                    if (span.Source.Name == RouteServiceTelemetry.ActivitySourceName)
                    {
                        _ended.Enqueue(span);
                    }
                },
            };
            ActivitySource.AddActivityListener(_listener);
        }

        public IReadOnlyList<Activity> Ended => [.. _ended];

        public void Dispose() => _listener.Dispose();
    }
}
