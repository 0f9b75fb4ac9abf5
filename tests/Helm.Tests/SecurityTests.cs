using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace RouteService.Helm.Tests;

/// <summary>Pods by the restricted level of the Pod Security Standards (kubernetes.io/docs/concepts/security/pod-security-standards), and secrets.</summary>
public sealed partial class SecurityTests
{
    public static TheoryData<string> Sets => Helm.ValueSetNames;

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task Every_pod_is_restricted(string set)
    {
        var pods = (await Helm.TemplateSetAsync(set)).Pods;

        Assert.NotEmpty(pods);
        if (set == "no-context")
        {
            Assert.All(pods, static pod => Assert.All((IEnumerable<JsonNode>)[pod.Spec, .. pod.Containers], static part => Assert.Null(part["securityContext"])));
            return;
        }

        Assert.All(pods, pod =>
        {
            Assert.True(pod.Spec.Flag("securityContext.runAsNonRoot"));
            Assert.NotEqual(0, pod.Spec.Number("securityContext.runAsUser"));
            Assert.Equal("RuntimeDefault", pod.Spec.Text("securityContext.seccompProfile.type"));
            Assert.All((string[])["hostNetwork", "hostPID", "hostIPC"], field => Assert.Null(pod.Spec.At(field)));
            Assert.All(pod.Spec.List("volumes"), volume => Assert.Single(
                volume, field => field.Key is "configMap" or "csi" or "downwardAPI" or "emptyDir" or "ephemeral" or "persistentVolumeClaim" or "projected" or "secret"));
        });

        // What a user adds is theirs.
        Assert.All(pods.SelectMany(static pod => pod.Containers).Where(static c => c.Text("name") is not ("proxy" or "wait" or "cloud-sql-proxy")), container =>
        {
            Assert.False(container.Flag("securityContext.allowPrivilegeEscalation"));
            Assert.True(container.Flag("securityContext.readOnlyRootFilesystem"));
            Assert.Equal(["ALL"], container.Texts("securityContext.capabilities.drop"));
            Assert.Null(container.At("securityContext.capabilities.add"));
            Assert.Null(container.At("securityContext.privileged"));
            Assert.All(container.List("ports"), port => Assert.Null(port["hostPort"]));
            Assert.NotEqual(set == "no-resources", container.At("resources.requests.cpu") is not null);
            Assert.NotEqual(set == "no-resources" || (set == "node-resources" && container.Text("name") == "route-service"), container.At("resources.limits.memory") is not null);
        });
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task No_pod_has_a_token_of_the_cluster_unless_it_is_asked_for(string set)
    {
        var manifest = await Helm.TemplateSetAsync(set);
        var isAskedFor = set is "workload-identity" or "cluster-token";

        Assert.All(manifest.Pods, pod => Assert.Equal(isAskedFor, pod.Spec.Flag("automountServiceAccountToken")));
        Assert.All(manifest.OfKind("ServiceAccount"), account => Assert.Equal(isAskedFor, account.Flag("automountServiceAccountToken")));
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task A_secret_is_in_a_Secret_and_nowhere_else(string set)
    {
        var elsewhere = (await Helm.TemplateSetAsync(set)).Objects.Where(static o => o.Kind() != "Secret").Select(static o => o.ToJsonString()).ToList();

        Assert.All(elsewhere, static text => Assert.DoesNotMatch(Secrets(), text));
    }

    [Fact]
    public async Task Our_pods_run_as_the_user_of_the_image()
    {
        var user = ImageUser().Match(await File.ReadAllTextAsync(Repository.File("Dockerfile"), TestContext.Current.CancellationToken));
        var manifest = await Helm.TemplateSetAsync("database");

        Assert.All(manifest.Pods, pod =>
        {
            Assert.Equal(user.Groups[1].Value, $"{pod.Spec.Number("securityContext.runAsUser")}");
            Assert.Equal(user.Groups[2].Value, $"{pod.Spec.Number("securityContext.runAsGroup")}");
            Assert.Equal(user.Groups[2].Value, $"{pod.Spec.Number("securityContext.fsGroup")}");
        });
    }

    [Theory]
    [InlineData("openshift")]
    [InlineData("openshift-closed")]
    [InlineData("openshift-embedded")]
    [InlineData("openshift-postgis")]
    [InlineData("openshift-nulls")]
    public async Task Where_the_cluster_gives_out_users_none_is_asked_for(string set) => Assert.All(
        (await Helm.TemplateSetAsync(set)).Pods,
        static pod => Assert.Equal(
            ["fsGroupChangePolicy", "runAsNonRoot", "seccompProfile"],
            pod.Spec.At("securityContext")!.AsObject().Select(static field => field.Key).Order(StringComparer.Ordinal)));

    [Fact]
    public async Task A_user_that_somebody_chose_stays_on_OpenShift()
    {
        var context = (await Helm.TemplateSetAsync("openshift-postgis", "--set", "podSecurityContext.runAsUser=1000650000,postgis.runAsUser=26")).Pods.Where(static pod => pod.Owner.Kind() != "Pod").ToDictionary(
            static pod => pod.Owner.Kind(), static pod => pod.Spec.Number("securityContext.runAsUser"));

        Assert.Equal((1000650000L, 26L), (context["Deployment"], context["StatefulSet"]));
    }

    // The passwords in the sets of values.
    [GeneratedRegex("secret-of|for-trying-out|Password=")]
    private static partial Regex Secrets();

    [GeneratedRegex(@"(?m)^USER (\d+):(\d+)$")]
    private static partial Regex ImageUser();
}
