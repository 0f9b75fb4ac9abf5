using System.IO.Compression;
using System.Xml.Linq;
using RouteService.Packaging.Tests;

[assembly: AssemblyFixture(typeof(Packages))]

namespace RouteService.Packaging.Tests;

/// <summary>The packages, made of what is built, in a folder outside of the repository from which its subfolders install them.</summary>
public sealed class Packages : IAsyncLifetime
{
    public const string Contracts = "RouteService.Contracts";
    public const string Client = "RouteService.Client";
    public const string Testing = "RouteService.Client.Testing";

    /// <summary>Where their sources are, as somebody who publishes them says.</summary>
    public const string RepositoryUrl = "https://git.example/route-service";

    // Of MSBuild: no process of a build is left for the next one.
    private static readonly Dictionary<string, string> Environment = new()
    {
        ["MSBUILDDISABLENODEREUSE"] = "1",
        ["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0",
    };

    /// <summary>Packed in every run and never before, so that no cache has it.</summary>
    public string Version { get; } = FormattableString.Invariant($"0.1.{TimeProvider.System.GetUtcNow().ToUnixTimeSeconds()}");

    public string Folder { get; } = Directory.CreateTempSubdirectory("route-service-packages-").FullName;

    private string Feed => Path.Combine(Folder, "feed");

    public async ValueTask InitializeAsync()
    {
        // The packages of the machine's own folder are read from there; what is new goes into this one.
        var known = (await DotnetAsync(Repository.Root, "nuget", "locals", "global-packages", "--list")).AssertSuccess().Output.Split("global-packages: ")[1].Trim();
        await File.WriteAllTextAsync(
            Path.Combine(Folder, "nuget.config"),
            $"""
            <configuration>
              <config><add key="globalPackagesFolder" value="packages" /></config>
              <fallbackPackageFolders><add key="known" value="{known}" /></fallbackPackageFolders>
              <packageSources><add key="packed" value="feed" /></packageSources>
            </configuration>
            """);
        foreach (var project in new[] { Repository.File("protos"), Repository.File("src", "Client.Sdk"), Repository.File("src", "Client.Sdk.Testing") })
        {
            (await DotnetAsync(
                project, "pack", "--no-build", "-c", Repository.Configuration, "-o", Feed, $"-p:PackageVersion={Version}", $"-p:RepositoryUrl={RepositoryUrl}"))
                .AssertSuccess();
        }
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(Folder, recursive: true);
        return default;
    }

    /// <summary>Runs dotnet in a folder.</summary>
    internal static Task<Command> DotnetAsync(string folder, params string[] arguments) => Command.RunAsync("dotnet", arguments, Environment, folder);

    /// <summary>A copy of a project of <c>Outside/</c>, outside.</summary>
    public string Copy(string project)
    {
        var copy = Directory.CreateDirectory(Path.Combine(Folder, project)).FullName;
        foreach (var file in Directory.GetFiles(Repository.File("tests", "Packaging.Tests", "Outside", project)))
        {
            File.Copy(file, Path.Combine(copy, Path.GetFileName(file)), overwrite: true);
        }

        return copy;
    }

    public ZipArchive Open(string package, string extension = "nupkg") => ZipFile.OpenRead(Path.Combine(Feed, $"{package}.{Version}.{extension}"));

    public XElement Metadata(string package)
    {
        using var archive = Open(package);
        using var nuspec = archive.GetEntry($"{package}.nuspec")!.Open();
        return XDocument.Load(nuspec).Root!.Elements().Single();
    }
}
