using System.Text.Json.Nodes;

namespace RouteService.Helm.Tests;

/// <summary>What the chart derives where clusters, operators and other charts differ.</summary>
public sealed class DeploymentTests
{
    public static TheoryData<string> Sets => Helm.ValueSetNames;

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task No_variable_comes_twice_and_each_is_after_those_it_refers_to(string set) => Assert.All((await Helm.TemplateSetAsync(set)).Pods.SelectMany(static pod => pod.Ours), static container =>
    {
        var known = new List<string>();
        foreach (var variable in container.List("env"))
        {
            // Server-side apply, by which Helm 4 installs, refuses a name that comes twice.
            Assert.DoesNotContain(variable.Text("name")!, known);
            Assert.All(
                (variable.Text("value") ?? "").Split("$(").Skip(1).Select(static rest => rest[..rest.IndexOf(')', StringComparison.Ordinal)]),
                name => Assert.Contains(name, known));
            known.Add(variable.Text("name")!);
        }
    });

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task A_ConfigMap_refers_to_no_variable(string set) =>
        Assert.All((await Helm.TemplateSetAsync(set)).The("ConfigMap", (await Helm.TemplateSetAsync(set)).Deployment.Name()).Map("data").Values, static value => Assert.DoesNotContain("$(", value));

    [Theory]
    [InlineData("dependent-variables", "route-service", "ConnectionStrings__RouteService", "Host=$(DATABASE_HOST);Database=places")]
    [InlineData("dependent-variables", "migrate", "ConnectionStrings__RouteService", "Host=$(DATABASE_HOST);Database=places")]
    [InlineData("own-connection", "route-service", "ConnectionStrings__RouteService", "Host=db;Username=places_service;Database=places;Passfile=/etc/pgpass/.pgpass")]
    [InlineData("resource-attributes", "route-service", "OTEL_RESOURCE_ATTRIBUTES", "service.namespace=geo,k8s.pod.name=$(POD_NAME)")]
    [InlineData("collector-on-node", "route-service", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://$(NODE_IP):4317")]
    [InlineData("job-own", "route-service", "Logging__LogLevel__Default", "Warning")]
    [InlineData("job-own", "migrate", "Logging__LogLevel__Default", "Debug")]
    [InlineData("zalando-parts", "route-service", "ConnectionStrings__RouteService", "Host=acid-places.databases;Port=5432;Database=places")]
    [InlineData("cnpg-parts", "migrate", "ConnectionStrings__RouteService", "Host=$(DATABASE_HOST);Port=$(DATABASE_PORT);Database=$(DATABASE_NAME)")]
    [InlineData(
        "cloud-roles",
        "migrate",
        "ConnectionStrings__RouteService",
        "Host=places.abcdefgh.eu-central-1.rds.amazonaws.com;Port=5433;Database=places;Username=places_owner;SSL Mode=VerifyFull;Root Certificate=/etc/rds/global-bundle.pem;Maximum Pool Size=10")]
    [InlineData("workload-identity", "migrate", "ConnectionStrings__RouteService", "Host=127.0.0.1;Port=5432;Database=places;Username=places-owner@example.iam")]
    public async Task A_variable_is_the_users_or_as_the_database_is_described(string set, string container, string name, string value) =>
        Assert.Equal(value, Variable(await Helm.TemplateSetAsync(set), container, name).Text("value"));

    [Theory]
    [InlineData("other-keys", "route-service", "ConnectionStrings__RouteService", "app-secrets/ROUTE_DB_DSN")]
    [InlineData("other-keys", "migrate", "ConnectionStrings__RouteService", "app-owner/ADMIN_DSN")]
    [InlineData("cnpg-uri", "migrate", "ConnectionStrings__RouteService", "places-pg-app/uri")]
    [InlineData("cnpg-cluster", "route-service", "ConnectionStrings__RouteService", "places-pg-app/uri")]
    [InlineData("crunchy", "route-service", "ConnectionStrings__RouteService", "places-pguser-places/pgbouncer-uri")]
    [InlineData("crunchy", "migrate", "ConnectionStrings__RouteService", "places-pguser-places/uri")]
    [InlineData("zalando-parts", "migrate", "PGUSER", "places-owner.acid-places.credentials.postgresql.acid.zalan.do/username")]
    [InlineData("zalando-parts", "migrate", "PGPASSWORD", "places-owner.acid-places.credentials.postgresql.acid.zalan.do/password")]
    [InlineData("mixed-connections", "migrate", "ConnectionStrings__RouteService", "places-owner/dsn")]
    [InlineData("mixed-connections", "route-service", "PGPASSWORD", "places-service/password")]
    [InlineData("templated-names", "migrate", "ConnectionStrings__RouteService", "places-owner/connectionString")]
    [InlineData("collector-headers", "route-service", "OTEL_EXPORTER_OTLP_HEADERS", "places-collector/h")]
    public async Task A_variable_is_from_the_Secret_that_has_it(string set, string container, string name, string from)
    {
        var source = Variable(await Helm.TemplateSetAsync(set), container, name).At("valueFrom.secretKeyRef")!;

        Assert.Equal(from, $"{source.Text("name")}/{source.Text("key")}");
    }

    [Theory]
    [InlineData("cloud-roles", "migrate --grant-to places_service --grant-to places_reports")]
    [InlineData("init-container-roles", "migrate --grant-to places_service")]
    [InlineData("database", "migrate")]
    public async Task What_migrates_grants(string set, string arguments) =>
        Assert.Equal(arguments, string.Join(' ', (await Helm.TemplateSetAsync(set)).Pods.SelectMany(static pod => pod.Containers).Single(static c => c.Text("name") == "migrate").Texts("args")));

    [Fact]
    public async Task A_job_without_hooks_has_a_name_of_its_revision_and_of_what_it_is()
    {
        var first = (await Helm.TemplateSetAsync("job-without-hooks")).The("Job");
        var same = (await Helm.TemplateSetAsync("job-without-hooks", "--set", "replicas=3")).The("Job");
        var next = (await Helm.TemplateSetAsync("job-without-hooks", "--set", "image.tag=2.0.0")).The("Job");

        // A job cannot be changed: `kubectl apply` of another would fail.
        Assert.Matches("^places-route-service-migration-1-[0-9a-f]{6}$", first.Name());
        Assert.Equal(first, same, JsonNode.DeepEquals);
        Assert.NotEqual(first.Name(), next.Name());
        Assert.Equal(600, first.Number("spec.ttlSecondsAfterFinished"));
        Assert.All((await Helm.TemplateSetAsync("job-without-hooks")).Objects.Where(static o => o.Kind() != "Pod"), static o => Assert.DoesNotContain("helm.sh/hook", o.Map("metadata.annotations").Keys));

        var upgrade = Manifest.Parse((await Helm.RunAsync(["template", Helm.Release, Helm.Chart, "--is-upgrade", "--kube-version", Helm.KubernetesVersion, .. Helm.OptionsOf("job-without-hooks")])).AssertSuccess().Output);
        Assert.NotEmpty(upgrade.OfKind("Job"));
    }

    [Fact]
    public async Task The_job_has_what_it_is_given_and_the_service_has_its_own()
    {
        var manifest = await Helm.TemplateSetAsync("job-own");
        var job = manifest.The("Job");
        var pod = job.At("spec.template")!;

        Assert.Equal("schema", job.Map("metadata.labels")["stage"]);
        Assert.Equal("4711", job.Map("metadata.annotations")["example.com/change"]);
        Assert.Equal("pre-install,pre-upgrade", job.Map("metadata.annotations")["helm.sh/hook"]);
        Assert.Equal(("false", "places"), (pod.Map("metadata.labels")["sidecar.istio.io/inject"], pod.Map("metadata.labels")["team"]));
        Assert.Equal("disabled", pod.Map("metadata.annotations")["linkerd.io/inject"]);
        Assert.Equal(("jobs", "services"), (pod.Map("spec.nodeSelector")["pool"], manifest.Deployment.Map("spec.template.spec.nodeSelector")["pool"]));
        Assert.Equal(["migrate", "proxy"], pod.List("spec.containers").Select(static c => c.Text("name")));
        Assert.NotNull(pod.At("spec.affinity.nodeAffinity"));
        Assert.Null(manifest.Deployment.At("spec.template.spec.affinity"));

        var account = manifest.The("ServiceAccount", "migrator");
        Assert.True(account.IsHook("pre-install"));
        Assert.Equal("migrator@example.iam.gserviceaccount.com", account.Map("metadata.annotations")["iam.gke.io/gcp-service-account"]);
        Assert.Equal("migrator", pod.Text("spec.serviceAccountName"));
        Assert.Equal("places-route-service-migration", (await Helm.TemplateSetAsync("workload-identity")).The("Job").Text("spec.template.spec.serviceAccountName"));
    }

    [Theory]
    [InlineData("argocd-sync", "argocd.argoproj.io/hook", "Sync")]
    [InlineData("job-own", "helm.sh/hook-weight", "0")]
    public async Task The_job_is_told_to_other_machinery(string set, string annotation, string value) =>
        Assert.Equal(value, (await Helm.TemplateSetAsync(set)).The("Job").Map("metadata.annotations")[annotation]);

    [Fact]
    public async Task Of_the_affinity_a_job_has_what_is_of_nodes()
    {
        const string Nodes = "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight=1,affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].key=spot,affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].operator=Exists";
        var manifest = await Helm.TemplateSetAsync("extras", "--set", Nodes);

        Assert.Equal(["nodeAffinity", "podAntiAffinity"], Kinds(manifest.Deployment));
        Assert.Equal(["nodeAffinity"], Kinds(manifest.The("Job")));

        static IEnumerable<string> Kinds(JsonObject owner) => owner.At("spec.template.spec.affinity")!.AsObject().Select(static kind => kind.Key).Order(StringComparer.Ordinal);
    }

    [Theory]
    [InlineData("mesh-istio", "labels", "sidecar.istio.io/inject", "false")]
    [InlineData("mesh-linkerd", "annotations", "linkerd.io/inject", "disabled")]
    public async Task What_ends_by_itself_has_no_sidecar(string set, string part, string name, string value) => Assert.All(
        (await Helm.TemplateSetAsync(set)).Pods.Where(static pod => pod.Owner.Kind() != "Deployment"),
        pod => Assert.Equal(value, pod.Template.Map($"metadata.{part}")[name]));

    [Theory]
    [InlineData("umbrella", "registry.example.com/fullstorydev/grpcurl:v1.9.3 registry.example.com/route-service:0.1.0")]
    [InlineData("mirror", "localhost:5000/route-service:0.1.0 mirror.example.com/fullstorydev/grpcurl:v1.9.3 mirror.example.com/postgis/postgis:15-3.3")]
    [InlineData("own-registry", "fullstorydev/grpcurl:v1.9.3 registry.example.com:5000/team/route-service:0.1.0")]
    [InlineData("database", "fullstorydev/grpcurl:v1.9.3 route-service:0.1.0")]
    public async Task Images_are_of_the_registry_that_is_given(string set, string images) => Assert.Equal(
        images,
        string.Join(' ', (await Helm.TemplateSetAsync(set)).Pods.SelectMany(static pod => pod.Containers).Select(static c => c.Text("image")!).Distinct().Order(StringComparer.Ordinal)));

    [Fact]
    public async Task Every_pod_has_the_Secrets_of_the_registry_once() => Assert.All(
        (await Helm.TemplateSetAsync("umbrella")).Pods,
        static pod => Assert.Equal(["example", "other", "third"], pod.Spec.List("imagePullSecrets").Select(static s => s.Text("name"))));

    [Theory]
    [InlineData("team-platform-geo-services-production-eu-blue", "team-platform-geo-services-production-eu-green")]
    [InlineData("places.blue", "places-blue")]
    public async Task Two_releases_never_have_an_object_in_common(string one, string other)
    {
        var (first, second) = (await ObjectsAsync(one), await ObjectsAsync(other));

        Assert.Empty(first.Intersect(second));
        Assert.All(first.Concat(second), static o => Assert.Matches("^[a-z][-a-z0-9]{0,62}$", o.Name));

        static async Task<List<(string Kind, string Name)>> ObjectsAsync(string release) =>
        [
            .. Manifest.Parse((await Helm.RunAsync(["template", release, Helm.Chart, "--kube-version", Helm.KubernetesVersion, .. Helm.OptionsOf("job-without-hooks")])).AssertSuccess().Output)
                .Objects.Select(static o => (o.Kind(), o.Name())),
        ];
    }

    [Theory]
    [InlineData("embedded-alone")]
    [InlineData("postgis-alone")]
    public async Task One_value_is_enough_to_try_it(string set)
    {
        var manifest = await Helm.TemplateSetAsync(set);

        Assert.Equal(set == "embedded-alone" ? 1 : 2, manifest.Deployment.Number("spec.replicas"));
        Assert.Equal(set == "embedded-alone" ? [] : ["migrate"], manifest.Deployment.List("spec.template.spec.initContainers").Select(static c => c.Text("name")));
        Assert.Empty(manifest.OfKind("Job"));
    }

    [Fact]
    public async Task The_autoscalers_pods_fit_into_what_PostgreSQL_allows_by_itself()
    {
        var values = Yaml.ParseFile(Path.Combine(Helm.Chart, "values.yaml"));
        var scaler = (await Helm.TemplateSetAsync("database", "--set", "autoscaling.enabled=true")).The("HorizontalPodAutoscaler");

        // Of max_connections of 100, three are a superuser's. A pod has a pool of 20, and a connection that listens.
        Assert.True(scaler.Number("spec.maxReplicas") * 21 <= 97);
        Assert.Equal(values.Number("autoscaling.maxReplicas"), scaler.Number("spec.maxReplicas"));
    }

    [Theory]
    [InlineData("keda", null)]
    [InlineData("argo-rollouts", 0L)]
    [InlineData("embedded-alone", 1L)]
    public async Task Another_controller_may_decide_how_many_pods_there_are(string set, long? replicas)
    {
        var spec = (await Helm.TemplateSetAsync(set)).Deployment["spec"]!.AsObject();

        // Null is not the same: the API would make it 1.
        Assert.Equal(replicas is not null, spec.ContainsKey("replicas"));
        Assert.Equal(replicas, spec.Number("replicas"));
    }

    [Fact]
    public async Task A_certificate_has_every_name_that_clients_in_the_cluster_use()
    {
        var names = (await Helm.TemplateSetAsync("cluster-issuer", "--namespace", "services")).The("Certificate").Texts("spec.dnsNames").ToList();
        var all = (await Helm.TemplateSetAsync("spiffe")).The("Certificate");

        Assert.Superset(
            new HashSet<string>(((string[])["", ".services", ".services.svc", ".services.svc.cluster.example"]).SelectMany(static end => (string[])[$"places-route-service{end}", $"places-route-service-headless{end}"])),
            names.ToHashSet());
        Assert.Equal(["10.0.0.9"], all.Texts("spec.ipAddresses"));
        Assert.Equal(["spiffe://cluster.local/ns/services/sa/places"], all.Texts("spec.uris"));
        Assert.Equal("true", all.Map("spec.secretTemplate.labels")["reload"]);
    }

    [Fact]
    public async Task A_path_says_how_it_is_matched_or_the_Ingress_does()
    {
        var paths = (await Helm.TemplateSetAsync("ingress-alb")).The("Ingress").List("spec.rules").Single().List("http.paths");

        Assert.Equal([("/*", "ImplementationSpecific"), ("/grpc.health.v1.Health/Check", "Exact")], paths.Select(static p => (p.Text("path")!, p.Text("pathType")!)));
    }

    [Fact]
    public async Task Rules_of_a_route_lead_to_the_service_unless_they_say_otherwise()
    {
        var route = (await Helm.TemplateSetAsync("grpcroute-rules")).The("GRPCRoute");

        Assert.Equal(["chat", "places-route-service"], route.List("spec.rules").Select(static r => r.List("backendRefs").Single().Text("name")));
        Assert.Equal("public", route.Map("metadata.labels")["gateway"]);
    }

    [Fact]
    public async Task Both_Services_are_of_the_families_of_addresses() => Assert.All(
        (await Helm.TemplateSetAsync("dual-stack")).OfKind("Service"),
        static service => Assert.Equal(("PreferDualStack", "IPv6 IPv4"), (service.Text("spec.ipFamilyPolicy"), string.Join(' ', service.Texts("spec.ipFamilies")))));

    [Fact]
    public async Task A_probe_asks_what_it_is_told_or_is_left_out()
    {
        var container = (await Helm.TemplateSetAsync("own-probes")).Deployment.List("spec.template.spec.containers").First();

        Assert.Equal(("routeguide.RouteGuide", 5L), (container.Text("readinessProbe.grpc.service"), container.Number("readinessProbe.periodSeconds")));
        Assert.Null(container.At("readinessProbe.httpGet"));
        Assert.False(container.ContainsKey("livenessProbe"));
    }

    private static JsonObject Variable(Manifest manifest, string container, string name) =>
        manifest.Pods.SelectMany(static pod => pod.Containers).First(c => c.Text("name") == container).List("env").Single(v => v.Text("name") == name);
}
