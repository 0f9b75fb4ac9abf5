using System.Diagnostics;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Google.Protobuf.Collections;
using Grpc.Core;
using Grpc.Health.V1;
using RouteService.Contracts.Routeguide;
using RouteService.Operations.Tests.Otlp;
using Point = RouteService.Contracts.Routeguide.Point;

namespace RouteService.Operations.Tests;

public sealed class TelemetryTests : ServiceTest
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
        await FailStatementAsync(database);
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
        await Collector.ShouldComeAsync(() => Points("db.client.operation.failed").FirstOrDefault(), "statement that failed");

        // A short name: a connection string would be a label as long as it is, which changes with the database.
        Assert.Equal(["routeservice", "routeservice-unpooled"], collector.Metrics
            .Where(static metric => metric.Name.StartsWith("db.client.", StringComparison.Ordinal))
            .SelectMany(static metric => AttributesOf(metric))
            .SelectMany(static attributes => attributes.Where(static one => one.Key == "db.client.connection.pool.name"))
            .Select(static pool => pool.Value.StringValue)
            .Distinct()
            .Order(StringComparer.Ordinal));

        IEnumerable<Otlp.Point> Points(string name) =>
            collector.Metrics.Where(metric => metric.Name == name).SelectMany(static metric => (metric.Sum ?? metric.Gauge)?.DataPoints ?? []);
    }

    [Fact]
    public async Task Every_histogram_in_seconds_has_bounds_in_seconds()
    {
        using var authority = new Authority();
        using var certificate = authority.Certify("server");
        await using var collector = await ExportAsync("grpc");
        await using var database = await OnPostgresAsync();
        var key = certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem();
        Service.Settings["RouteService__Grpc__CertificatePath"] = Write("server.pem", $"{certificate.ExportCertificatePem()}\n{key}");
        await StartAsync();
        var channel = Connect(authority.Client());
        await FeatureAsync(channel);
        using (var chat = new RouteGuide.RouteGuideClient(channel).RouteChat(deadline: Soon))
        {
            await chat.RequestStream.WriteAsync(new RouteNote { Location = new Point(), Message = "x" });
            await chat.RequestStream.WriteAsync(new RouteNote { Location = new Point(), Message = "y" });
            Assert.True(await chat.ResponseStream.MoveNext(CancellationToken.None));
        }

        channel.Dispose();
        var file = Write("places.csv", "name,latitude,longitude\nx,1,2\n");
        (await Command.RunServiceAsync(["import", file], Service.Settings, Service.Folder)).AssertSuccess();

        string[] expected =
        [
            "db.client.connection.npgsql.create_time",
            "db.client.operation.duration",
            "kestrel.connection.duration",
            "kestrel.tls_handshake.duration",
            "routeservice.chat.commit.duration",
            "routeservice.chat.delivery.delay",
            "routeservice.import.duration",
            "routeservice.lookups.wait",
            "rpc.server.call.duration",
        ];
        var histograms = await Collector.ShouldComeAsync(
            () => collector.Metrics.Where(static metric => metric.Histogram is not null && metric.Unit == "s").ToList() is var all
                && expected.ToHashSet(StringComparer.Ordinal).IsSubsetOf(all.Select(static metric => metric.Name)) ? all : null,
            $"export of all of {string.Join(", ", expected)}");
        Assert.All(histograms, static metric => Assert.All(metric.Histogram.DataPoints, point =>
        {
            Assert.True(point.ExplicitBounds.Min() <= 0.1, $"{metric.Name} begins at {point.ExplicitBounds.Min()} s.");
            Assert.True(point.ExplicitBounds.Max() <= 7_200, $"{metric.Name} ends at {point.ExplicitBounds.Max()} s.");
        }));
    }

    [Fact]
    public async Task Probes_are_in_no_trace()
    {
        await using var collector = await ExportAsync("grpc");
        await using var database = await OnPostgresAsync();
        Service.Settings["RouteService__Management__Prometheus"] = "true";
        await StartAsync();
        using var http = new HttpClient();

        await Service.HealthAsync("ready");
        await new Health.HealthClient(Connect()).CheckAsync(new HealthCheckRequest { Service = "routeguide.RouteGuide" }, deadline: Soon);
        await http.GetStringAsync($"http://localhost:{Service.ManagementPort}/metrics");

        // Readiness is asked for at the start, too; whatever looks up more is the service itself, for those who watch its health.
        var asked = LookUps() + 3;
        await Collector.ShouldComeAsync(() => LookUps() > asked ? collector : null, "look-up of the service's own");
        var caller = Caller();
        await FeatureAsync(Connect(), Parent(caller));

        foreach (var name in (string[])["routeguide.RouteGuide/GetFeature", "look up"])
        {
            await Collector.ShouldComeAsync(() => collector.Spans.FirstOrDefault(span => span.Name == name && IsIn(span, caller)), name);
        }

        // The chat reads its log by itself; look-ups are of calls and of probes.
        Assert.DoesNotContain(collector.Spans, span => !IsIn(span, caller) && (span.Kind == Server || span.Name == "look up" || IsLookUp(span)));

        long LookUps() => collector.Metrics.Where(static metric => metric.Name == "routeservice.lookups.batch.size")
            .SelectMany(static metric => metric.Histogram.DataPoints)
            .Max(static point => (long?)point.Count) ?? 0;

        static bool IsLookUp(Span span) => span.Attributes.Any(static one => one.Value.StringValue.StartsWith("SELECT place.i", StringComparison.Ordinal));
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

    /// <summary>As the chart has it where Prometheus scrapes.</summary>
    [Fact]
    public async Task An_empty_endpoint_turns_one_signal_off()
    {
        await using var collector = await ExportAsync("grpc");
        Service.Settings["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"] = "";
        await StartAsync();

        await HelloAsync(Connect());

        await Collector.ShouldComeAsync(() => collector.Spans.FirstOrDefault(), "span");
        await Collector.ShouldComeAsync(() => collector.Logs.FirstOrDefault(), "line");
        await Service.StopAsync();
        Assert.Empty(collector.Metrics);
    }

    [Fact]
    public async Task An_endpoint_that_is_not_there_disturbs_nobody()
    {
        Service.Settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1";
        await StartAsync();

        await HelloAsync(Connect());

        Assert.Equal(0, await Service.StopAsync());
    }

    [Theory]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4999", "expected an http or https URI such as http://localhost:4317")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317", "expected an http or https URI such as http://localhost:4317")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "http://$(NODE_IP):4317", "expected an http or https URI such as http://localhost:4317")]
    [InlineData("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://localhost", "expected an http or https URI such as http://localhost:4317")]
    [InlineData("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "/v1/metrics", "expected an http or https URI such as http://localhost:4317")]
    [InlineData("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "collector", "expected an http or https URI such as http://localhost:4317")]
    [InlineData("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "expected grpc or http/protobuf")]
    [InlineData("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http", "expected grpc or http/protobuf")]
    [InlineData("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "GRPC", "expected grpc or http/protobuf")]
    [InlineData("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json", "expected grpc or http/protobuf")]
    [InlineData("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "expected milliseconds")]
    [InlineData("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "zstd", "expected none or gzip")]
    [InlineData("OTEL_TRACES_SAMPLER", "sometimes", "expected always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or parentbased_traceidratio")]
    [InlineData("OTEL_TRACES_SAMPLER_ARG", "1.5", "expected a number from 0 to 1")]
    [InlineData("OTEL_SDK_DISABLED", "yes", "expected true or false")]
    [InlineData("OTEL_METRIC_EXPORT_INTERVAL", "1m", "expected an integer from 1")]
    [InlineData("OTEL_BSP_MAX_QUEUE_SIZE", "0", "expected an integer from 1")]
    [InlineData("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1", "expected an integer from 0")]
    [InlineData("OTEL_RESOURCE_ATTRIBUTES", "team", "expected name=value, further ones after commas")]
    [InlineData("OTEL_TRACES_EXPORTER", "console", "expected otlp or none")]
    [InlineData("OTEL_METRICS_EXPORTER", "prometheus", "expected otlp or none")]
    [InlineData("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nosuch", "expected a file that exists")]
    [InlineData("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "/nosuch", "expected none: OTEL_EXPORTER_OTLP_CLIENT_KEY is that of all signals")]
    public async Task A_variable_that_cannot_be_used_ends_the_start(string name, string value, string expected)
    {
        foreach (var arguments in (string[][])[[], ["import", Write("places.csv", "name,latitude,longitude\nx,1,2\n")]])
        {
            var answer = await Command.RunServiceAsync(
                arguments, new Dictionary<string, string>(RunningService.Environment) { [name] = value }, Service.Folder);

            Assert.Equal((1, $"routeservice: {name} is '{value}'; {expected}."), (answer.ExitCode, answer.Error.Trim()));
        }
    }

    [Theory]
    [InlineData("hush-hush")]
    [InlineData("\"authorization=Basic hush\"")]
    [InlineData("authorization: Basic hush==")]
    [InlineData("a=1,x-key=hüsh")]
    [InlineData("a=hush%0Ahush")]
    public async Task Headers_that_cannot_be_used_end_the_start_and_are_not_told(string headers)
    {
        var answer = await Command.RunServiceAsync(
            [], new Dictionary<string, string>(RunningService.Environment) { ["OTEL_EXPORTER_OTLP_HEADERS"] = headers }, Service.Folder);

        Assert.Equal(
            (1, "routeservice: OTEL_EXPORTER_OTLP_HEADERS is malformed; expected name=value, further ones after commas, that HTTP can carry; without quotes."),
            (answer.ExitCode, answer.Error.Trim()));
    }

    [Theory]
    [InlineData("TRACES")]
    [InlineData("METRICS")]
    [InlineData("LOGS")]
    public async Task A_signal_can_have_an_endpoint_of_its_own_and_be_the_only_one(string signal)
    {
        await using var collector = await ExportAsync("http/protobuf");
        await using var other = await Collector.StartAsync("grpc");
        Service.Settings.Remove("OTEL_EXPORTER_OTLP_ENDPOINT");
        Service.Settings[$"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"] =
            signal == "TRACES" ? other.Endpoint : $"{collector.Endpoint}/v1/{signal.ToLowerInvariant()}";
        Service.Settings["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "grpc";
        await StartAsync();

        await HelloAsync(Connect());

        Assert.Contains($"OpenTelemetry: {signal.ToLowerInvariant()} to http://", Service.Output);
        var used = signal == "TRACES" ? other : collector;
        await Collector.ShouldComeAsync(
            () => signal switch
            {
                "TRACES" => used.Spans.FirstOrDefault(),
                "METRICS" => used.Metrics.FirstOrDefault(),
                _ => (object?)used.Logs.FirstOrDefault(),
            },
            signal);
        await Service.StopAsync();
        Assert.Equal(
            (signal == "TRACES", signal == "METRICS", signal == "LOGS"),
            (other.Spans.Any() || collector.Spans.Any(), collector.Metrics.Any() || other.Metrics.Any(), collector.Logs.Any() || other.Logs.Any()));
    }

    /// <summary>By themselves, the exporters would wait for the end of their requests: for ten minutes here.</summary>
    [Theory]
    [InlineData("grpc")]
    [InlineData("http/protobuf")]
    public async Task A_collector_that_never_answers_does_not_hold_up_the_end(string protocol)
    {
        using var silent = new SilentCollector();
        Service.Settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = silent.Endpoint;
        Service.Settings["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol;
        Service.Settings["OTEL_EXPORTER_OTLP_TIMEOUT"] = "600000";
        Service.Settings["OTEL_BSP_SCHEDULE_DELAY"] = "100";
        await StartAsync();
        await HelloAsync(Connect());
        await silent.RequestAsync();

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
    internal static IEnumerable<string> PrometheusNames(IEnumerable<Metric> metrics) => metrics.SelectMany(static metric =>
    {
        var unit = metric.Unit switch { "s" => "_seconds", "By" => "_bytes", _ => "" };
        var name = metric.Name.Replace('.', '_');
        name = name.EndsWith(unit, StringComparison.Ordinal) ? name : name + unit;
        return metric.Histogram is not null
            ? [$"{name}_bucket", $"{name}_sum", $"{name}_count"]
            : (string[])[metric.Sum is { IsMonotonic: true } ? $"{name}_total" : name];
    });

    private static IEnumerable<RepeatedField<KeyValue>> AttributesOf(Metric metric) =>
        metric.Histogram?.DataPoints.Select(static point => point.Attributes)
        ?? (metric.Sum ?? metric.Gauge).DataPoints.Select(static point => point.Attributes);

    /// <summary>Makes a statement of the service fail, once.</summary>
    private async Task FailStatementAsync(TestDatabase database)
    {
        await database.ExecuteAsync("ALTER TABLE feature RENAME TO gone");
        await RefusalAsync(StatusCode.Unavailable, FeatureAsync(Connect()));
        await database.ExecuteAsync("ALTER TABLE gone RENAME TO feature");
    }

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
