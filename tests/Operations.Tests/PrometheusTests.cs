using System.ComponentModel;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.RegularExpressions;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using RouteService.Contracts.Routeguide;
using Point = RouteService.Contracts.Routeguide.Point;

namespace RouteService.Operations.Tests;

/// <summary>A Prometheus that scrapes the service finds what the dashboard and the alerts ask for.</summary>
public sealed partial class PrometheusTests() : ServiceTest("Microsoft.Extensions.Diagnostics.HealthChecks")
{
    private const int MaxConnections = 20;

    private static readonly HttpClient Http = new();

    private static readonly string Files = Repository.File("deploy", "helm", "route-service", "files");

    [Fact]
    public async Task Every_rule_and_every_panel_has_data()
    {
        // As by OTLP, after the translation that Prometheus makes of it.
        await using var collector = await Collector.StartAsync("grpc");
        using var authority = new Authority();
        using var certificate = authority.Certify("server");
        var key = certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem();
        Service.Settings["RouteService__Grpc__CertificatePath"] = Write("server.pem", $"{certificate.ExportCertificatePem()}\n{key}");
        Service.Settings["RouteService__Grpc__Connection__MaxConnections"] = $"{MaxConnections}";
        Service.Settings["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"] = collector.Endpoint;
        Service.Settings["OTEL_METRIC_EXPORT_INTERVAL"] = "500";
        Service.Settings["RouteService__Management__Prometheus"] = "true";
        await using var database = await OnPostgresAsync();
        Service.Settings["ConnectionStrings__RouteService"] += ";Maximum Pool Size=2;Timeout=3";
        await StartAsync();
        await using var kubernetes = await KubeStateMetrics.StartAsync();
        await using var prometheus = await PrometheusServer.StartAsync(Service.Folder, Service.ManagementPort, kubernetes.Port);
        await prometheus.ShouldAnswerAsync("count(up == 1) == 2");
        using var chat = await UseAsync(Connect(authority.Client()), database);

        await prometheus.ShouldAnswerAsync("db_client_operation_failed_total > 0");
        await prometheus.ShouldAnswerAsync("kestrel_rejected_connections_total > 0");
        await prometheus.ShouldAnswerAsync("db_client_connection_npgsql_timeouts_total > 0");
        var rules = await prometheus.RulesAsync();
        Assert.Equal(41 + 6, rules.Count);
        foreach (var rule in rules)
        {
            await prometheus.ShouldAnswerAsync(Answerable(rule.GetProperty("query").GetString()!));
            if (rule.GetProperty("type").GetString() == "recording")
            {
                await prometheus.ShouldAnswerAsync(rule.GetProperty("name").GetString()!);
            }
        }

        var imports = await NamesOfImportAsync();
        foreach (var (panel, expression, legend) in Queries())
        {
            if (panel == "Imports")
            {
                // The command has ended before anybody could scrape it.
                Assert.Contains(Metric().Match(expression).Value, imports);
                continue;
            }

            var found = await prometheus.ShouldAnswerAsync(expression
                .Replace("$__rate_interval", "1m", StringComparison.Ordinal)
                .Replace("$job", "route-service", StringComparison.Ordinal)
                .Replace("$instance", ".*", StringComparison.Ordinal));
            foreach (Match label in Label().Matches(legend))
            {
                var name = label.Groups[1].Value;
                Assert.All(found, series => Assert.True(series.GetProperty("metric").TryGetProperty(name, out _), $"{expression} has no {name}."));
            }
        }

        Assert.All(await prometheus.RulesAsync(), static rule => Assert.Equal("ok", rule.GetProperty("health").GetString()));
        var scraped = (await prometheus.NamesAsync("label/__name__/values")).Where(static name => !NotOurs().IsMatch(name)).Order(StringComparer.Ordinal);
        Assert.Equal(TelemetryTests.PrometheusNames(collector.Metrics).Distinct().Order(StringComparer.Ordinal), scraped);
    }

    /// <summary>Makes all kinds of calls, a connection too many, waits for the database's, and a statement that fails.</summary>
    /// <returns>A stream that is open.</returns>
    private async Task<AsyncDuplexStreamingCall<RouteNote, RouteNote>> UseAsync(GrpcChannel channel, TestDatabase database)
    {
        var guide = new RouteGuide.RouteGuideClient(channel);
        var chat = guide.RouteChat();
        for (var i = 0; i < 2; i++)
        {
            await chat.RequestStream.WriteAsync(new RouteNote { Location = new Point(), Message = $"{i}" });
            await HelloAsync(channel);
            await FeatureAsync(channel);
            var nowhere = new Point { Latitude = int.MaxValue };
            await RefusalAsync(StatusCode.InvalidArgument, guide.GetFeatureAsync(nowhere, deadline: Soon).ResponseAsync);
            using var list = guide.ListFeatures(new Rectangle { Lo = new Point(), Hi = new Point { Latitude = 1, Longitude = 1 } }, deadline: Soon);
            Assert.False(await list.ResponseStream.MoveNext(CancellationToken.None));
            using var route = guide.RecordRoute(deadline: Soon);
            await route.RequestStream.WriteAsync(new Point());
            await route.RequestStream.CompleteAsync();
            await route;
        }

        Assert.True(await chat.ResponseStream.MoveNext(CancellationToken.None));
        await BeRejectedAsync();
        await ExhaustAsync(guide, database);
        await database.ExecuteAsync("ALTER TABLE feature RENAME TO gone");
        await RefusalAsync(StatusCode.Unavailable, FeatureAsync(channel));
        await database.ExecuteAsync("ALTER TABLE gone RENAME TO feature");
        return chat;
    }

    /// <summary>Opens one connection more than there may be, and waits until that is closed.</summary>
    private async Task BeRejectedAsync()
    {
        var clients = Enumerable.Range(0, MaxConnections + 1).Select(static _ => new TcpClient()).ToList();
        foreach (var client in clients)
        {
            await client.ConnectAsync(IPAddress.Loopback, Service.GrpcPort);
        }

        try
        {
            Assert.Equal(0, await clients[^1].GetStream().ReadAsync(new byte[1]).AsTask().WaitAsync(Patience));
        }
        catch (IOException)
        {
            // Closed by a reset.
        }

        clients.ForEach(static client => client.Dispose());
    }

    /// <summary>Makes more calls than there are connections to the database, while none of them gets an answer.</summary>
    private static async Task ExhaustAsync(RouteGuide.RouteGuideClient guide, TestDatabase database)
    {
        await using var other = new NpgsqlConnection(database.ConnectionString);
        await other.OpenAsync();
        await using var transaction = await other.BeginTransactionAsync();
        await using (var command = new NpgsqlCommand("LOCK TABLE feature IN ACCESS EXCLUSIVE MODE", other))
        {
            await command.ExecuteNonQueryAsync();
        }

        var area = new Rectangle { Lo = new Point(), Hi = new Point { Latitude = 1, Longitude = 1 } };
        var lists = Enumerable.Range(0, 6).Select(_ => guide.ListFeatures(area, deadline: Soon)).ToList();
        var answers = lists.Select(static list => list.ResponseStream.MoveNext(CancellationToken.None)).ToList();
        await RefusalAsync(StatusCode.ResourceExhausted, await Task.WhenAny(answers));
        await transaction.RollbackAsync();
        await ((Task)Task.WhenAll(answers)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        lists.ForEach(static list => list.Dispose());
    }

    private async Task<IReadOnlyCollection<string>> NamesOfImportAsync()
    {
        await using var collector = await Collector.StartAsync("grpc");
        var settings = new Dictionary<string, string>(Service.Settings) { ["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"] = collector.Endpoint };
        (await Command.RunServiceAsync(["import", Write("places.csv", "name,latitude,longitude\nx,1,2\n")], settings, Service.Folder)).AssertSuccess();
        return TelemetryTests.PrometheusNames(collector.Metrics).ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>An expression of a rule that has an answer whether or not it would fire, and whatever the statuses of the calls were.</summary>
    private static string Answerable(string expression) => Comparison().Replace(
        Status().Replace(expression.Replace("absent(", "count(", StringComparison.Ordinal), "rpc_grpc_status_code=~\".+\""), " $1 bool ");

    /// <summary>The queries of the dashboard, with the title of their row.</summary>
    private static IEnumerable<(string Panel, string Expression, string Legend)> Queries()
    {
        using var dashboard = JsonDocument.Parse(File.ReadAllText(Path.Combine(Files, "dashboard.json")));
        var row = "";
        foreach (var panel in dashboard.RootElement.GetProperty("panels").EnumerateArray())
        {
            if (panel.GetProperty("type").GetString() == "row")
            {
                row = panel.GetProperty("title").GetString()!;
                continue;
            }

            foreach (var target in panel.GetProperty("targets").EnumerateArray())
            {
                yield return (row, target.GetProperty("expr").GetString()!, target.GetProperty("legendFormat").GetString()!);
            }
        }

        foreach (var annotation in dashboard.RootElement.GetProperty("annotations").GetProperty("list").EnumerateArray())
        {
            yield return ("annotation", annotation.GetProperty("expr").GetString()!, annotation.GetProperty("titleFormat").GetString()!);
        }
    }

    [Fact]
    public async Task Metrics_are_on_the_management_port_alone_and_ask_for_no_credentials()
    {
        Service.Settings["RouteService__Management__Prometheus"] = "true";
        Service.Settings["RouteService__Auth__Enabled"] = "true";
        Service.Settings["RouteService__Auth__ApiKeysPath"] = Write("keys", $"x routes.read {new string('0', 64)}");
        await StartAsync();

        Assert.Contains($"http://localhost:{Service.ManagementPort}/metrics", Service.Output);
        Assert.Contains("kestrel_active_connections", await Http.GetStringAsync($"http://localhost:{Service.ManagementPort}/metrics"));
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{Service.Address}/metrics")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Headers.Host = $"localhost:{Service.ManagementPort}";
        using var answer = await Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    [Theory]
    [InlineData("RouteService__Management__Prometheus", "false")]
    [InlineData("OTEL_SDK_DISABLED", "true")]
    public async Task There_are_no_metrics_to_scrape_where_that_is_wanted(string name, string value)
    {
        Service.Settings["RouteService__Management__Prometheus"] = "true";
        Service.Settings[name] = value;
        await StartAsync();

        using var answer = await Http.GetAsync($"http://localhost:{Service.ManagementPort}/metrics");

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    [GeneratedRegex(@"\{\{(\w+)\}\}")]
    private static partial Regex Label();

    // Of Prometheus itself, of its exporters, of the rules, and of Kubernetes.
    [GeneratedRegex("^(up|scrape_.*|ALERTS.*|target_info|.*_created|job:.*|kube_.*)$")]
    private static partial Regex NotOurs();

    [GeneratedRegex(" (==|>=|<=|>|<) ")]
    private static partial Regex Comparison();

    [GeneratedRegex("rpc_grpc_status_code=~?\"[^\"]*\"")]
    private static partial Regex Status();

    [GeneratedRegex("routeservice_import_[a-z_]+")]
    private static partial Regex Metric();

    /// <summary>Debian's, run by its program.</summary>
    private sealed class PrometheusServer(Process process, int port) : IAsyncDisposable
    {
        public const string Missing = "There is no Prometheus (Debian: prometheus).";

        public static async Task<PrometheusServer> StartAsync(string folder, int target, int kubernetes)
        {
            var port = FreePort.Next();
            var configuration = Path.Combine(folder, "prometheus.yaml");
            await File.WriteAllTextAsync(
                configuration,
                $$"""
                global: {scrape_interval: 1s, evaluation_interval: 1s}
                rule_files: ['{{Files}}/rules*.yaml']
                scrape_configs:
                  - job_name: route-service
                    static_configs: [{targets: ['localhost:{{target}}']}]
                  - job_name: kube-state-metrics
                    honor_labels: true
                    static_configs: [{targets: ['localhost:{{kubernetes}}']}]
                """);
            try
            {
                return new PrometheusServer(
                    Process.Start(new ProcessStartInfo(
                        "prometheus",
                        [
                            $"--config.file={configuration}",
                            $"--storage.tsdb.path={Path.Combine(folder, "prometheus")}",
                            $"--web.listen-address=127.0.0.1:{port}",
                            "--log.level=error",
                        ]))!,
                    port);
            }
            catch (Win32Exception)
            {
                Assert.Skip(Missing);
                throw;
            }
        }

        /// <summary>Waits until it has an answer to this.</summary>
        public async Task<IReadOnlyList<JsonElement>> ShouldAnswerAsync(string expression)
        {
            var started = TimeProvider.System.GetTimestamp();
            while (true)
            {
                var data = await GetAsync($"query?query={Uri.EscapeDataString(expression)}");
                if (data?.GetProperty("result").EnumerateArray().ToList() is { Count: > 0 } found)
                {
                    return found;
                }

                Assert.True(TimeProvider.System.GetElapsedTime(started) < Patience, $"Prometheus has nothing for {expression}");
                Assert.False(process.HasExited, "Prometheus has ended.");
                await Task.Delay(200);
            }
        }

        /// <summary>Its rules, once it has evaluated all of them.</summary>
        public async Task<IReadOnlyList<JsonElement>> RulesAsync()
        {
            var started = TimeProvider.System.GetTimestamp();
            while (true)
            {
                var rules = (await GetAsync("rules"))!.Value.GetProperty("groups").EnumerateArray()
                    .SelectMany(static group => group.GetProperty("rules").EnumerateArray())
                    .ToList();
                if (rules.TrueForAll(static rule => rule.GetProperty("health").GetString() != "unknown"))
                {
                    return rules;
                }

                Assert.True(TimeProvider.System.GetElapsedTime(started) < Patience, "Prometheus has not evaluated its rules.");
                await Task.Delay(200);
            }
        }

        /// <summary>The names at this path of its API.</summary>
        public async Task<IReadOnlyList<string>> NamesAsync(string path) =>
            [.. (await GetAsync(path))!.Value.EnumerateArray().Select(static name => name.GetString()!)];

        public async ValueTask DisposeAsync()
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }

        /// <returns>What it answers; null while it is not up.</returns>
        private async Task<JsonElement?> GetAsync(string path)
        {
            try
            {
                using var answer = await Http.GetAsync($"http://127.0.0.1:{port}/api/v1/{path}");
                var body = await answer.Content.ReadAsStringAsync();
                Assert.True(answer.StatusCode is HttpStatusCode.OK or HttpStatusCode.ServiceUnavailable, $"{path}: {body}");
                return answer.StatusCode is HttpStatusCode.OK ? JsonDocument.Parse(body).RootElement.GetProperty("data") : null;
            }
            catch (HttpRequestException)
            {
                return null;
            }
        }
    }

    /// <summary>Stands in for kube-state-metrics: its names and labels, of the release that the rules have without Helm.</summary>
    private sealed class KubeStateMetrics(WebApplication app) : IAsyncDisposable
    {
        private const string Deployment = "namespace=\"default\",deployment=\"route-service\"";
        private const string Pod = "namespace=\"default\",pod=\"route-service-5d8f7c9b6d-x2x4z\",uid=\"1\"";
        private const string Scaler = "namespace=\"default\",horizontalpodautoscaler=\"route-service\"";

        private const string Metrics = $$"""
            kube_deployment_spec_replicas{{{Deployment}}} 2
            kube_deployment_status_replicas_ready{{{Deployment}}} 2
            kube_pod_container_status_restarts_total{{{Pod}},container="route-service"} 1
            kube_pod_container_status_last_terminated_reason{{{Pod}},container="route-service",reason="OOMKilled"} 1
            kube_pod_init_container_status_waiting_reason{{{Pod}},container="migrate",reason="CrashLoopBackOff"} 1
            kube_job_failed{namespace="default",job_name="route-service-migration",condition="true"} 1
            kube_horizontalpodautoscaler_spec_min_replicas{{{Scaler}}} 2
            kube_horizontalpodautoscaler_spec_max_replicas{{{Scaler}}} 8
            kube_horizontalpodautoscaler_status_current_replicas{{{Scaler}}} 2

            """;

        public int Port => new Uri(app.Urls.Single()).Port;

        public static async Task<KubeStateMetrics> StartAsync()
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.ConfigureKestrel(static kestrel => kestrel.Listen(IPAddress.Loopback, 0));
            var app = builder.Build();
            app.MapGet("/metrics", static () => Metrics);
            await app.StartAsync();
            return new KubeStateMetrics(app);
        }

        public ValueTask DisposeAsync() => app.DisposeAsync();
    }
}
