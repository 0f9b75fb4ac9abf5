using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using RouteService.Api.Telemetry;

namespace RouteService.Helm.Tests;

/// <summary>That the objects of a release fit each other, and the service.</summary>
public sealed partial class ConsistencyTests
{
    private const string Component = "app.kubernetes.io/component";

    private static readonly string[] Foreign = ["ScaledObject", "ExternalSecret", "Cluster", "HealthCheckPolicy"];

    public static TheoryData<string> Sets => Helm.ValueSetNames;

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task Every_object_has_a_name_of_its_own_and_the_recommended_labels(string set)
    {
        var objects = (await Helm.TemplateSetAsync(set, "--namespace", "services")).Objects;

        Assert.Equal(objects.Count, objects.DistinctBy(static o => (o.Kind(), o.Name())).Count());

        // What a user adds is theirs.
        Assert.All(objects.Where(static o => !Foreign.Contains(o.Kind()) && o.Name() is not ("places-more" or "places-route-service-text")), o =>
        {
            var labels = o.Map("metadata.labels");
            Assert.Superset(
                new HashSet<string>(["name", "instance", "component", "version", "part-of", "managed-by"]).Select(static name => $"app.kubernetes.io/{name}").ToHashSet(),
                labels.Keys.ToHashSet());
            Assert.Equal(set == "other-namespace" ? "places" : "services", o.Text("metadata.namespace"));
        });
    }

    [Fact]
    public async Task Names_that_YAML_takes_for_numbers_stay_texts()
    {
        var text = (await Helm.RunAsync(
            ["template", "4711", Helm.Chart, .. Helm.OptionsOf("database"), "--namespace", "123", "--set", "fullnameOverride=places,nameOverride=1e3"])).AssertSuccess().Output;

        Assert.Contains("app.kubernetes.io/instance: \"4711\"", text);
        Assert.Contains("namespace: \"123\"", text);
        Assert.Contains("app.kubernetes.io/name: \"1e3\"", text);
        Assert.DoesNotMatch("(instance|namespace|name): (4711|123|1e3|1000)\\s", text);
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task Every_selector_finds_the_pods_that_it_is_for(string set)
    {
        var manifest = await Helm.TemplateSetAsync(set);
        var selectors = manifest.Objects.Select(static o => (Object: o, Selector: o.Kind() switch
        {
            "Service" => o.Map("spec.selector"),
            "Deployment" or "StatefulSet" or "PodDisruptionBudget" => o.Map("spec.selector.matchLabels"),
            "NetworkPolicy" => o.Map("spec.podSelector.matchLabels"),
            _ => null,
        })).Where(static found => found.Selector is not null).ToList();

        Assert.True(selectors.Count >= 4);
        Assert.All(selectors, found =>
        {
            // Pods of one component: a Service that met the pods of a job would send calls there.
            var pods = manifest.Pods.Where(pod => found.Selector!.All(label => pod.Template.Map("metadata.labels").GetValueOrDefault(label.Key) == label.Value)).ToList();
            Assert.NotEmpty(pods);
            Assert.All(pods, pod => Assert.Equal(found.Object.Map("metadata.labels")[Component], pod.Owner.Map("metadata.labels")[Component]));
        });
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task Every_port_that_is_named_is_a_containers(string set)
    {
        var manifest = await Helm.TemplateSetAsync(set);
        var server = manifest.Deployment.List("spec.template.spec.containers").First();
        var ports = manifest.Pods.SelectMany(static pod => pod.Containers).SelectMany(static c => c.List("ports")).Select(static p => p.Text("name")).ToList();
        var variables = manifest.The("ConfigMap", manifest.Deployment.Name()).Map("data");

        Assert.Equal(
            [("grpc", variables["RouteService__Grpc__Port"]), ("management", variables["RouteService__Management__Port"])],
            server.List("ports").Select(static p => (p.Text("name")!, $"{p.Number("containerPort")}")));
        Assert.All(
            manifest.OfKind("Service").SelectMany(static s => s.List("spec.ports")).Where(static p => p.Text("name") != "admin").Select(static p => p.Text("targetPort"))
                .Concat(Probes(server).Where(static p => p["httpGet"] is not null).Select(static p => p.Text("httpGet.port"))),
            port => Assert.Contains(port, ports));

        var service = manifest.The("Service", manifest.Deployment.Name());
        Assert.Equal(set == "static-address" ? ["grpc", "admin"] : ["grpc"], service.List("spec.ports").Select(static p => p.Text("name")));
        Assert.All(
            manifest.OfKind("Ingress").SelectMany(static i => i.List("spec.rules")).SelectMany(static r => r.List("http.paths")).Select(static p => p.At("backend.service")!),
            backend => Assert.Equal((service.Name(), "grpc"), (backend.Text("name"), backend.Text("port.name"))));
        Assert.All(
            manifest.OfKind("GRPCRoute").SelectMany(static r => r.List("spec.rules")).SelectMany(static r => r.List("backendRefs")).Where(static b => b.Text("name") != "chat"),
            backend => Assert.Equal((service.Name(), service.List("spec.ports").First().Number("port")), (backend.Text("name"), backend.Number("port"))));
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task Every_variable_is_one_that_the_service_knows(string set)
    {
        var manifest = await Helm.TemplateSetAsync(set);
        string[] documents = [Repository.File("docs", "configuration.md"), .. Directory.GetFiles(Repository.File("docs", "operations"), "*.md")];
        var docs = string.Concat(await Task.WhenAll(documents.Select(static d => File.ReadAllTextAsync(d, TestContext.Current.CancellationToken))));

        foreach (var container in manifest.Pods.SelectMany(static pod => pod.Ours))
        {
            var variables = container.List("env").ToList();
            var fields = variables.Where(static v => v.At("valueFrom.fieldRef") is not null).Select(static v => v.Text("name")!);
            var own = variables.Select(static v => v.Text("value")).OfType<string>().SelectMany(static v => References().Matches(v)).Select(static m => m.Groups[1].Value);
            var names = variables.Select(static v => v.Text("name")!)
                .Concat(container.List("envFrom").Select(static e => e.Text("configMapRef.name"))
                    .Where(name => name == manifest.Deployment.Name())
                    .SelectMany(name => manifest.The("ConfigMap", name).Map("data").Keys))
                .Except(own)
                .Except(fields)
                .Except(["PGSSLKEYLOGFILE", "CREDENTIALS"]);
            Assert.All(names, name => Assert.Contains(name.StartsWith("Logging__LogLevel__", StringComparison.Ordinal) ? "`Logging__LogLevel__…`" : $"`{name}`", docs));
        }
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task Every_mount_is_a_volumes_and_every_file_that_is_set_is_mounted(string set)
    {
        var manifest = await Helm.TemplateSetAsync(set);

        Assert.All(manifest.Pods, static pod =>
        {
            var volumes = pod.Spec.List("volumes").Select(static v => v.Text("name")!).Concat(pod.Owner.List("spec.volumeClaimTemplates").Select(static v => v.Text("metadata.name")!)).ToList();
            var mounts = pod.Containers.SelectMany(static c => c.List("volumeMounts")).ToList();
            Assert.Equal(volumes.Count, volumes.Distinct().Count());
            Assert.Equal(volumes.Order(StringComparer.Ordinal), mounts.Select(static m => m.Text("name")!).Distinct().Order(StringComparer.Ordinal));

            // A file alone would not follow its Secret.
            Assert.All(mounts, static m => Assert.Null(m["subPath"]));
        });

        var server = manifest.Deployment.List("spec.template.spec.containers").First();
        var files = server.List("volumeMounts").SelectMany(
            mount => manifest.Deployment.List("spec.template.spec.volumes").Single(v => v.Text("name") == mount.Text("name")),
            static (mount, volume) => (Path: mount.Text("mountPath"), Source: volume.Value)).SelectMany(
            static v => (v.Source as JsonObject)?.List("items").Select(item => $"{v.Path}/{item.Text("path")}") ?? []);
        Assert.Equal(
            manifest.The("ConfigMap", manifest.Deployment.Name()).Map("data").Where(static v => v.Value.StartsWith("/etc/", StringComparison.Ordinal)).Select(static v => v.Value).Order(StringComparer.Ordinal),
            files.Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task What_a_hook_needs_before_the_install_is_there_before(string set)
    {
        var manifest = await Helm.TemplateSetAsync(set);
        var later = manifest.Objects.Where(static o => !o.IsHook("pre-install")).Select(static o => $"\"{o.Name()}\"").ToHashSet();
        var early = manifest.Objects.Where(static o => o.IsHook("pre-install")).ToList();

        // Nothing of the release proper exists then: not its Secrets, not its ServiceAccount, not its PostGIS. That would be a deadlock.
        Assert.All(early.Where(static o => o.Kind() == "Job"), job => Assert.All(
            References(job.At("spec.template.spec")!), name => Assert.DoesNotContain($"\"{name}\"", later)));
        Assert.All(early, o =>
        {
            Assert.True(o.IsHook("pre-upgrade"));
            Assert.Contains("before-hook-creation", o.Map("metadata.annotations")["helm.sh/hook-delete-policy"]);
            Assert.Equal(o.Kind() == "Job" ? "0" : "-5", o.Map("metadata.annotations")["helm.sh/hook-weight"]);
        });
        Assert.Equal(HasHook(set) ? 1 : 0, early.Count(static o => o.Kind() == "Job"));
        Assert.Equal(IsPlain(set) ? 1 : 0, manifest.OfKind("Job").Count(static o => !o.IsHook("pre-install")));

        static IEnumerable<string> References(JsonNode pod) => ((string?[])
        [
            pod.Text("serviceAccountName"),
            .. pod.List("containers").Concat(pod.List("initContainers")).SelectMany(static c => c.List("env")).Select(static e => e.Text("valueFrom.secretKeyRef.name")),
            .. pod.List("volumes").SelectMany(static v => (string?[])[v.Text("secret.secretName"), v.Text("configMap.name"), v.Text("persistentVolumeClaim.claimName")]),
        ]).OfType<string>();
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task A_pod_is_not_killed_before_it_has_ended_its_calls(string set)
    {
        var manifest = await Helm.TemplateSetAsync(set);
        var variables = manifest.The("ConfigMap", manifest.Deployment.Name()).Map("data");
        var pod = manifest.Deployment.At("spec.template.spec")!;
        var sleep = pod.List("containers").First().Number("lifecycle.preStop.sleep.seconds") ?? 0;

        // The last telemetry comes after the rest.
        Assert.True(pod.Number("terminationGracePeriodSeconds")
            > TelemetryShutdown.Limit.TotalSeconds + sleep + int.Parse(variables["RouteService__Shutdown__DelaySeconds"]) + int.Parse(variables["RouteService__Shutdown__GraceSeconds"]));
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task How_many_pods_there_are_is_said_once_and_a_drain_can_take_one(string set)
    {
        var manifest = await Helm.TemplateSetAsync(set);
        var scaler = manifest.OfKind("HorizontalPodAutoscaler").SingleOrDefault();
        var replicas = manifest.Deployment.Number("spec.replicas");

        Assert.Equal(scaler is not null || set == "keda", replicas is null);
        var budget = manifest.The("PodDisruptionBudget");
        Assert.Single((string[])["minAvailable", "maxUnavailable"], field => budget.At($"spec.{field}") is not null);
        Assert.NotEqual("0", budget.At("spec.maxUnavailable")?.ToString());
        Assert.True((budget.Number("spec.minAvailable") ?? 0) < (replicas ?? scaler?.Number("spec.minReplicas") ?? 1) || set == "argo-rollouts");
    }

    [Theory]
    [InlineData("settings.chat.keepDays=5")]
    [InlineData("logging.level=Debug")]
    [InlineData("telemetry.endpoint=http://collector:4317")]
    public async Task Another_configuration_is_another_pod(string change)
    {
        var (before, after) = (await Helm.TemplateSetAsync("database"), await Helm.TemplateSetAsync("database", "--set", change));

        Assert.NotEqual(Annotations(before)["checksum/config"], Annotations(after)["checksum/config"]);
    }

    [Fact]
    public async Task Another_connection_is_another_pod_and_a_new_version_of_the_chart_alone_is_not()
    {
        var before = await Helm.TemplateSetAsync("on-start");
        var connected = await Helm.TemplateSetAsync("on-start", "--set", "database.connectionString=Host=other");
        var scaled = await Helm.TemplateSetAsync("on-start", "--set", "replicas=3,podDisruptionBudget.enabled=false");

        Assert.NotEqual(Annotations(before)["checksum/connection"], Annotations(connected)["checksum/connection"]);
        Assert.Equal(Template(before), Template(scaled));
        Assert.DoesNotContain("helm.sh/chart", Template(before));

        static string Template(Manifest manifest) => manifest.Deployment.At("spec.template")!.ToJsonString();
    }

    [Fact]
    public async Task Closed_doors_leave_open_what_is_needed()
    {
        var production = await Helm.TemplateSetAsync("production");
        var policy = production.The("NetworkPolicy", "places-route-service");
        var job = production.The("NetworkPolicy", "places-route-service-migration");

        Assert.Equal([53, 53, 5432, 6432, 4317], EgressPorts(policy));
        Assert.Equal([53, 53, 5432, 6432], EgressPorts(job));
        Assert.Null(job.At("spec.ingress"));

        // helm test comes in beside those who were named.
        var test = production.The("Pod", "places-route-service-test-health").Map("metadata.labels");
        Assert.All(policy.List("spec.ingress"), rule => Assert.Contains(
            rule.List("from"), peer => peer.At("podSelector") is not null && peer.Map("podSelector.matchLabels").All(label => test[label.Key] == label.Value)));

        var trial = await Helm.TemplateSetAsync("postgis-kept");
        var closed = await Helm.TemplateSetAsync("openshift-closed");
        Assert.Equal([53, 53, 5353, 5353, 5432], EgressPorts(closed.The("NetworkPolicy", "places-route-service-migration")));
        Assert.Equal([53, 53, 5353, 5353, 50051, 8081], EgressPorts(closed.The("NetworkPolicy", "places-route-service-test")));
        Assert.Equal([53, 53, 5353, 5353, 5432], EgressPorts((await Helm.TemplateSetAsync("other-dns")).The("NetworkPolicy", "places-route-service")));
        Assert.Equal([53, 53, 5432, 5433], EgressPorts((await Helm.TemplateSetAsync("cloud-roles")).The("NetworkPolicy", "places-route-service")));
        Assert.Equal([53, 53, 5432, 8080], EgressPorts((await Helm.TemplateSetAsync("jwks-url")).The("NetworkPolicy", "places-route-service")));

        Assert.Equal([53, 53, 5432], EgressPorts(trial.The("NetworkPolicy", "places-route-service")));
        Assert.Empty(EgressPorts(trial.The("NetworkPolicy", "places-route-service-postgis")));
        Assert.Equal(trial.The("StatefulSet").Name(), Met(trial, trial.The("NetworkPolicy", "places-route-service").List("spec.egress").Last().List("to")));
        Assert.Equal(trial.Deployment.Name(), Met(trial, trial.The("NetworkPolicy", "places-route-service-postgis").List("spec.ingress").Single().List("from")));

        static string Met(Manifest manifest, IEnumerable<JsonObject> peers)
        {
            var labels = Assert.Single(peers).Map("podSelector.matchLabels");
            return Assert.Single(manifest.Pods, pod => labels.All(label => pod.Template.Map("metadata.labels").GetValueOrDefault(label.Key) == label.Value)).Owner.Name();
        }

        static IEnumerable<long> EgressPorts(JsonObject policy) => policy.List("spec.egress").SelectMany(static rule => rule.List("ports")).Select(static p => p.Number("port")!.Value);
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task A_closed_release_has_a_policy_for_each_of_its_pods(string set)
    {
        var manifest = await Helm.TemplateSetAsync(set);
        var policies = manifest.OfKind("NetworkPolicy").ToList();
        if (policies.Count > 0)
        {
            Assert.All(manifest.Pods, pod => Assert.Contains(
                policies, policy => policy.Map("spec.podSelector.matchLabels").All(label => pod.Template.Map("metadata.labels").GetValueOrDefault(label.Key) == label.Value)));
        }
    }

    [Theory]
    [InlineData("ingress-nginx", "Ingress", "nginx.ingress.kubernetes.io/backend-protocol", "GRPC")]
    [InlineData("ingress-nginx", "Ingress", "nginx.ingress.kubernetes.io/proxy-read-timeout", "3600")]
    [InlineData("ingress-nginx", "Ingress", "nginx.ingress.kubernetes.io/proxy-send-timeout", "3600")]
    [InlineData("ingress-nginx", "Ingress", "nginx.ingress.kubernetes.io/proxy-body-size", "0")]
    [InlineData("ingress-issuer", "Ingress", "nginx.ingress.kubernetes.io/proxy-body-size", "8m")]
    [InlineData("ingress-traefik", "Service", "traefik.ingress.kubernetes.io/service.serversscheme", "https")]
    public async Task An_Ingress_speaks_gRPC_to_us(string set, string kind, string annotation, string value) =>
        Assert.Equal(value, (await Helm.TemplateSetAsync(set)).The(kind, "places-route-service").Map("metadata.annotations")[annotation]);

    [Theory]
    [InlineData("database", "kubernetes.io/h2c")]
    [InlineData("mutual-tls", "https")]
    [InlineData("load-balancer", "grpc")]
    public async Task Services_say_what_is_spoken(string set, string protocol) => Assert.All(
        (await Helm.TemplateSetAsync(set)).OfKind("Service").SelectMany(static s => s.List("spec.ports")).Where(static p => p.Text("name") == "grpc"),
        port => Assert.Equal(protocol, port.Text("appProtocol")));

    [Theory]
    [InlineData("database", "-max-time=10 -plaintext -d={\"name\":\"helm\"} places-route-service:50051 helloworld.Greeter/SayHello")]
    [InlineData("production", "-max-time=10 -insecure -expand-headers -H=x-api-key: ${CREDENTIALS} -d={\"name\":\"helm\"} places-route-service:50051 helloworld.Greeter/SayHello")]
    [InlineData(
        "mutual-tls",
        "-max-time=10 -insecure -cert=/etc/client/tls.crt -key=/etc/client/tls.key -expand-headers -H=x-api-key: ${CREDENTIALS} -d={\"name\":\"helm\"} places-route-service:50051 helloworld.Greeter/SayHello")]
    [InlineData("load-balancer", "-max-time=10 -plaintext -d={\"name\":\"helm\"} places-route-service:443 helloworld.Greeter/SayHello")]
    [InlineData(
        "discovery",
        "-max-time=10 -plaintext -expand-headers -H=authorization: Bearer ${CREDENTIALS} -d={\"latitude\":403487200,\"longitude\":-746590500} places-route-service:50051 routeguide.RouteGuide/GetFeature")]
    [InlineData("spiffe", "-max-time=10 -cacert=/etc/authority/ca.crt -d={\"name\":\"helm\"} places-route-service:50051 helloworld.Greeter/SayHello")]
    public async Task Helm_test_makes_a_call(string set, string arguments)
    {
        var pod = (await Helm.TemplateSetAsync(set)).The("Pod", "places-route-service-test-call");

        Assert.True(pod.IsHook("test"));
        Assert.Equal(arguments, string.Join(' ', pod.List("spec.containers").Single().Texts("args")));
    }

    [Fact]
    public async Task Helm_test_makes_no_call_that_could_not_succeed()
    {
        Assert.DoesNotContain((await Helm.TemplateSetAsync("ingress-nginx")).OfKind("Pod"), static pod => pod.Name().EndsWith("-call", StringComparison.Ordinal));
        Assert.DoesNotContain(
            (await Helm.TemplateSetAsync("mutual-tls", "--set", "tests.call.apiKey.existingSecret=")).OfKind("Pod"), static pod => pod.Name().EndsWith("-call", StringComparison.Ordinal));
    }

    // The job runs before the release, unless something else migrates, or the release itself makes what the job needs.
    private static bool HasHook(string set) =>
        !IsPlain(set)
        && set is not ("init-container" or "init-container-roles" or "no-migration" or "on-start" or "mirror")
        && !set.Contains("embedded", StringComparison.Ordinal)
        && !set.Contains("postgis", StringComparison.Ordinal)
        && set is not "openshift-nulls";

    private static bool IsPlain(string set) => set is "cnpg-uri" or "cnpg-cluster" or "external-secret" or "argocd-sync" or "job-without-hooks";

    private static Dictionary<string, string> Annotations(Manifest manifest) => manifest.Deployment.Map("spec.template.metadata.annotations");

    private static IEnumerable<JsonNode> Probes(JsonObject container) =>
        ((string[])["startupProbe", "readinessProbe", "livenessProbe"]).Select(probe => container[probe]).OfType<JsonNode>();

    [GeneratedRegex(@"\$\(([^)]+)\)")]
    private static partial Regex References();
}
