using System.ComponentModel;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.RegularExpressions;
using Grpc.Core;
using RouteService.Contracts.Routeguide;
using Point = RouteService.Contracts.Routeguide.Point;

namespace RouteService.Operations.Tests;

/// <summary>A Prometheus that scrapes the service finds what the dashboard and the alerts ask for.</summary>
public sealed partial class PrometheusTests : ServiceTest
{
    private static readonly HttpClient Http = new();

    [Fact]
    public async Task Prometheus_scrapes_what_the_dashboard_and_the_alerts_ask_for()
    {
        // As by OTLP, after the translation that Prometheus makes of it.
        await using var collector = await Collector.StartAsync("grpc");
        Service.Settings["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"] = collector.Endpoint;
        Service.Settings["OTEL_METRIC_EXPORT_INTERVAL"] = "500";
        Service.Settings["RouteService__Management__Prometheus"] = "true";
        await using var database = await OnPostgresAsync();
        await StartAsync();
        await using var prometheus = await PrometheusServer.StartAsync(Service.Folder, Service.ManagementPort);

        await prometheus.ShouldAnswerAsync("up == 1");
        var guide = new RouteGuide.RouteGuideClient(Connect());
        using var chat = guide.RouteChat();
        for (var i = 0; i < 2; i++)
        {
            await chat.RequestStream.WriteAsync(new RouteNote { Location = new Point(), Message = $"{i}" });
            await FeatureAsync(Connect());
            var nowhere = new Point { Latitude = int.MaxValue };
            await RefusalAsync(StatusCode.InvalidArgument, guide.GetFeatureAsync(nowhere, deadline: Soon).ResponseAsync);
            using var route = guide.RecordRoute(deadline: Soon);
            await route.RequestStream.WriteAsync(new Point());
            await route.RequestStream.CompleteAsync();
            await route;
        }

        Assert.True(await chat.ResponseStream.MoveNext(CancellationToken.None));
        await database.ExecuteAsync("ALTER TABLE feature RENAME TO gone");
        await RefusalAsync(StatusCode.Unavailable, FeatureAsync(Connect()));
        await database.ExecuteAsync("ALTER TABLE gone RENAME TO feature");

        await prometheus.ShouldAnswerAsync("db_client_operation_failed_total > 0");
        using var dashboard = JsonDocument.Parse(await File.ReadAllTextAsync(Repository.File("deploy", "observability", "dashboard.json")));
        foreach (var target in dashboard.RootElement.GetProperty("panels").EnumerateArray()
            .SelectMany(static panel => panel.GetProperty("targets").EnumerateArray()))
        {
            var expression = target.GetProperty("expr").GetString()!.Replace("$__rate_interval", "1m", StringComparison.Ordinal);
            var found = await prometheus.ShouldAnswerAsync(expression);
            foreach (Match label in Label().Matches(target.GetProperty("legendFormat").GetString()!))
            {
                var name = label.Groups[1].Value;
                Assert.All(found, series => Assert.True(series.GetProperty("metric").TryGetProperty(name, out _), $"{expression} has no {name}."));
            }
        }

        var names = await prometheus.NamesAsync("label/__name__/values");
        var known = names.Concat(await prometheus.NamesAsync("labels")).ToHashSet(StringComparer.Ordinal);
        foreach (var file in (string[])["alerts.yaml", "dashboard.json"])
        {
            var asked = TelemetryTests.MetricNames(await File.ReadAllTextAsync(Repository.File("deploy", "observability", file)));
            Assert.True(
                asked.IsSubsetOf(known),
                $"{file} asks for {string.Join(", ", asked.Except(known))}; there are {string.Join(", ", known)}");
        }

        var byOtlp = TelemetryTests.PrometheusNames(collector.Metrics).ToHashSet(StringComparer.Ordinal);
        var scraped = names.Where(static name => !PrometheusOwn().IsMatch(name)).ToHashSet(StringComparer.Ordinal);
        Assert.Equal(byOtlp.Order(StringComparer.Ordinal), scraped.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Prometheus_takes_the_alerts()
    {
        try
        {
            var rules = Repository.File("deploy", "observability", "alerts.yaml");
            (await Command.RunAsync("promtool", ["check", "rules", rules])).AssertSuccess();
        }
        catch (Win32Exception)
        {
            Assert.Skip(PrometheusServer.Missing);
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

    [GeneratedRegex("^(up|scrape_.*|target_info|.*_created)$")]
    private static partial Regex PrometheusOwn();

    /// <summary>Debian's, run by its program.</summary>
    private sealed class PrometheusServer(Process process, int port) : IAsyncDisposable
    {
        public const string Missing = "There is no Prometheus (Debian: prometheus).";

        public static async Task<PrometheusServer> StartAsync(string folder, int target)
        {
            var port = FreePort();
            var configuration = Path.Combine(folder, "prometheus.yaml");
            await File.WriteAllTextAsync(
                configuration,
                $$"""
                global: {scrape_interval: 1s}
                rule_files: ['{{Repository.File("deploy", "observability", "alerts.yaml")}}']
                scrape_configs:
                  - job_name: route-service
                    static_configs: [{targets: ['localhost:{{target}}']}]
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

        private static int FreePort()
        {
            using var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            return ((IPEndPoint)listener.LocalEndpoint).Port;
        }
    }
}
