using System.ComponentModel;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace RouteService.Helm.Tests;

/// <summary>That the services of compose.yaml fit each other and their files. An engine is not needed for that.</summary>
public sealed partial class ComposeTests
{
    private const string Profile = "observability";

    private static readonly JsonObject Compose = Yaml.ParseFile(Repository.File("compose.yaml"));

    [Fact]
    public void Images_are_of_a_version_and_mounted_files_are_there()
    {
        Assert.All(Services(), static service =>
        {
            Assert.True(service.Value.Text("image") is { } image ? Version().IsMatch(image) : service.Value["build"] is not null, $"{service.Key} is of no version.");
            Assert.All(Mounts(service.Value), static mount => Assert.True(File.Exists(Repository.File(mount.From.Split('/'))), mount.From));
            Assert.All(service.Value.At("volumes")?.AsArray().Select(static v => v!.GetValue<string>()).Where(static v => v.StartsWith("./", StringComparison.Ordinal)) ?? [], static v => Assert.EndsWith(":ro", v));
        });
    }

    [Fact]
    public void Without_the_profile_there_is_no_telemetry_and_with_it_the_service_sends_to_the_collector()
    {
        Assert.Equal(["collector", "grafana", "prometheus"], Services().Where(static s => s.Value.Texts("profiles").Contains(Profile)).Select(static s => s.Key).Order(StringComparer.Ordinal));
        var endpoint = OfProfile().Match(Services()["route-service"].Text("environment.OTEL_EXPORTER_OTLP_ENDPOINT")!);
        Assert.True(endpoint.Success, "The endpoint has to be empty where COMPOSE_PROFILES is.");

        var target = new Uri(endpoint.Groups[1].Value);
        var collector = ConfigurationOf("collector", "--config=");
        Assert.Contains(target.Host, Services().Keys);
        Assert.Equal($"0.0.0.0:{target.Port}", collector.Text("receivers.otlp.protocols.grpc.endpoint"));
    }

    [Fact]
    public void The_collector_has_what_its_pipelines_name_and_gives_metrics_to_Prometheus()
    {
        var collector = ConfigurationOf("collector", "--config=");
        var pipelines = collector.At("service.pipelines")!.AsObject();

        Assert.Equal(["logs", "metrics", "traces"], pipelines.Select(static p => p.Key).Order(StringComparer.Ordinal));
        foreach (var part in (string[])["receivers", "processors", "exporters"])
        {
            Assert.Equal(
                collector[part]!.AsObject().Select(static p => p.Key).Order(StringComparer.Ordinal),
                pipelines.SelectMany(pipeline => pipeline.Value!.Texts(part)).Distinct().Order(StringComparer.Ordinal));
        }

        var exporter = Assert.Single(pipelines["metrics"]!.Texts("exporters"));
        Assert.Equal("http://prometheus:9090/api/v1/otlp", collector["exporters"]![exporter]!.Text("endpoint"));
        Assert.Contains("--web.enable-otlp-receiver", Services()["prometheus"].Texts("command"));
    }

    [Fact]
    public async Task Prometheus_takes_its_configuration_with_the_rules_beside_it()
    {
        // As in its container.
        var folder = Directory.CreateTempSubdirectory("route-service-compose-");
        try
        {
            var mounts = Mounts(Services()["prometheus"]).ToList();
            Assert.Single(mounts.Select(static mount => Path.GetDirectoryName(mount.To)).Distinct());
            foreach (var (from, to) in mounts)
            {
                File.Copy(Repository.File(from.Split('/')), Path.Combine(folder.FullName, Path.GetFileName(to)));
            }

            var configuration = Path.GetFileName(Argument("prometheus", "--config.file="));
            var check = await Command.RunAsync("promtool", ["check", "config", Path.Combine(folder.FullName, configuration)]);
            Assert.Contains("41 rules found", check.AssertSuccess().Output + check.Error);
        }
        catch (Win32Exception)
        {
            Assert.Skip("There is no promtool (Debian: prometheus).");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void Grafana_finds_Prometheus_and_the_dashboard()
    {
        var mounts = Mounts(Services()["grafana"]).ToList();
        var source = Assert.Single(Yaml.ParseFile(Repository.File("deploy", "observability", "grafana-datasources.yaml")).List("datasources"));
        var provider = Assert.Single(Yaml.ParseFile(Repository.File("deploy", "observability", "grafana-dashboards.yaml")).List("providers"));
        var (from, to) = Assert.Single(mounts, static mount => mount.From.EndsWith("dashboard.json", StringComparison.Ordinal));
        var dashboard = JsonNode.Parse(File.ReadAllText(Repository.File(from.Split('/'))))!;

        Assert.Equal(("prometheus", true), (source.Text("type"), source.Flag("isDefault")));
        Assert.Contains(new Uri(source.Text("url")!).Host, Services().Keys);
        Assert.Contains(mounts, static mount => mount.To.StartsWith("/etc/grafana/provisioning/datasources/", StringComparison.Ordinal));
        Assert.Contains(mounts, static mount => mount.To.StartsWith("/etc/grafana/provisioning/dashboards/", StringComparison.Ordinal));
        Assert.Equal(provider.Text("options.path"), Path.GetDirectoryName(to));

        // The address that the manual and compose.yaml give.
        Assert.Contains($"http://localhost:3000/d/{dashboard.Text("uid")}\n", File.ReadAllText(Repository.File("compose.yaml")));
        var milliseconds = int.Parse(Services()["route-service"].Text("environment.OTEL_METRIC_EXPORT_INTERVAL")!);
        Assert.Equal($"{milliseconds / 1_000}s", source.Text("jsonData.timeInterval"));
    }

    private static Dictionary<string, JsonObject> Services() => Compose["services"]!.AsObject().ToDictionary(static s => s.Key, static s => s.Value!.AsObject());

    private static IEnumerable<(string From, string To)> Mounts(JsonObject service) =>
        from volume in service.At("volumes")?.AsArray().Select(static v => v!.GetValue<string>()) ?? []
        where volume.StartsWith("./", StringComparison.Ordinal)
        select (volume.Split(':')[0][2..], volume.Split(':')[1]);

    private static string Argument(string service, string option) => Services()[service].Texts("command").Single(argument => argument.StartsWith(option, StringComparison.Ordinal))[option.Length..];

    /// <summary>The file that a service's option names, as it is in the repository.</summary>
    private static JsonObject ConfigurationOf(string service, string option) =>
        Yaml.ParseFile(Repository.File(Mounts(Services()[service]).Single(mount => mount.To == Argument(service, option)).From.Split('/')));

    [GeneratedRegex(@"(:v?\d+(\.\d+)*[-\w.]*|@sha256:[0-9a-f]{64})$")]
    private static partial Regex Version();

    [GeneratedRegex(@"^\$\{COMPOSE_PROFILES:\+(http://[^}]+)\}$")]
    private static partial Regex OfProfile();
}
