using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using Google.Protobuf.Collections;
using Grpc.Core;
using RouteService.Contracts.Routeguide;
using RouteService.Operations.Tests.Otlp;
using Point = RouteService.Contracts.Routeguide.Point;

namespace RouteService.Operations.Tests;

public sealed partial class TelemetryTests : ServiceTest
{
    private const int Server = 2;
    private const int Error = 2;

    [Theory]
    [InlineData("grpc")]
    [InlineData("http/protobuf")]
    public async Task One_trace_leads_from_the_caller_to_the_statement(string protocol)
    {
        await using var collector = await ExportAsync(protocol);
        await using var database = await OnPostgresAsync();
        await StartAsync();
        var caller = new ActivityContext(ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), ActivityTraceFlags.Recorded);

        await FeatureAsync(Connect(), Parent(caller));

        var statement = await Collector.ShouldComeAsync(() => collector.Spans.FirstOrDefault(span => Has(span.Attributes, "db.system.name", "postgresql") && IsIn(span, caller)), "span of SQL");
        var lookUp = await Collector.ShouldComeAsync(() => collector.Spans.FirstOrDefault(span => span.Name == "look up" && IsIn(span, caller)), "span of the look-up");
        var server = await Collector.ShouldComeAsync(() => collector.Spans.FirstOrDefault(span => span.Kind == Server && IsIn(span, caller)), "span of the server");
        Assert.Equal(lookUp.SpanId, statement.ParentSpanId);
        Assert.Equal(server.SpanId, lookUp.ParentSpanId);
        Assert.Equal(caller.SpanId.ToHexString(), Convert.ToHexStringLower(server.ParentSpanId.Span));
        Assert.Equal("routeguide.RouteGuide/GetFeature", server.Name);
        Assert.True(Has(server.Attributes, "rpc.system", "grpc"));
        Assert.True(Has(server.Attributes, "rpc.service", "routeguide.RouteGuide"));
        Assert.True(Has(server.Attributes, "rpc.method", "GetFeature"));
        Assert.True(Has(server.Attributes, "rpc.grpc.status_code", 0));
        Assert.NotEqual(Error, server.Status?.Code ?? 0);
        Assert.All(collector.Resources, static resource => Assert.Contains("service.name=route-service;service.version=0.1.0", resource));
    }

    [Fact]
    public async Task A_clients_fault_is_no_error_of_the_servers_span()
    {
        await using var collector = await ExportAsync("grpc");
        await StartAsync();
        var channel = Connect();
        var guide = new RouteGuide.RouteGuideClient(channel);

        var (invalid, unknown, cancelled) = (Caller(), Caller(), Caller());
        await RefusalAsync(StatusCode.InvalidArgument, guide.GetFeatureAsync(new Point { Latitude = int.MaxValue }, Parent(invalid), Soon).ResponseAsync);
        var method = new Method<Point, Point>(
            MethodType.Unary, "made.up.Service", "Method", Marshallers.Create(static _ => [], static _ => new Point()), Marshallers.Create(static _ => [], static _ => new Point()));
        await RefusalAsync(
            StatusCode.Unimplemented, channel.CreateCallInvoker().AsyncUnaryCall(method, null, new CallOptions(Parent(unknown), Soon), new Point()).ResponseAsync);
        using (var chat = guide.RouteChat(Parent(cancelled)))
        {
            await chat.RequestStream.WriteAsync(new RouteNote { Location = new Point(), Message = "x" });
            await chat.RequestStream.WriteAsync(new RouteNote { Location = new Point(), Message = "y" });
            Assert.True(await chat.ResponseStream.MoveNext(CancellationToken.None));
        }

        Assert.Equal((3, 0, "routeguide.RouteGuide/GetFeature"), await SpanAsync(invalid));
        Assert.Equal((12, Error, "_OTHER"), await SpanAsync(unknown));
        Assert.Equal((1, 0, "routeguide.RouteGuide/RouteChat"), await SpanAsync(cancelled));

        async Task<(long Code, int Status, string Name)> SpanAsync(ActivityContext caller)
        {
            var span = await Collector.ShouldComeAsync(() => collector.Spans.FirstOrDefault(span => IsIn(span, caller)), "span of the server");
            return (span.Attributes.Single(static one => one.Key == "rpc.grpc.status_code").Value.IntValue, span.Status?.Code ?? 0, span.Name);
        }
    }

    [Fact]
    public async Task Calls_chat_look_ups_and_the_process_are_counted()
    {
        await using var collector = await ExportAsync("grpc");
        await using var database = await OnPostgresAsync();
        await StartAsync();
        var guide = new RouteGuide.RouteGuideClient(Connect());
        for (var i = 0; i < 5; i++)
        {
            await FeatureAsync(Connect());
        }

        await RefusalAsync(StatusCode.InvalidArgument, guide.GetFeatureAsync(new Point { Latitude = int.MaxValue }, deadline: Soon).ResponseAsync);
        using (var route = guide.RecordRoute(deadline: Soon))
        {
            for (var i = 0; i < 3; i++)
            {
                await route.RequestStream.WriteAsync(new Point());
            }

            await route.RequestStream.CompleteAsync();
            await route;
        }

        using var chat = guide.RouteChat();
        await chat.RequestStream.WriteAsync(new RouteNote { Location = new Point(), Message = "x" });
        await chat.RequestStream.WriteAsync(new RouteNote { Location = new Point(), Message = "y" });
        Assert.True(await chat.ResponseStream.MoveNext(CancellationToken.None));

        await Collector.ShouldComeAsync(
            () => collector.Metrics.Where(static metric => metric.Name == "rpc.server.call.duration" && metric.Unit == "s").SelectMany(static metric => metric.Histogram.DataPoints)
                .FirstOrDefault(static point => point.Count == 5 && point.Sum > 0 && Has(point.Attributes, "rpc.method", "GetFeature") && Has(point.Attributes, "rpc.grpc.status_code", 0)),
            "duration of five calls");
        await Collector.ShouldComeAsync(
            () => Points("rpc.server.request.messages").FirstOrDefault(static point => point.AsInt == 3 && Has(point.Attributes, "rpc.method", "RecordRoute")), "count of three points");
        await Collector.ShouldComeAsync(
            () => Points("rpc.server.active_calls").FirstOrDefault(static point => point.AsInt == 1 && Has(point.Attributes, "rpc.method", "RouteChat")), "stream that is open");
        await Collector.ShouldComeAsync(
            () => Points("rpc.server.active_calls").FirstOrDefault(static point => point.AsInt == 0 && Has(point.Attributes, "rpc.method", "GetFeature")), "call that has ended");
        await Collector.ShouldComeAsync(() => Points("routeservice.chat.posts").FirstOrDefault(static point => point.AsInt == 2), "count of two notes");
        await Collector.ShouldComeAsync(
            () => collector.Metrics.Where(static metric => metric.Name == "routeservice.chat.delivery.delay").SelectMany(static metric => metric.Histogram.DataPoints)
                .FirstOrDefault(static point => point.Count > 0 && point.Sum > 0),
            "delay of what was sent");
        await Collector.ShouldComeAsync(() => Points("routeservice.chat.streams").FirstOrDefault(static point => point.AsInt == 1), "open stream of the chat");

        // Whatever a dashboard or an alert asks for is there under that very name.
        await Collector.ShouldComeAsync(() => collector.Metrics.FirstOrDefault(static metric => metric.Name == "dotnet.gc.collections"), "metric of the process");
        var rules = await File.ReadAllTextAsync(Repository.File("deploy", "observability", "alerts.yaml"));
        var operations = await File.ReadAllTextAsync(Repository.File("docs", "operations.md"));
        Assert.All(Alert().Matches(rules), alert => Assert.Contains($"| `{alert.Groups[1].Value}` |", operations));
        var emitted = PrometheusNames(collector.Metrics).Concat(Labels(collector.Metrics)).ToHashSet(StringComparer.Ordinal);
        foreach (var file in (string[])["alerts.yaml", "dashboard.json"])
        {
            var asked = MetricName().Matches(File.ReadAllText(Repository.File("deploy", "observability", file))).Select(static match => match.Value).ToHashSet(StringComparer.Ordinal);
            Assert.NotEmpty(asked);
            Assert.True(asked.IsSubsetOf(emitted), $"{file} asks for {string.Join(", ", asked.Except(emitted))}; there are {string.Join(", ", emitted.Order(StringComparer.Ordinal))}");
        }

        IEnumerable<Otlp.Point> Points(string name) =>
            collector.Metrics.Where(metric => metric.Name == name).SelectMany(static metric => (metric.Sum ?? metric.Gauge)?.DataPoints ?? []);
    }

    [Fact]
    public async Task What_is_logged_in_a_call_bears_its_trace()
    {
        await using var collector = await ExportAsync("grpc");
        Service.Settings["RouteService__Auth__Enabled"] = "true";
        Service.Settings["RouteService__Auth__ApiKeysPath"] = Write("keys", $"x routes.read {new string('0', 64)}");
        await StartAsync();
        var caller = Caller();

        await RefusalAsync(StatusCode.Unauthenticated, HelloAsync(Connect(), Parent(caller)));

        var refusal = await Collector.ShouldComeAsync(
            () => collector.Logs.FirstOrDefault(static log => log.Body.StringValue.Contains("refused to", StringComparison.Ordinal)), "line of the refusal");
        Assert.Equal(caller.TraceId.ToHexString(), Convert.ToHexStringLower(refusal.TraceId.Span));
        Assert.InRange(refusal.SeverityNumber, 9, 12);
    }

    [Theory]
    [InlineData("OTEL_SDK_DISABLED", "true")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "")]
    public async Task It_is_off_where_that_is_wanted(string name, string value)
    {
        await using var collector = await ExportAsync("grpc");
        Service.Settings[name] = value;
        await StartAsync();

        await HelloAsync(Connect());

        Assert.DoesNotContain("OpenTelemetry:", Service.Output);
        Assert.Empty(collector.Spans);
    }

    [Fact]
    public async Task An_endpoint_that_is_not_there_disturbs_nobody()
    {
        Service.Settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1";
        await StartAsync();

        await HelloAsync(Connect());

        Assert.Equal(0, await Service.StopAsync());
    }

    [Fact]
    public async Task In_a_container_each_line_is_an_object_of_JSON()
    {
        Service.Settings["DOTNET_RUNNING_IN_CONTAINER"] = "true";
        await StartAsync();
        await Service.StopAsync();

        var lines = Service.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.True(lines.Length > 4);
        Assert.All(lines, static line =>
        {
            using var json = JsonDocument.Parse(line);
            Assert.Equal("Information", json.RootElement.GetProperty("LogLevel").GetString());
        });
    }

    [Fact]
    public async Task A_password_is_not_logged()
    {
        Service.Settings["ConnectionStrings__RouteService"] = "Host=127.0.0.1;Port=1;Username=me;Password=hush-hush;Database=places";
        Service.Settings["Logging__LogLevel__Default"] = "Trace";
        await Service.LaunchAsync("dotnet", Repository.Program);
        await RefusalAsync(StatusCode.Unavailable, FeatureAsync(Connect()));
        await Service.StopAsync();

        Assert.DoesNotContain("hush-hush", Service.Output);
    }

    /// <summary>As Prometheus has them after its translation: dots are underscores, the unit and the kind are suffixes.</summary>
    private static IEnumerable<string> PrometheusNames(IEnumerable<Metric> metrics) => metrics.SelectMany(static metric =>
    {
        var unit = metric.Unit switch { "s" => "_seconds", "By" => "_bytes", _ => "" };
        var name = metric.Name.Replace('.', '_');
        name = name.EndsWith(unit, StringComparison.Ordinal) ? name : name + unit;
        return metric.Histogram is not null
            ? [$"{name}_bucket", $"{name}_sum", $"{name}_count"]
            : (string[])[metric.Sum is { IsMonotonic: true } ? $"{name}_total" : name];
    });

    private static IEnumerable<string> Labels(IEnumerable<Metric> metrics) => metrics
        .SelectMany(static metric => metric.Histogram?.DataPoints.Select(static point => point.Attributes) ?? (metric.Sum ?? metric.Gauge).DataPoints.Select(static point => point.Attributes))
        .SelectMany(static attributes => attributes.Select(static attribute => attribute.Key.Replace('.', '_')));

    [GeneratedRegex(@"\b(rpc|routeservice|db_client|dotnet|kestrel|gc)_[a-z_]+")]
    private static partial Regex MetricName();

    [GeneratedRegex(@"alert: (\w+)")]
    private static partial Regex Alert();

    private static ActivityContext Caller() => new(ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), ActivityTraceFlags.Recorded);

    private static Metadata Parent(ActivityContext caller) => new() { { "traceparent", $"00-{caller.TraceId}-{caller.SpanId}-01" } };

    private static bool IsIn(Span span, ActivityContext caller) => Convert.ToHexStringLower(span.TraceId.Span) == caller.TraceId.ToHexString();

    private static bool Has(RepeatedField<KeyValue> attributes, string key, object value) =>
        attributes.Any(one => one.Key == key && (value is string text ? one.Value.StringValue == text : one.Value.IntValue == (int)value));

    private async Task<Collector> ExportAsync(string protocol)
    {
        var collector = await Collector.StartAsync(protocol);
        Service.Settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.Endpoint;
        Service.Settings["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol;
        Service.Settings["OTEL_METRIC_EXPORT_INTERVAL"] = "500";
        Service.Settings["OTEL_BSP_SCHEDULE_DELAY"] = "200";
        Service.Settings["OTEL_BLRP_SCHEDULE_DELAY"] = "200";
        return collector;
    }
}
