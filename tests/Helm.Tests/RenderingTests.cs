using System.Text.Json.Nodes;

namespace RouteService.Helm.Tests;

/// <summary>That the chart renders, to what the Kubernetes API takes, and to nothing unseen.</summary>
public sealed class RenderingTests
{
    private const string Update = "UPDATE_GOLDEN";

    public static TheoryData<string> Sets => Helm.ValueSetNames;

    [Theory]
    [MemberData(nameof(Sets))]
    public async Task Lint_finds_nothing(string set) =>
        (await Helm.RunAsync("lint", "--strict", "--kube-version", Helm.KubernetesVersion, "-f", Helm.ValueSets[set], Helm.Chart)).AssertSuccess();

    [Fact]
    public async Task Lint_finds_nothing_in_the_defaults() => (await Helm.RunAsync("lint", "--strict", Helm.Chart)).AssertSuccess();

    [Fact]
    public async Task Every_object_is_as_the_Kubernetes_API_has_it()
    {
        Assert.True(Helm.ValueSets.Count > 10);
        var objects = new JsonArray();
        foreach (var set in Helm.ValueSets.Keys)
        {
            foreach (var o in (await Helm.TemplateSetAsync(set)).Objects)
            {
                objects.Add(new JsonObject { ["name"] = $"{set}: {o.Kind()}/{o.Name()}", ["object"] = o.DeepClone() });
            }
        }

        var (isValid, problems) = await ValidateAsync(objects);

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

        var (isValid, problems) = await ValidateAsync([new JsonObject { ["name"] = "Deployment/changed", ["object"] = deployment }]);

        Assert.False(isValid);
        Assert.Contains("Deployment/changed: ", problems);
        Assert.Contains(problem, problems);
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

    private static async Task<(bool IsValid, string Problems)> ValidateAsync(JsonArray objects)
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, objects.ToJsonString());
            var validation = await Command.RunAsync("node", [Repository.File("tests", "Helm.Tests", "node", "validate.mjs"), file]);
            return (validation.ExitCode == 0, validation.Output + validation.Error);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
