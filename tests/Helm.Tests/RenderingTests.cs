using System.Text.Json.Nodes;

namespace RouteService.Helm.Tests;

/// <summary>That the chart renders, to what the Kubernetes API takes, and to nothing unseen.</summary>
public sealed class RenderingTests
{
    private const string Update = "UPDATE_GOLDEN";

    // Of which helm lint knows nothing.
    private const string OpenShift = "security.openshift.io/v1";

    // Objects of others among the sets' extra objects, whose types the tests have not got.
    private static readonly string[] Foreign = ["ScaledObject", "ExternalSecret", "Cluster", "HealthCheckPolicy"];

    public static TheoryData<string> Sets => Helm.ValueSetNames;

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task Lint_finds_nothing(string set) =>
        (await Helm.RunAsync(["lint", "--strict", "--kube-version", Helm.KubernetesVersion, .. Helm.OptionsOf(set).Where(static o => o is not ("--api-versions" or OpenShift)), Helm.Chart])).AssertSuccess();

    [Fact]
    public async Task Lint_finds_nothing_in_the_defaults() => (await Helm.RunAsync("lint", "--strict", Helm.Chart)).AssertSuccess();

    [Fact]
    public async Task Every_object_is_as_the_Kubernetes_API_has_it()
    {
        Assert.True(Helm.ValueSets.Count > 60);
        await Parallel.ForEachAsync(Helm.ValueSets.Keys, TestContext.Current.CancellationToken, static async (set, _) => await Helm.TemplateSetAsync(set));
        var objects = new JsonArray();
        foreach (var set in Helm.ValueSets.Keys)
        {
            foreach (var o in (await Helm.TemplateSetAsync(set)).Objects.Where(static o => !Foreign.Contains(o.Kind())))
            {
                objects.Add(new JsonObject { ["name"] = $"{set}: {o.Kind()}/{o.Name()}", ["object"] = o.DeepClone() });
            }
        }

        var (isValid, problems) = await Kubernetes.ValidateAsync(objects);

        Assert.True(isValid, problems);
    }

    [Theory]
    [InlineData("spec", "replicaz", "1", "'\"replicaz\"' does not exist in type 'IDeploymentSpec'")]
    [InlineData("spec", "replicas", "\"two\"", "data/spec/replicas must be integer")]
    [InlineData("spec.template.spec", "restartPolice", "\"Never\"", "'\"restartPolice\"' does not exist in type")]
    [InlineData("spec.template.spec.securityContext", "runAsNonRoot", "\"yes\"", "data/spec/template/spec/securityContext/runAsNonRoot must be boolean")]
    public async Task An_object_that_is_otherwise_is_found(string path, string field, string value, string problem)
    {
        var deployment = (await Helm.TemplateSetAsync("database")).Deployment.DeepClone();
        deployment.At(path)![field] = JsonNode.Parse(value);

        var (isValid, problems) = await Kubernetes.ValidateAsync([new JsonObject { ["name"] = "Deployment/changed", ["object"] = deployment }]);

        Assert.False(isValid);
        Assert.Contains("Deployment/changed: ", problems);
        Assert.Contains(problem, problems);
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task The_same_values_are_the_same_release(string set)
    {
        // Git-ops tools render again and again, and take each difference for a change.
        var manifest = await Helm.TemplateAsync(Helm.OptionsOf(set));

        Assert.Equal((await Helm.TemplateSetAsync(set)).Objects, manifest.Objects, JsonNode.DeepEquals);
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task Helm_3_renders_the_same(string set)
    {
        var rendered = (await Helm.RunHelm3Async(["template", Helm.Release, Helm.Chart, "--kube-version", Helm.KubernetesVersion, .. Helm.OptionsOf(set)])).AssertSuccess().Output;

        Assert.Equal((await Helm.TemplateSetAsync(set)).Objects, Manifest.Parse(rendered).Objects, JsonNode.DeepEquals);
    }

    [Theory]
    [InlineData("database")]
    [InlineData("production")]
    [InlineData("postgis")]
    public async Task What_is_rendered_is_what_was_seen(string set)
    {
        var rendered = await Helm.TemplateTextAsync("--namespace", "services", "-f", Helm.ValueSets[set]);
        var golden = Repository.File("tests", "Helm.Tests", "golden", $"{set}.yaml");
        if (Environment.GetEnvironmentVariable(Update) == "1")
        {
            await File.WriteAllTextAsync(golden, rendered, TestContext.Current.CancellationToken);
        }

        Assert.True(
            rendered == (File.Exists(golden) ? await File.ReadAllTextAsync(golden, TestContext.Current.CancellationToken) : ""),
            $"The chart renders tests/Helm.Tests/values/{set}.yaml to something else than {golden}. If it is meant to: {Update}=1, run the test again, and see the difference in git.");
    }
}
