using System.Text.Json.Nodes;

namespace RouteService.Helm.Tests;

/// <summary>
/// That a release of an earlier version can be upgraded. A release adds to released/ its values.yaml as VERSION-values.yaml, and, as VERSION-NAME.yaml,
/// what the sets of values render to; neither changes after that.
/// </summary>
public sealed class UpgradeTests
{
    private static readonly string Released = Repository.File("tests", "Helm.Tests", "released");

    public static TheoryData<string> Versions { get; } =
        [.. Directory.GetFiles(Released, "*-values.yaml").Select(static file => Path.GetFileName(file).Replace("-values.yaml", "", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task The_values_of_a_release_are_still_accepted(string version)
    {
        var manifest = await Helm.TemplateAsync("-f", Path.Combine(Released, $"{version}-values.yaml"), "-f", Helm.ValueSets["database"]);

        Assert.NotEmpty(manifest.Objects);
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task An_upgrade_that_reuses_values_knows_nothing_of_newer_keys_and_works(string version)
    {
        // What --reuse-values does: the values of the release in place of the new chart's.
        var folder = Directory.CreateTempSubdirectory("route-service-chart-");
        try
        {
            var chart = Path.Combine(folder.FullName, "route-service");
            foreach (var file in Directory.GetFiles(Helm.Chart, "*", SearchOption.AllDirectories))
            {
                var copy = Path.Combine(chart, Path.GetRelativePath(Helm.Chart, file));
                Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
                File.Copy(file, copy);
            }

            File.Copy(Path.Combine(Released, $"{version}-values.yaml"), Path.Combine(chart, "values.yaml"), overwrite: true);

            (await Helm.RunAsync("template", Helm.Release, chart, "-f", Helm.ValueSets["production"])).AssertSuccess();
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task What_Kubernetes_does_not_let_change_is_as_it_was(string version)
    {
        var files = Directory.GetFiles(Released, $"{version}-*.yaml").Where(static file => !file.EndsWith("-values.yaml", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(files);
        foreach (var file in files)
        {
            var set = Path.GetFileNameWithoutExtension(file)[(version.Length + 1)..];
            var now = await Helm.TemplateSetAsync(set, "--namespace", "services");

            Assert.Equal(
                Immutable(Manifest.Parse(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken))),
                Immutable(now));
        }
    }

    private static IEnumerable<string> Immutable(Manifest manifest) => manifest.Objects
        .Where(static o => o.Kind() is "Deployment" or "StatefulSet" or "Service" or "PersistentVolumeClaim")
        .Select(static o => new JsonObject
        {
            ["kind"] = o.Kind(),
            ["name"] = o.Name(),
            ["selector"] = o.Kind() is "Service" ? null : o.At("spec.selector")?.DeepClone(),
            ["clusterIP"] = o.At("spec.clusterIP")?.DeepClone(),
            ["serviceName"] = o.At("spec.serviceName")?.DeepClone(),
            ["volumeClaimTemplates"] = o.At("spec.volumeClaimTemplates")?.DeepClone(),
        }.ToJsonString())
        .Order(StringComparer.Ordinal);
}
