namespace RouteService.Helm.Tests;

/// <summary>The chart as others get it: packed, and as a part of their own.</summary>
public sealed class PackageTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-package-").FullName;

    [Fact]
    public async Task A_package_renders_what_the_folder_renders_and_has_nothing_for_tests()
    {
        var package = await PackAsync(_folder);

        var packed = (await Helm.RunAsync(
            "template", Helm.Release, package, "--kube-version", Helm.KubernetesVersion, "-f", Helm.ValueSets["monitoring"])).AssertSuccess().Output;
        var listed = (await Command.RunAsync("tar", ["--list", "--file", package])).AssertSuccess().Output;

        Assert.Equal(await Helm.TemplateTextAsync("-f", Helm.ValueSets["monitoring"]), packed);
        Assert.Contains("route-service/values.schema.json", listed);
        Assert.Contains("route-service/README.md", listed);
        Assert.DoesNotContain("route-service/ci/", listed);
    }

    [Fact]
    public async Task A_chart_of_charts_can_have_it_and_mistakes_are_found_there_too()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "umbrella", "charts"));
        await PackAsync(Path.Combine(_folder, "umbrella", "charts"));
        await File.WriteAllTextAsync(
            Path.Combine(_folder, "umbrella", "Chart.yaml"),
            "{apiVersion: v2, name: umbrella, version: 1.0.0, dependencies: [{name: route-service, version: 0.x, condition: route-service.enabled}]}",
            TestContext.Current.CancellationToken);

        var right = await TemplateAsync("global.region=north,route-service.database.existingSecret.name=places-database");
        var wrong = await TemplateAsync("route-service.database.existingSecret.nam=places-database");

        Assert.Equal("all-route-service", Manifest.Parse(right.AssertSuccess().Output).Deployment.Name());

        // Under its condition, with what the umbrella has for all of its charts, and beside a database that comes with it.
        var shared = Manifest.Parse((await TemplateAsync(
            "route-service.enabled=true,global.imageRegistry=registry.example.com,global.imagePullSecrets={example},route-service.database.existingSecret.name=all-pg-app,"
                + "route-service.database.existingSecret.key=uri,route-service.database.migration.hooks=false,route-service.podSecurityContext.runAsUser=null")).AssertSuccess().Output);
        Assert.Equal("registry.example.com/route-service:0.1.0", shared.Deployment.List("spec.template.spec.containers").Single().Text("image"));
        Assert.Equal("example", Assert.Single(shared.Deployment.List("spec.template.spec.imagePullSecrets")).Text("name"));
        Assert.Null(shared.Deployment.At("spec.template.spec.securityContext.runAsUser"));
        Assert.False(shared.The("Job").IsHook("pre-install"));
        Assert.Empty(Manifest.Parse((await TemplateAsync("route-service.enabled=false")).AssertSuccess().Output).Objects);
        Assert.NotEqual(0, wrong.ExitCode);
        Assert.Contains("additional properties 'nam' not allowed", wrong.Error);

        Task<Command> TemplateAsync(string values) => Helm.RunAsync("template", "all", Path.Combine(_folder, "umbrella"), "--set", values);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static async Task<string> PackAsync(string folder)
    {
        (await Helm.RunAsync("package", Helm.Chart, "--destination", folder)).AssertSuccess();
        return Assert.Single(Directory.GetFiles(folder, "*.tgz"));
    }
}
