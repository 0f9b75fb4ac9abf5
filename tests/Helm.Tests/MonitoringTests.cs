using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace RouteService.Helm.Tests;

/// <summary>How a release is told from others in Prometheus and Grafana, and that it is scraped.</summary>
public sealed partial class MonitoringTests
{
    [Theory]
    [InlineData("monitoring", "ServiceMonitor", "spec.endpoints", "30s")]
    [InlineData("pod-monitor", "PodMonitor", "spec.podMetricsEndpoints", "15s")]
    public async Task A_monitor_finds_the_pods_and_names_the_series_as_OTLP_does(string set, string kind, string endpoints, string interval)
    {
        var manifest = await Helm.TemplateSetAsync(set, "--namespace", "services");
        var monitor = manifest.The(kind);
        var endpoint = Assert.Single(monitor.List(endpoints));

        Assert.Equal(("management", "/metrics", interval), (endpoint.Text("port"), endpoint.Text("path"), endpoint.Text("interval")));
        Assert.Equal(
            [("job", "services/places-route-service", null), ("instance", null, "__meta_kubernetes_pod_name")],
            endpoint.List("relabelings").Take(2).Select(static r => (r.Text("targetLabel")!, r.Text("replacement"), r.Texts("sourceLabels").SingleOrDefault())));

        // One Service has that port, with the pods of the server behind it; so a pod is scraped once.
        var labels = monitor.Map("spec.selector.matchLabels");
        var pods = kind == "PodMonitor"
            ? labels
            : Assert.Single(manifest.OfKind("Service"), s => Has(s.Map("metadata.labels"), labels) && s.List("spec.ports").Any(static p => p.Text("name") == "management")).Map("spec.selector");
        Assert.Equal(manifest.Deployment.Name(), Assert.Single(manifest.Pods, pod => Has(pod.Template.Map("metadata.labels"), pods)).Owner.Name());
        Assert.Equal("true", manifest.The("ConfigMap", manifest.Deployment.Name()).Map("data")["RouteService__Management__Prometheus"]);

        static bool Has(Dictionary<string, string> all, Dictionary<string, string> some) => some.All(label => all.GetValueOrDefault(label.Key) == label.Value);
    }

    [Theory]
    [InlineData("serviceMonitor.enabled=true", "true", "")]
    [InlineData("podMonitor.enabled=true", "true", "")]
    [InlineData("telemetry.prometheus=true", "true", "")]
    [InlineData("telemetry.protocol=grpc", null, null)]
    public async Task Metrics_that_are_scraped_are_not_sent_as_well(string value, string? scraped, string? endpoint)
    {
        var variables = (await Helm.TemplateSetAsync("database", "--set", $"telemetry.endpoint=http://collector:4317,{value}")).The("ConfigMap").Map("data");

        Assert.Equal(scraped, variables.GetValueOrDefault("RouteService__Management__Prometheus"));
        Assert.Equal(endpoint, variables.GetValueOrDefault("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"));
        Assert.Equal("http://collector:4317", variables["OTEL_EXPORTER_OTLP_ENDPOINT"]);
    }

    [Theory]
    [InlineData("", "places-route-service", "services", "services/places-route-service")]
    [InlineData("fullnameOverride=geo", "geo", "services", "services/geo")]
    [InlineData("telemetry.serviceName=geo", "geo", "services", "services/geo")]
    [InlineData("telemetry.resourceAttributes.service\\.namespace=maps", "places-route-service", "maps", "maps/places-route-service")]
    [InlineData("telemetry.job=collector", "places-route-service", "services", "collector")]
    public async Task A_release_has_a_name_of_its_own_by_which_all_select(string value, string name, string space, string job)
    {
        var manifest = await Helm.TemplateSetAsync("monitoring", "--namespace", "services", "--set", $"replicas=2{(value.Length == 0 ? "" : $",{value}")}");
        var server = manifest.Deployment.List("spec.template.spec.containers").First();
        var environment = manifest.Environment(server, new Dictionary<string, string>
        {
            ["places-database/connectionString"] = "Host=db",
            ["metadata.name"] = "places-0",
            ["metadata.namespace"] = "services",
            ["spec.nodeName"] = "node-7",
        });

        Assert.Equal(name, environment["OTEL_SERVICE_NAME"]);
        Assert.Equal([space], environment["OTEL_RESOURCE_ATTRIBUTES"].Split(',').Where(static a => a.StartsWith("service.namespace=", StringComparison.Ordinal)).Select(static a => a.Split('=')[1]));
        Assert.All(manifest.The("PrometheusRule").List("spec.groups").First().List("rules"), rule => Assert.Contains($"job=\"{job}\"", rule.Text("expr")));
        var dashboard = Dashboard(manifest);
        Assert.Equal(job, dashboard["templating"]!.List("list").Single(static v => v.Text("name") == "job").Text("current.value"));
        Assert.Equal($"RouteService {job}", dashboard.Text("title"));
        Assert.InRange(dashboard.Text("uid")!.Length, 1, 40);
    }

    [Theory]
    [InlineData("serviceMonitor.interval=15s", "15s")]
    [InlineData("serviceMonitor.interval=", "60s")]
    [InlineData("serviceMonitor.enabled=false,telemetry.metricExportIntervalMilliseconds=15000", "15s")]
    [InlineData("serviceMonitor.enabled=false,telemetry.metricExportIntervalMilliseconds=500", "1s")]
    [InlineData("serviceMonitor.enabled=false", "60s")]
    public async Task Panels_look_no_more_often_than_there_are_samples(string value, string interval)
    {
        // Four of these are the window of rate() then, which so has samples by Grafana's defaults.
        var dashboard = Dashboard(await Helm.TemplateSetAsync("monitoring", "--set", value));

        Assert.All(Panels(dashboard), panel => Assert.Equal(interval, panel.Text("interval")));
    }

    [Fact]
    public async Task Every_panel_selects_and_says_what_it_shows()
    {
        var dashboard = Dashboard(await Helm.TemplateSetAsync("monitoring", "--set", "telemetry.runbookUrl=https://wiki.example/runbooks"));
        var panels = Panels(dashboard).ToList();

        Assert.True(panels.Count > 30);
        Assert.Equal(["datasource", "job", "instance"], dashboard["templating"]!.List("list").Select(static v => v.Text("name")!));
        Assert.Equal("https://wiki.example/runbooks", dashboard.List("links").First().Text("url"));
        Assert.Equal(panels.Count, panels.Select(static panel => panel.Number("id")).Distinct().Count());
        Assert.All(panels, static panel =>
        {
            Assert.True(panel.Text("description") is { Length: > 20 }, $"{panel.Text("title")} has no description.");
            Assert.Equal("${datasource}", panel.Text("datasource.uid"));
            Assert.All(panel.List("targets"), static target => Assert.All(Selectors().Matches(target.Text("expr")!), static selector =>
                Assert.True(selector.Value.Contains("job=\"$job\"", StringComparison.Ordinal) || selector.Value.Contains("pod=~\"$instance\"", StringComparison.Ordinal), selector.Value)));
        });

        // No two panels share a place.
        Assert.All(panels, panel => Assert.DoesNotContain(panels, other => other != panel && Overlap(panel, other)));

        static bool Overlap(JsonObject a, JsonObject b) => Meet(a, b, "x", "w") && Meet(a, b, "y", "h");

        static bool Meet(JsonObject a, JsonObject b, string from, string size) =>
            a.Number($"gridPos.{from}") < b.Number($"gridPos.{from}") + b.Number($"gridPos.{size}")
            && b.Number($"gridPos.{from}") < a.Number($"gridPos.{from}") + a.Number($"gridPos.{size}");
    }

    [Fact]
    public async Task The_values_of_the_manual_are_of_the_chart_and_its_command_moves_the_rules_to_another_job()
    {
        var manual = await File.ReadAllTextAsync(Repository.File("docs", "operations", "observability.md"), TestContext.Current.CancellationToken);
        var folder = Directory.CreateTempSubdirectory("route-service-manual-");
        try
        {
            var values = Path.Combine(folder.FullName, "values.yaml");
            await File.WriteAllTextAsync(values, Values().Match(manual).Groups[1].Value, TestContext.Current.CancellationToken);
            var manifest = await Helm.TemplateSetAsync("database", "-f", values);
            Assert.Equal(["ConfigMap", "PrometheusRule", "ServiceMonitor"], manifest.Objects.Where(static o => o.Name() is "places-route-service-dashboard" || o.Kind() is "PrometheusRule" or "ServiceMonitor").Select(static o => o.Kind()).Order(StringComparer.Ordinal));

            (await Command.RunAsync("sh", ["-c", $"cd '{Repository.File()}' && {Sed().Match(manual).Groups[1].Value} > '{Path.Combine(folder.FullName, "rules.yaml")}'"])).AssertSuccess();
            var moved = await File.ReadAllTextAsync(Path.Combine(folder.FullName, "rules.yaml"), TestContext.Current.CancellationToken);
            Assert.Contains("job=\"geo/places\"", moved);
            Assert.DoesNotContain("job=\"route-service\"", moved);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData("prometheusRule.disabled={RouteServiceSlow}", "prometheusRule.disabled: there is no alert 'RouteServiceSlow'; there are RouteServiceErrorBudgetBurnsFast, ")]
    [InlineData("podMonitor.enabled=true", "serviceMonitor.enabled and podMonitor.enabled: each metric would be scraped twice; enable one of them.")]
    [InlineData("prometheusRule.objectives.availability=99.9", "at '/prometheusRule/objectives/availability'")]
    [InlineData("serviceMonitor.interval=30", "at '/serviceMonitor/interval'")]
    [InlineData("telemetry.runbookUrl=docs", "at '/telemetry/runbookUrl': 'docs' does not match pattern")]
    public async Task A_mistake_is_refused_with_what_is_wrong(string value, string problem)
    {
        var answer = await Helm.RunAsync("template", Helm.Release, Helm.Chart, "--kube-version", Helm.KubernetesVersion, "-f", Helm.ValueSets["monitoring"], "--set", value);

        Assert.NotEqual(0, answer.ExitCode);
        Assert.Contains(problem, answer.Error);
    }

    private static JsonObject Dashboard(Manifest manifest) => JsonNode.Parse(Assert.Single(
        manifest.OfKind("ConfigMap").Single(static o => o.Name().EndsWith("-dashboard", StringComparison.Ordinal)).Map("data")).Value)!.AsObject();

    private static IEnumerable<JsonObject> Panels(JsonObject dashboard) => dashboard.List("panels").Where(static panel => panel.Text("type") != "row");

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Selectors();

    [GeneratedRegex("```yaml values.yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Values();

    [GeneratedRegex("(?m)^(sed .*) > rules.yaml$")]
    private static partial Regex Sed();
}
