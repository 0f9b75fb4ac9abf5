namespace RouteService.Helm.Tests;

/// <summary>That a mistake is refused, with what is wrong.</summary>
public sealed class RejectionTests
{
    [Theory]
    [InlineData("replicaz=3", "at '': additional properties 'replicaz' not allowed")]
    [InlineData("image.tagg=1", "at '/image': additional properties 'tagg' not allowed")]
    [InlineData("settings.chat.keepDay=3", "at '/settings/chat': additional properties 'keepDay' not allowed")]
    [InlineData("settings.Grpc.Port=3", "at '/settings': additional properties 'Grpc' not allowed")]
    [InlineData("settings.grpc.connection.maxAge=10m", "at '/settings/grpc/connection/maxAge': '10m' does not match pattern")]
    [InlineData("settings.limits.callsPerSecond=-1", "at '/settings/limits/callsPerSecond': minimum: got -1, want 0")]
    [InlineData("podSecurityContext.runAsNonRoot=maybe", "at '/podSecurityContext/runAsNonRoot': got string, want boolean")]
    [InlineData("podSecurityContext.runAsNotRoot=true", "at '/podSecurityContext': additional properties 'runAsNotRoot' not allowed")]
    [InlineData("resources.limit.memory=1Gi", "at '/resources': additional properties 'limit' not allowed")]
    [InlineData("replicas=two", "at '/replicas': got string, want null or integer")]
    [InlineData("service.port=70000", "at '/service/port': maximum: got 70,000, want 65,535")]
    [InlineData("service.type=ExternalName", "at '/service/type': value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'")]
    [InlineData("database.migration.mode=hook", "at '/database/migration/mode': value must be one of 'job', 'initContainer', 'onStart', 'none'")]
    [InlineData("image.digest=latest", "at '/image/digest': 'latest' does not match pattern")]
    [InlineData("auth.enabled=true,auth.apiKeys.lines={a-key-in-clear}", "at '/auth/apiKeys/lines/0': 'a-key-in-clear' does not match pattern")]
    [InlineData("podDisruptionBudget.maxUnavailable=half", "at '/podDisruptionBudget/maxUnavailable': 'half' does not match pattern")]
    [InlineData("telemetry.endpoint=collector:4317", "at '/telemetry/endpoint': 'collector:4317' does not match pattern")]
    [InlineData("probes.readiness.path=/", "at '/probes/readiness': additional properties 'path' not allowed")]
    [InlineData("database.existingSecret.name=", "No database is configured. Set database.existingSecret.name to a Secret with its connection string, or, to try the service, postgis.enabled=true or embedded.enabled=true.")]
    [InlineData("database.connectionString=Host=db", "Several stores are configured; keep one of these: database.existingSecret.name, database.connectionString.")]
    [InlineData("embedded.enabled=true", "Several stores are configured; keep one of these: database.existingSecret.name, embedded.enabled.")]
    [InlineData("database.existingSecret.name=,embedded.enabled=true,autoscaling.enabled=true", "embedded.enabled allows one pod and no autoscaling: every pod would have its own places and notes.")]
    [InlineData("database.existingSecret.name=,postgis.enabled=true,postgis.password=", "postgis.enabled requires postgis.password.")]
    [InlineData("database.host=db", "A database by parts requires its role: database.username, or database.existingSecret.usernameKey.")]
    [InlineData("database.existingSecret.name=,database.existingSecret.hostKey=host", "No database is configured.")]
    [InlineData(
        "database.existingSecret.name=,database.connectionString=Host=db,database.existingSecret.hostKey=host",
        "database.existingSecret.hostKey requires database.existingSecret.name, the Secret with this key.")]
    [InlineData("database.username=places_service", "database.username is for a database by parts, which database.host selects; otherwise the role is in the connection string.")]
    [InlineData("database.migration.username=places_owner", "database.migration.username is for a database by parts, which database.host selects; otherwise the role is in the connection string.")]
    [InlineData("database.migration.mode=onStart,database.migration.grantTo={places_service}", "database.migration.grantTo is for the `migrate` command; database.migration.mode is onStart.")]
    [InlineData("database.host=db;Password=x", "at '/database/host': 'db;Password=x' does not match pattern")]
    [InlineData("database.existingSecret=places-db", "at '/database/existingSecret': got string, want object")]
    [InlineData(
        "database.migration.hooks=true,extraObjects[0].kind=ExternalSecret,extraObjects[0].metadata.name=places-database",
        "database.migration.hooks is true, and extraObjects creates an object that the job needs with the release (ExternalSecret/places-database): neither would end.")]
    [InlineData("service.nodePort=30051", "service.nodePort requires service.type NodePort or LoadBalancer; it is ClusterIP.")]
    [InlineData("service.loadBalancerIP=10.0.0.9", "service.loadBalancerIP, loadBalancerClass and loadBalancerSourceRanges require service.type LoadBalancer; it is ClusterIP.")]
    [InlineData("shutdown.preStopSleepSeconds=5,lifecycle.preStop.sleep.seconds=5", "Set one of shutdown.preStopSleepSeconds and lifecycle.preStop.")]
    [InlineData("podAnnotations.scrape=true", "at '/podAnnotations/scrape': got boolean, want string")]
    [InlineData("settings.chat.keepDays=\"7\"", "at '/settings/chat/keepDays': got string, want integer")]
    [InlineData("replicaCount=3", "at '/replicaCount': value must be 'absent; its name here is replicas'")]
    [InlineData("database.migration.useHelmHooks=false", "at '/database/migration/useHelmHooks': value must be 'absent; its name here is database.migration.hooks'")]
    [InlineData("auth.jwt.jwksUri=https://login.example.com/keys", "at '/auth/jwt/jwksUri': value must be 'absent; its name here is auth.jwt.jwksUrl'")]
    [InlineData("replicas=1,podDisruptionBudget.minAvailable=1", "podDisruptionBudget.minAvailable is 1 of 1: no node with a pod on it could ever be drained.")]
    [InlineData("database.migration.mode=none,database.migration.existingSecret.name=owner", "database.migration has a connection of its own only with database.migration.mode job or initContainer, and a database.")]
    [InlineData("database.migration.connectionString=Host=db,database.migration.existingSecret.name=owner", "Set one of database.migration.existingSecret.name and database.migration.connectionString.")]
    [InlineData("podDisruptionBudget.minAvailable=2", "podDisruptionBudget.minAvailable is 2 of 2: no node with a pod on it could ever be drained.")]
    [InlineData("podDisruptionBudget.minAvailable=100%", "podDisruptionBudget.minAvailable is 100% of 2: no node with a pod on it could ever be drained.")]
    [InlineData("podDisruptionBudget.minAvailable=51%", "podDisruptionBudget.minAvailable is 51% of 2: no node with a pod on it could ever be drained.")]
    [InlineData("replicas=1,podDisruptionBudget.minAvailable=50%", "podDisruptionBudget.minAvailable is 50% of 1: no node with a pod on it could ever be drained.")]
    [InlineData("podDisruptionBudget.maxUnavailable=0", "podDisruptionBudget.maxUnavailable is 0: no node with a pod on it could ever be drained.")]
    [InlineData("autoscaling.enabled=true,autoscaling.minReplicas=9", "autoscaling.minReplicas is 9 and autoscaling.maxReplicas 4; expected at most that.")]
    [InlineData("autoscaling.enabled=true,autoscaling.targetCPUUtilizationPercentage=null", "autoscaling.enabled requires autoscaling.targetCPUUtilizationPercentage, targetMemoryUtilizationPercentage or metrics.")]
    [InlineData("autoscaling.enabled=true,resources=null", "autoscaling by cpu requires resources.requests.cpu, of which it is a percentage.")]
    [InlineData("autoscaling.enabled=true,resources.requests.cpu=null", "autoscaling by cpu requires resources.requests.cpu, of which it is a percentage.")]
    [InlineData("strategy.type=Recreate", "strategy.type Recreate has no strategy.rollingUpdate: set that to null.")]
    [InlineData("auth.enabled=true", "auth.enabled requires credentials of callers: auth.apiKeys.existingSecret or lines, auth.jwt.authority, jwksUrl, jwks.existingConfigMap, or symmetricKey.existingSecret.")]
    [InlineData("auth.enabled=true,auth.jwt.jwks.existingConfigMap=keys", "auth.jwt requires auth.jwt.issuer, whose tokens are accepted.")]
    [InlineData("auth.apiKeys.existingSecret=keys", "Keys are configured under auth, and auth.enabled is false: every client could call.")]
    [InlineData("tls.enabled=true", "tls.enabled requires tls.existingSecret, or tls.certManager.enabled=true.")]
    [InlineData("tls.existingSecret=certificate", "A certificate is configured under tls, and tls.enabled is false: calls would be unencrypted.")]
    [InlineData("tls.enabled=true,tls.certManager.enabled=true", "tls.certManager.enabled requires tls.certManager.issuerRef.name.")]
    [InlineData("ingress.enabled=true", "ingress.enabled requires ingress.hosts, such as [{host: places.example.com, paths: [/]}].")]
    [InlineData("grpcRoute.enabled=true", "grpcRoute.enabled requires grpcRoute.parentRefs, such as [{name: public, namespace: gateways}].")]
    [InlineData("shutdown.terminationGracePeriodSeconds=30", "shutdown.terminationGracePeriodSeconds is 30; calls would be cut off. Expected at least 35")]
    [InlineData("extraEnv[0].name=RouteService__Grpc__Port,extraEnv[0].value=x", "extraEnv: RouteService__Grpc__Port cannot be set: probes and Services are on 50051 and 8081.")]
    public async Task A_mistake_is_refused_with_what_is_wrong(string values, string message)
    {
        var rendering = await Helm.RunAsync(
            "template", Helm.Release, Helm.Chart, "--kube-version", Helm.KubernetesVersion, "-f", Helm.ValueSets["database"], "--set", values);

        Assert.NotEqual(0, rendering.ExitCode);
        Assert.Contains(message, rendering.Error);
    }

    [Fact]
    public async Task A_release_that_cannot_name_a_Service_is_refused()
    {
        var digit = await Helm.RunAsync(["template", "7places", Helm.Chart, .. Helm.OptionsOf("database")]);
        var named = await Helm.RunAsync(["template", "7places", Helm.Chart, .. Helm.OptionsOf("database"), "--set", "fullnameOverride=places"]);

        Assert.Contains("The release's name is 7places; names of Services must begin with a letter. Set fullnameOverride.", digit.Error);
        named.AssertSuccess();
    }

    [Fact]
    public async Task A_cluster_that_is_too_old_is_refused()
    {
        var old = await Helm.RunAsync("template", Helm.Release, Helm.Chart, "--kube-version", "1.28.0", "-f", Helm.ValueSets["database"]);
        var sleeping = await Helm.RunAsync(
            "template", Helm.Release, Helm.Chart, "--kube-version", "1.29.0", "-f", Helm.ValueSets["database"], "--set", "shutdown.preStopSleepSeconds=5");

        Assert.Contains("chart requires kubeVersion: >=1.29.0-0 which is incompatible with Kubernetes v1.28.0", old.Error);
        Assert.Contains("shutdown.preStopSleepSeconds requires Kubernetes 1.30 or later; this is v1.29.0.", sleeping.Error);
    }
}
