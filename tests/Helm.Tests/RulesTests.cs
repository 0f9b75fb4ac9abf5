using System.ComponentModel;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace RouteService.Helm.Tests;

/// <summary>The rules of a release, by Prometheus' own tool.</summary>
public sealed partial class RulesTests : IDisposable
{
    private const string Namespace = "services";
    private const string Name = "places-route-service";
    private const string Job = $"job=\"{Namespace}/{Name}\"";
    private const string Ours = $"{Job},instance=\"places-0\"";
    private const string Errors = "rpc_grpc_status_code=\"13\"";
    private const string Away = "rpc_grpc_status_code=\"14\"";
    private const string Ok = "rpc_grpc_status_code=\"0\"";
    private const string GetFeature = "rpc_service=\"routeguide.RouteGuide\",rpc_method=\"GetFeature\"";
    private const string RouteChat = "rpc_service=\"routeguide.RouteGuide\",rpc_method=\"RouteChat\"";
    private const string Ended = "rpc_server_call_duration_seconds_count";
    private const string Within = "rpc_server_call_duration_seconds_bucket";
    private const string Pod = $"namespace=\"{Namespace}\",pod=\"{Name}-5d8f7c9b6d-x2x4z\"";
    private const string Deployment = $"namespace=\"{Namespace}\",deployment=\"{Name}\"";
    private const string Scaler = $"namespace=\"{Namespace}\",horizontalpodautoscaler=\"{Name}\"";

    private const string AnyOfOurs = "count(ALERTS{alertname=~\"RouteService.*\",alertstate=\"firing\"}) or vector(0)";

    // A day in the seconds of Prometheus' clock, which begins at 0 in these tests.
    private const int Day = 86_400;

    // Each of these fires its alert after an hour, with a sample a minute, or does not.
    private static readonly Case[] Cases =
    [
        Fires("RouteServiceErrorBudgetBurnsFast", ($"{Ended}{{{Ours},{GetFeature},{Ok}}}", "0+60x90"), ($"{Ended}{{{Ours},{GetFeature},{Errors}}}", "0+6x90")),
        Fires("RouteServiceErrorBudgetBurnsFast", ($"{Ended}{{{Ours},{GetFeature},{Away}}}", "0+6x90")),
        Silent("RouteServiceErrorBudgetBurnsFast", "nothing fails", ($"{Ended}{{{Ours},{GetFeature},{Ok}}}", "0+60x90")),
        Silent("RouteServiceErrorBudgetBurnsFast", "it is over", ($"{Ended}{{{Ours},{GetFeature},{Ok}}}", "0+60x90"), ($"{Ended}{{{Ours},{GetFeature},{Errors}}}", "0+60x20 1200+0x70")),
        Silent("RouteServiceErrorBudgetBurnsFast", "three calls are too few to tell", ($"{Ended}{{{Ours},{GetFeature},{Errors}}}", "0+0x50 1+1x2 3+0x40")),
        Silent("RouteServiceErrorBudgetBurnsFast", "a rollout ends streams", ($"{Ended}{{{Ours},{GetFeature},{Ok}}}", "0+6x90"), ($"{Ended}{{{Ours},{RouteChat},{Away}}}", "0+600x90")),
        Silent("RouteServiceErrorBudgetBurnsFast", "callers are wrong", ($"{Ended}{{{Ours},{GetFeature},rpc_grpc_status_code=\"3\"}}", "0+60x90")),
        Silent("RouteServiceErrorBudgetBurnsFast", "probes are no calls", ($"{Ended}{{{Ours},rpc_service=\"grpc.health.v1.Health\",rpc_method=\"Check\",{Away}}}", "0+60x90")),
        Fires("RouteServiceErrorBudgetBurnsSlowly", ($"{Ended}{{{Ours},{GetFeature},{Ok}}}", "0+998x90"), ($"{Ended}{{{Ours},{GetFeature},{Errors}}}", "0+2x90")),
        Silent("RouteServiceErrorBudgetBurnsSlowly", "it is within the objective", ($"{Ended}{{{Ours},{GetFeature},{Ok}}}", "0+9999x90"), ($"{Ended}{{{Ours},{GetFeature},{Errors}}}", "0+1x90")),
        Fires("RouteServiceLatencyBudgetBurnsFast", [.. Timed("GetFeature", "0.25", within: 80)]),
        Fires("RouteServiceLatencyBudgetBurnsFast", [.. Timed("ListFeatures", "10", within: 80)]),
        Fires("RouteServiceLatencyBudgetBurnsFast", [.. Timed("ListFeatures", "10.0", within: 80)]),
        Silent("RouteServiceLatencyBudgetBurnsFast", "it is within the objective", [.. Timed("GetFeature", "0.25", within: 100), .. Timed("ListFeatures", "10", within: 99)]),
        Silent("RouteServiceLatencyBudgetBurnsFast", "streams are as long as their callers want", [.. Timed("GetFeature", "0.25", within: 100), .. Timed("RouteChat", "0.25", within: 0)]),
        Fires("RouteServiceLatencyBudgetBurnsSlowly", [.. Timed("SayHello", "0.25", within: 98)]),
        Silent("RouteServiceLatencyBudgetBurnsSlowly", "it is within the objective", [.. Timed("SayHello", "0.25", within: 100)]),
        Fires("RouteServiceSilent", (Other($"routeservice_ready{{{Ours}}}"), "1+0x90")),
        Silent("RouteServiceSilent", "a replica tells of itself", ($"routeservice_ready{{{Ours}}}", "1+0x90")),
        Fires("RouteServiceNotReady", ($"routeservice_ready{{{Ours}}}", "0+0x90"), ($"routeservice_ready{{{Job},instance=\"places-1\"}}", "0+0x90")),
        Silent("RouteServiceNotReady", "one is ready", ($"routeservice_ready{{{Ours}}}", "0+0x90"), ($"routeservice_ready{{{Job},instance=\"places-1\"}}", "1+0x90")),
        Fires("RouteServiceReplicaNotReady", ($"routeservice_ready{{{Ours}}}", "0+0x90"), ($"routeservice_ready{{{Job},instance=\"places-1\"}}", "1+0x90")),
        Silent("RouteServiceReplicaNotReady", "it has just started", ($"routeservice_ready{{{Ours}}}", "_x55 0+0x30"), ($"routeservice_ready{{{Job},instance=\"places-1\"}}", "1+0x90")),
        Fires("RouteServiceFaults", ($"{Ended}{{{Ours},{GetFeature},{Ok}}}", "0+98x90"), ($"{Ended}{{{Ours},{GetFeature},{Errors}}}", "0+2x90")),
        Silent("RouteServiceFaults", "one in a thousand fails", ($"{Ended}{{{Ours},{GetFeature},{Ok}}}", "0+999x90"), ($"{Ended}{{{Ours},{GetFeature},{Errors}}}", "0+1x90")),
        Fires("RouteServiceUnavailable", ($"{Ended}{{{Ours},{GetFeature},{Ok}}}", "0+90x90"), ($"{Ended}{{{Ours},{GetFeature},{Away}}}", "0+10x90")),
        Silent("RouteServiceUnavailable", "a rollout ends streams", ($"{Ended}{{{Ours},{RouteChat},{Away}}}", "0+10x90")),
        Fires("RouteServiceRefusing", ($"{Ended}{{{Ours},{GetFeature},rpc_grpc_status_code=\"8\"}}", "0+120x90")),
        Silent("RouteServiceRefusing", "one a minute is refused", ($"{Ended}{{{Ours},{GetFeature},rpc_grpc_status_code=\"8\"}}", "0+1x90")),
        Fires("RouteServiceConnectionsRejected", ($"kestrel_rejected_connections_total{{{Ours}}}", "_x55 5+0x30")),
        Fires("RouteServiceConnectionsRejected", ($"kestrel_rejected_connections_total{{{Ours}}}", "7+0x55 8+0x30")),
        Silent("RouteServiceConnectionsRejected", "it is over", ($"kestrel_rejected_connections_total{{{Ours}}}", "_x5 5+0x80")),
        Fires("RouteServicePoolUsedUp", ($"db_client_connection_count{{{Ours},db_client_connection_pool_name=\"routeservice\",db_client_connection_state=\"used\"}}", "19+0x90"), ($"db_client_connection_max{{{Ours},db_client_connection_pool_name=\"routeservice\"}}", "20+0x90")),
        Silent("RouteServicePoolUsedUp", "all are open and idle", ($"db_client_connection_count{{{Ours},db_client_connection_pool_name=\"routeservice\",db_client_connection_state=\"used\"}}", "2+0x90"), ($"db_client_connection_count{{{Ours},db_client_connection_pool_name=\"routeservice\",db_client_connection_state=\"idle\"}}", "18+0x90"), ($"db_client_connection_max{{{Ours},db_client_connection_pool_name=\"routeservice\"}}", "20+0x90")),
        Fires("RouteServicePoolExhausted", ($"db_client_connection_npgsql_pending_requests{{{Ours},db_client_connection_pool_name=\"routeservice\"}}", "3+0x90")),
        Silent("RouteServicePoolExhausted", "it has just begun", ($"db_client_connection_npgsql_pending_requests{{{Ours},db_client_connection_pool_name=\"routeservice\"}}", "0+0x59 3+0x30")),
        Fires("RouteServiceStatementsFail", ($"db_client_operation_failed_total{{{Ours}}}", "0+60x90")),
        Silent("RouteServiceStatementsFail", "one a minute fails", ($"db_client_operation_failed_total{{{Ours}}}", "0+1x90")),
        Fires("RouteServiceStatementsSlow", [.. Histogram("db_client_operation_duration_seconds", "db_client_connection_pool_name=\"routeservice\"", "1", "5", within: 90)]),
        Silent("RouteServiceStatementsSlow", "they are fast", [.. Histogram("db_client_operation_duration_seconds", "db_client_connection_pool_name=\"routeservice\"", "1", "5", within: 100)]),
        Silent("RouteServiceStatementsSlow", "an import is slow", [.. Histogram("db_client_operation_duration_seconds", "db_client_connection_pool_name=\"routeservice-unpooled\"", "1", "5", within: 0)]),
        Fires("RouteServiceLookUpsWait", [.. Histogram("routeservice_lookups_wait_seconds", null, "0.1", "0.25", within: 90)]),
        Silent("RouteServiceLookUpsWait", "they are fast", [.. Histogram("routeservice_lookups_wait_seconds", null, "0.1", "0.25", within: 100)]),
        Fires("RouteServiceChatNotFollowed", ($"routeservice_chat_following{{{Ours}}}", "1+0x50 0+0x40")),
        Silent("RouteServiceChatNotFollowed", "it follows again", ($"routeservice_chat_following{{{Ours}}}", "0+0x50 1+0x40")),
        Fires("RouteServiceWatchNotFollowed", ($"routeservice_watch_following{{{Ours}}}", "1+0x50 0+0x40")),
        Silent("RouteServiceWatchNotFollowed", "it follows again", ($"routeservice_watch_following{{{Ours}}}", "0+0x50 1+0x40")),
        Fires("RouteServiceChatCommitsSlow", [.. Histogram("routeservice_chat_commit_duration_seconds", null, "1", "5", within: 90)]),
        Silent("RouteServiceChatCommitsSlow", "they are fast", [.. Histogram("routeservice_chat_commit_duration_seconds", null, "1", "5", within: 100)]),
        Fires("RouteServiceChatFallsBehind", ($"routeservice_chat_fallen_behind_total{{{Ours}}}", "0+0x50 1+0x40")),
        Silent("RouteServiceChatFallsBehind", "it is long ago", ($"routeservice_chat_fallen_behind_total{{{Ours}}}", "0+0x10 1+0x80")),
        Fires("RouteServiceCertificateExpires", [.. Certificate(days: 90, left: 10)]),
        Silent("RouteServiceCertificateExpires", "it has been renewed", [.. Certificate(days: 90, left: 30)]),
        Silent("RouteServiceCertificateExpires", "it lives for a day and has half of it left", [.. Certificate(days: 1, left: 0.5)]),
        Fires("RouteServiceCertificateExpiresSoon", [.. Certificate(days: 90, left: 1)]),
        Fires("RouteServiceCertificateExpiresSoon", [.. Certificate(days: 90, left: -1)]),
        Silent("RouteServiceCertificateExpiresSoon", "it has a week", [.. Certificate(days: 90, left: 7)]),
        Silent("RouteServiceCertificateExpiresSoon", "it lives for a day and has half of it left", [.. Certificate(days: 1, left: 0.5)]),
        Fires("RouteServiceReloadFails", ($"routeservice_reload_failing{{{Ours},setting=\"RouteService__Grpc__CertificatePath\"}}", "0+0x50 1+0x40")),
        Silent("RouteServiceReloadFails", "it has been repaired", ($"routeservice_reload_failing{{{Ours},setting=\"RouteService__Grpc__CertificatePath\"}}", "1+0x50 0+0x40")),
        Fires("RouteServiceMemoryHigh", ($"dotnet_process_memory_working_set_bytes{{{Ours}}}", "480+0x90"), ($"routeservice_process_memory_limit_bytes{{{Ours}}}", "512+0x90")),
        Silent("RouteServiceMemoryHigh", "half is used", ($"dotnet_process_memory_working_set_bytes{{{Ours}}}", "256+0x90"), ($"routeservice_process_memory_limit_bytes{{{Ours}}}", "512+0x90")),
        Fires("RouteServiceCollectsGarbage", ($"dotnet_gc_pause_time_seconds_total{{{Ours}}}", "0+12x90")),
        Silent("RouteServiceCollectsGarbage", "it takes a second a minute", ($"dotnet_gc_pause_time_seconds_total{{{Ours}}}", "0+1x90")),
        Fires("RouteServiceThreadPoolQueues", ($"dotnet_thread_pool_queue_length_total{{{Ours}}}", "200+0x90")),
        Silent("RouteServiceThreadPoolQueues", "few wait", ($"dotnet_thread_pool_queue_length_total{{{Ours}}}", "3+0x90")),
        Fires("RouteServiceNoReplicaReady", ($"kube_deployment_status_replicas_ready{{{Deployment}}}", "0+0x90"), ($"kube_deployment_spec_replicas{{{Deployment}}}", "2+0x90")),
        Silent("RouteServiceNoReplicaReady", "there are to be none", ($"kube_deployment_status_replicas_ready{{{Deployment}}}", "0+0x90"), ($"kube_deployment_spec_replicas{{{Deployment}}}", "0+0x90")),
        Silent("RouteServiceNoReplicaReady", "one is ready", ($"kube_deployment_status_replicas_ready{{{Deployment}}}", "1+0x90"), ($"kube_deployment_spec_replicas{{{Deployment}}}", "2+0x90")),
        Fires("RouteServiceReplicasMissing", ($"kube_deployment_status_replicas_ready{{{Deployment}}}", "1+0x90"), ($"kube_deployment_spec_replicas{{{Deployment}}}", "2+0x90")),
        Silent("RouteServiceReplicasMissing", "there are more during a rollout", ($"kube_deployment_status_replicas_ready{{{Deployment}}}", "3+0x90"), ($"kube_deployment_spec_replicas{{{Deployment}}}", "2+0x90")),
        Fires("RouteServiceRestarts", ($"kube_pod_container_status_restarts_total{{{Pod},container=\"route-service\"}}", "0+0x20 1+1x3 4+0x60")),
        Silent("RouteServiceRestarts", "once is no alert", ($"kube_pod_container_status_restarts_total{{{Pod},container=\"route-service\"}}", "0+0x20 1+0x60")),
        Fires("RouteServiceOutOfMemory", ($"kube_pod_container_status_restarts_total{{{Pod},container=\"route-service\"}}", "0+0x50 1+0x40"), ($"kube_pod_container_status_last_terminated_reason{{{Pod},container=\"route-service\",reason=\"OOMKilled\"}}", "_x50 1+0x40")),
        Silent("RouteServiceOutOfMemory", "it is long ago", ($"kube_pod_container_status_restarts_total{{{Pod},container=\"route-service\"}}", "0+0x10 1+0x80"), ($"kube_pod_container_status_last_terminated_reason{{{Pod},container=\"route-service\",reason=\"OOMKilled\"}}", "_x10 1+0x80")),
        Silent("RouteServiceOutOfMemory", "it ended for another reason", ($"kube_pod_container_status_restarts_total{{{Pod},container=\"route-service\"}}", "0+0x50 1+0x40"), ($"kube_pod_container_status_last_terminated_reason{{{Pod},container=\"route-service\",reason=\"Error\"}}", "_x50 1+0x40")),
        Fires("RouteServiceMigrationFailed", ($"kube_job_failed{{namespace=\"{Namespace}\",job_name=\"{Name}-migration\",condition=\"true\"}}", "1+0x90")),
        Fires("RouteServiceMigrationFailed", ($"kube_job_failed{{namespace=\"{Namespace}\",job_name=\"{Name}-migration-7\",condition=\"true\"}}", "1+0x90")),
        Fires("RouteServiceMigrationFailed", ($"kube_pod_init_container_status_waiting_reason{{{Pod},container=\"migrate\",reason=\"CrashLoopBackOff\"}}", "1+0x90")),
        Silent("RouteServiceMigrationFailed", "it is done", ($"kube_job_failed{{namespace=\"{Namespace}\",job_name=\"{Name}-migration\",condition=\"true\"}}", "0+0x90"), ($"kube_job_failed{{namespace=\"{Namespace}\",job_name=\"{Name}-migration\",condition=\"false\"}}", "1+0x90")),
        Fires("RouteServiceScaledToMaximum", [.. Scaled(pods: 8, most: 8)]),
        Silent("RouteServiceScaledToMaximum", "there is room", [.. Scaled(pods: 5, most: 8)]),
        Silent("RouteServiceScaledToMaximum", "there is nothing to scale", [.. Scaled(pods: 2, most: 2)]),
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-rules-").FullName;

    [Fact]
    public async Task Every_alert_fires_when_it_has_to_and_no_other_service_makes_it()
    {
        var rule = (await RenderAsync()).The("PrometheusRule");
        var alerts = Alerts(rule).Select(static alert => alert.Text("alert")!).Order(StringComparer.Ordinal).ToList();
        Assert.Equal(alerts, Cases.Where(static each => each.IsToFire).Select(static each => each.Alert).Distinct().Order(StringComparer.Ordinal));
        Assert.Equal(alerts, Cases.Where(static each => !each.IsToFire).Select(static each => each.Alert).Distinct().Order(StringComparer.Ordinal));

        var tests = new JsonArray(
        [
            .. Cases.Select(static each => Test(
                $"{each.Alert} {(each.IsToFire ? "fires" : $"is silent: {each.Reason}")}",
                each.Series,
                $"count(ALERTS{{alertname=\"{each.Alert}\",alertstate=\"firing\"}}) > bool 0 or vector(0)",
                each.IsToFire ? 1 : 0)),

            // The same, told of another service in another namespace, beside ours which is well.
            .. Cases.Where(static each => each.IsToFire).Select(static each => Test(
                $"{each.Alert} is not fired by another service",
                [.. each.Series.Select(static series => (Other(series.Name), series.Values))],
                AnyOfOurs,
                0)),
        ]);
        await File.WriteAllTextAsync(Path.Combine(_folder, "rules.yaml"), rule["spec"]!.ToJsonString(), TestContext.Current.CancellationToken);
        var file = Path.Combine(_folder, "tests.yaml");
        await File.WriteAllTextAsync(file, new JsonObject { ["rule_files"] = new JsonArray("rules.yaml"), ["evaluation_interval"] = "1m", ["tests"] = tests }.ToJsonString(), TestContext.Current.CancellationToken);

        (await PromtoolAsync("check", "rules", Path.Combine(_folder, "rules.yaml"))).AssertSuccess();
        (await PromtoolAsync("test", "rules", file)).AssertSuccess();
    }

    [Fact]
    public async Task The_files_are_rules_without_Helm_too()
    {
        var files = (string[])["rules.yaml", "rules-kubernetes.yaml"];
        (await PromtoolAsync(["check", "rules", .. files.Select(static file => Path.Combine(Helm.Chart, "files", file))])).AssertSuccess();

        // Nothing of the files' own release is left in that of another, but the name of the container.
        var other = await RenderAsync("--set", "nameOverride=geo");
        var text = Expressions(other).Replace("container=\"route-service\"", "", StringComparison.Ordinal);
        Assert.Contains("\"places-geo-", text);
        Assert.All((string[])["\"route-service", "\"default\"", "LATENCY"], left => Assert.DoesNotContain(left, text));
        Assert.All(other.The("PrometheusRule").List("spec.groups").SkipLast(1), static group => Assert.StartsWith($"{Namespace}.places-geo.", group.Text("name")));
    }

    [Fact]
    public async Task Every_method_of_the_contract_has_the_objectives_of_its_shape()
    {
        var rules = await File.ReadAllTextAsync(
            Repository.File("deploy", "helm", "route-service", "files", "rules.yaml"), TestContext.Current.CancellationToken);
        var protos = Directory.GetFiles(Repository.File("protos"), "*.proto", SearchOption.AllDirectories);
        var methods = protos.SelectMany(proto => Method().Matches(File.ReadAllText(proto))).ToLookup(
            method => (method.Groups[2].Success, method.Groups[3].Success), method => method.Groups[1].Value);

        Assert.All(MethodsOf("le=\"0.25\",rpc_method=~"), named => Assert.Equal(methods[(false, false)].Distinct().Order(), named));
        Assert.All(
            MethodsOf("rpc_grpc_status_code=\"14\",rpc_method!~"),
            named => Assert.Equal(methods[(true, false)].Concat(methods[(true, true)]).Append("WatchFeatures").Order(), named));
        Assert.All(
            MethodsOf("le=~\"10|10[.]0\",rpc_method=~"),
            named => Assert.Equal(methods[(false, true)].Order(), named.Append("StreamFeatures").Append("WatchFeatures").Order()));

        List<List<string>> MethodsOf(string selector)
        {
            var found = Regex.Matches(rules, $"{Regex.Escape(selector)}\"([^\"]*)\"").Select(match => match.Groups[1].Value.Split('|').Order().ToList()).ToList();
            Assert.NotEmpty(found);
            return found;
        }
    }

    [Fact]
    public async Task Two_releases_share_no_group_selector_uid_or_file()
    {
        var (blue, green) = (await RenderReleaseAsync("blue", "one"), await RenderReleaseAsync("green", "one"));
        var other = await RenderReleaseAsync("blue", "two");
        Manifest[] all = [blue, green, other];

        Assert.Equal(9, all.SelectMany(static manifest => manifest.The("PrometheusRule").List("spec.groups").SkipLast(1)).Select(static group => group.Text("name")).Distinct().Count());
        var jobs = all.Select(static manifest => Assert.Single(Selected().Matches(Expressions(manifest)).Select(static match => match.Groups[1].Value).Distinct())).ToList();
        Assert.Equal(["one/blue-route-service", "one/green-route-service", "two/blue-route-service"], jobs);
        var dashboards = all.Select(static manifest => Assert.Single(manifest.OfKind("ConfigMap").Single(static o => o.Name().EndsWith("-dashboard", StringComparison.Ordinal)).Map("data"))).ToList();
        Assert.Equal(3, dashboards.Select(static file => file.Key).Distinct().Count());
        foreach (var key in (string[])["uid", "title"])
        {
            Assert.Equal(3, dashboards.Select(file => JsonNode.Parse(file.Value)![key]!.GetValue<string>()).Distinct().Count());
        }

        static async Task<Manifest> RenderReleaseAsync(string release, string space) => Manifest.Parse(
            (await Helm.RunAsync("template", release, Helm.Chart, "--kube-version", Helm.KubernetesVersion, "-f", Helm.ValueSets["monitoring"], "--namespace", space)).AssertSuccess().Output);
    }

    [Fact]
    public async Task Every_expression_selects_by_the_job_or_by_the_names_of_the_release()
    {
        foreach (var rule in (await RenderAsync()).The("PrometheusRule").List("spec.groups").SkipLast(1).SelectMany(static group => group.List("rules")))
        {
            var expression = rule.Text("expr")!;
            Assert.All(Selector().Matches(expression), selector => Assert.True(
                selector.Value.Contains(Job, StringComparison.Ordinal) || selector.Value.Contains($"namespace=\"{Namespace}\"", StringComparison.Ordinal),
                $"{selector.Value} of {rule.Text("alert") ?? rule.Text("record")}"));

            // No name of a metric is without a selector.
            Assert.DoesNotMatch(Bare(), Labels().Replace(Selector().Replace(expression, "{"), ""));
        }
    }

    [Fact]
    public async Task What_the_alerts_of_pods_select_is_what_is_rendered()
    {
        var manifest = await Helm.TemplateSetAsync("monitoring", "--namespace", Namespace, "--set", "autoscaling.enabled=true");
        var expressions = Expressions(manifest);

        Assert.Contains($"deployment=\"{manifest.Deployment.Name()}\"", expressions);
        Assert.Contains($"horizontalpodautoscaler=\"{manifest.The("HorizontalPodAutoscaler").Name()}\"", expressions);
        Assert.Contains($"container=\"{manifest.Deployment.List("spec.template.spec.containers").First().Text("name")}\"", expressions);
        Assert.Matches($"^(?:{JobName().Match(expressions).Groups[1].Value})$", manifest.The("Job").Name());
        Assert.Matches($"^(?:{PodName().Match(expressions).Groups[1].Value})$", $"{manifest.Deployment.Name()}-5d8f7c9b6d-x2x4z");
        var migrate = (await Helm.TemplateSetAsync("init-container")).Deployment.List("spec.template.spec.initContainers").Select(static container => container.Text("name")!);
        Assert.Contains(migrate, name => expressions.Contains($"container=\"{name}\"", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Users_decide_on_labels_objectives_runbooks_and_alerts()
    {
        var rule = (await RenderAsync(
            "--set", "prometheusRule.additionalLabels.team=geo,prometheusRule.disabled={RouteServiceRefusing,RouteServiceRestarts}",
            "--set", "telemetry.runbookUrl=https://wiki.example/runbooks,telemetry.job=geo/places",
            "--set-json", "prometheusRule.objectives={\"availability\":0.99,\"latency\":0.95}")).The("PrometheusRule");

        var alerts = Alerts(rule).ToList();
        Assert.DoesNotContain(alerts, static alert => alert.Text("alert") is "RouteServiceRefusing" or "RouteServiceRestarts");
        Assert.All(alerts, static alert =>
        {
            Assert.Equal(("geo", Namespace), (alert.Text("labels.team"), alert.Text("labels.namespace")));
            Assert.Contains(alert.Text("labels.severity"), (string[])["critical", "warning"]);
            Assert.Equal($"https://wiki.example/runbooks#{alert.Text("alert")!.ToLowerInvariant()}", alert.Text("annotations.runbook_url"));
        });
        Assert.Contains("> 14.4 * (1 - 0.99)", alerts.Single(static alert => alert.Text("alert") == "RouteServiceErrorBudgetBurnsFast").Text("expr"));
        Assert.Contains("> 14.4 * (1 - 0.95)", alerts.Single(static alert => alert.Text("alert") == "RouteServiceLatencyBudgetBurnsFast").Text("expr"));
        Assert.Contains("job=\"geo/places\"", alerts.Single(static alert => alert.Text("alert") == "RouteServiceSilent").Text("expr"));

        var without = Alerts((await RenderAsync("--set", "prometheusRule.kubernetes=false")).The("PrometheusRule")).ToList();
        Assert.Equal(alerts.Count - 4, without.Count);
        Assert.All(without, static alert => Assert.DoesNotContain("kube_", alert.Text("expr")));
    }

    [Fact]
    public async Task Every_alert_has_its_runbook_and_is_in_the_manual_and_the_other_way_round()
    {
        var runbooks = await File.ReadAllTextAsync(Repository.File("docs", "operations", "runbooks.md"), TestContext.Current.CancellationToken);
        var manual = await File.ReadAllTextAsync(Repository.File("docs", "operations", "observability.md"), TestContext.Current.CancellationToken);
        var alerts = Alerts((await RenderAsync()).The("PrometheusRule")).ToDictionary(static alert => alert.Text("alert")!);

        var sections = Runbook().Matches(runbooks).ToDictionary(static match => match.Groups[1].Value, static match => match.Groups[2].Value);
        Assert.Equal(alerts.Keys.Order(StringComparer.Ordinal), sections.Keys.Order(StringComparer.Ordinal));
        Assert.All(sections, static section => Assert.All((string[])["**Means.**", "**See.**", "**Do.**"], part => Assert.Contains($"{part} ", section.Value)));
        Assert.All(alerts, static alert => Assert.Equal($"docs/operations/runbooks.md#{alert.Key.ToLowerInvariant()}", alert.Value.Text("annotations.runbook_url")));
        Assert.Equal(
            alerts.Select(static alert => $"[`{alert.Key}`](runbooks.md#{alert.Key.ToLowerInvariant()}) | {alert.Value.Text("labels.severity")}").Order(StringComparer.Ordinal),
            TableRow().Matches(manual).Select(static match => match.Groups[1].Value).Order(StringComparer.Ordinal));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static Task<Manifest> RenderAsync(params IEnumerable<string> arguments) =>
        Helm.TemplateSetAsync("monitoring", ["--namespace", Namespace, .. arguments]);

    private static async Task<Command> PromtoolAsync(params IEnumerable<string> arguments)
    {
        try
        {
            return await Command.RunAsync("promtool", arguments);
        }
        catch (Win32Exception)
        {
            Assert.Skip("There is no promtool (Debian: prometheus).");
            throw;
        }
    }

    // Without the group that the set of values adds.
    private static IEnumerable<JsonObject> Alerts(JsonObject rule) =>
        rule.List("spec.groups").SkipLast(1).SelectMany(static group => group.List("rules")).Where(static each => each["alert"] is not null);

    private static string Expressions(Manifest manifest) =>
        string.Join('\n', manifest.The("PrometheusRule").List("spec.groups").SelectMany(static group => group.List("rules")).Select(static each => each.Text("expr")));

    private static JsonObject Test(string name, IEnumerable<(string Name, string Values)> series, string expression, int expected)
    {
        List<(string Name, string Values)> all = [.. series];
        if (!all.Any(static each => each.Name.StartsWith("routeservice_ready", StringComparison.Ordinal)) || expression == AnyOfOurs)
        {
            all.Add(($"routeservice_ready{{{Job},instance=\"well\"}}", "1+0x90"));
        }

        return new JsonObject
        {
            ["name"] = name,
            ["interval"] = "1m",
            ["input_series"] = new JsonArray([.. all.Select(static each => new JsonObject { ["series"] = each.Name, ["values"] = each.Values })]),
            ["promql_expr_test"] = new JsonArray(new JsonObject
            {
                ["expr"] = expression,
                ["eval_time"] = "61m",
                ["exp_samples"] = new JsonArray(new JsonObject { ["labels"] = "{}", ["value"] = expected }),
            }),
        };
    }

    private static string Other(string series) => series
        .Replace(Job, "job=\"elsewhere/route-service\"", StringComparison.Ordinal)
        .Replace($"namespace=\"{Namespace}\"", "namespace=\"elsewhere\"", StringComparison.Ordinal);

    // A hundred calls a minute.
    private static IEnumerable<(string Name, string Values)> Timed(string method, string bound, int within) =>
    [
        ($"{Ended}{{{Ours},rpc_service=\"x\",rpc_method=\"{method}\",{Ok}}}", "0+100x90"),
        ($"{Within}{{{Ours},rpc_service=\"x\",rpc_method=\"{method}\",{Ok},le=\"{bound}\"}}", $"0+{within}x90"),
    ];

    private static IEnumerable<(string Name, string Values)> Histogram(string name, string? labels, string bound, string next, int within) =>
        from bucket in (IEnumerable<(string Bound, int Count)>)[(bound, within), (next, 100), ("+Inf", 100)]
        select ($"{name}_bucket{{{Ours},{(labels is null ? "" : $"{labels},")}le=\"{bucket.Bound}\"}}", $"0+{bucket.Count}x90");

    // One that has so many days left when an hour has passed.
    private static IEnumerable<(string Name, string Values)> Certificate(int days, double left)
    {
        var end = 3_600 + (int)(left * Day);
        return
        [
            ($"routeservice_tls_certificate_not_after_seconds{{{Ours}}}", $"{end}+0x90"),
            ($"routeservice_tls_certificate_not_before_seconds{{{Ours}}}", $"{end - (days * Day)}+0x90"),
        ];
    }

    private static IEnumerable<(string Name, string Values)> Scaled(int pods, int most) =>
    [
        ($"kube_horizontalpodautoscaler_status_current_replicas{{{Scaler}}}", $"{pods}+0x90"),
        ($"kube_horizontalpodautoscaler_spec_max_replicas{{{Scaler}}}", $"{most}+0x90"),
        ($"kube_horizontalpodautoscaler_spec_min_replicas{{{Scaler}}}", "2+0x90"),
    ];

    private static Case Fires(string alert, params (string Name, string Values)[] series) => new(alert, true, "", series);

    private static Case Silent(string alert, string reason, params (string Name, string Values)[] series) => new(alert, false, reason, series);

    [GeneratedRegex(@"rpc (\w+) ?\((stream )?[\w.]+\) returns \((stream )?[\w.]+\)")]
    private static partial Regex Method();

    [GeneratedRegex("job=\"([^\"]*)\"")]
    private static partial Regex Selected();

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Selector();

    [GeneratedRegex(@"\b(by|on) \([^)]*\)")]
    private static partial Regex Labels();

    [GeneratedRegex(@"\b((rpc|routeservice|db_client|dotnet|kestrel|kube)_|job:)[\w:]+(?![\w:{])")]
    private static partial Regex Bare();

    [GeneratedRegex("job_name=~\"([^\"]*)\"")]
    private static partial Regex JobName();

    [GeneratedRegex("pod=~\"([^\"]*)\"")]
    private static partial Regex PodName();

    [GeneratedRegex(@"(?ms)^### (RouteService\w+)\n(.*?)(?=^#|\z)")]
    private static partial Regex Runbook();

    [GeneratedRegex(@"(?m)^\| (\[`RouteService\w+`\]\([^)]*\) \| \w+) \|")]
    private static partial Regex TableRow();

    private sealed record Case(string Alert, bool IsToFire, string Reason, (string Name, string Values)[] Series);
}
