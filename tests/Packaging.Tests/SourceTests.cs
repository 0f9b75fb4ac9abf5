using System.IO.Compression;
using System.Reflection.Metadata;
using System.Text;
using System.Text.Json;

namespace RouteService.Packaging.Tests;

/// <summary>Packages that are built and packed from two clones of the same commit, in different folders.</summary>
public sealed class SourceTests : IDisposable
{
    private const string Repo = "https://github.com/route-service/route-service";
    private const string Commit = "0123456789abcdef0123456789abcdef01234567";

    // "Source Link" among the custom debug information of a portable PDB
    // (https://github.com/dotnet/runtime/blob/main/docs/design/specs/PortablePdb-Metadata.md).
    private static readonly Guid SourceLink = new("CC110556-A091-4D38-9FEC-25AB9A351A6A");

    private static readonly string[] Projects = ["protos", "src/Client.Sdk", "src/Client.Sdk.Testing"];

    // The double compiles the rules of the domain.
    private static readonly string[] Folders = [.. Projects, "src/Domain"];

    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-sources-").FullName;

    [Fact]
    public async Task Two_builds_of_a_commit_are_equal_and_say_where_their_sources_are()
    {
        await PackAsync("one");
        await PackAsync("another");

        foreach (var package in Directory.GetFiles(Path.Combine(_folder, "one", "feed")))
        {
            var again = Path.Combine(_folder, "another", "feed", Path.GetFileName(package));
            var binaries = Binaries(package);
            Assert.NotEmpty(binaries);
            Assert.Equal(binaries, Binaries(again));
            foreach (var (name, bytes) in binaries.Where(static file => file.Key.EndsWith(".pdb", StringComparison.Ordinal)))
            {
                AssertSourceLink(name, bytes);
            }
        }

        Assert.Equal(3, Directory.GetFiles(Path.Combine(_folder, "one", "feed"), "*.snupkg").Length);
        Assert.All(Directory.GetFiles(Path.Combine(_folder, "one", "feed"), "*.nupkg"), package =>
        {
            var manifest = Encoding.UTF8.GetString(Read(package, static name => name.EndsWith(".nuspec", StringComparison.Ordinal)).Single().Value);
            Assert.Contains($"url=\"{Repo}\"", manifest);
            Assert.Contains($"commit=\"{Commit}\"", manifest);
        });
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static void AssertSourceLink(string name, byte[] bytes)
    {
        using var pdb = MetadataReaderProvider.FromPortablePdbStream(new MemoryStream(bytes));
        var reader = pdb.GetMetadataReader();
        var link = reader.CustomDebugInformation.Select(reader.GetCustomDebugInformation).Where(information => reader.GetGuid(information.Kind) == SourceLink)
            .Select(information => reader.GetBlobBytes(information.Value)).SingleOrDefault();

        Assert.True(link is not null, $"{name} has no SourceLink.");
        using var json = JsonDocument.Parse(link);
        var root = Assert.Single(json.RootElement.GetProperty("documents").EnumerateObject());
        Assert.Equal("/_/*", root.Name);
        Assert.Equal($"https://raw.githubusercontent.com/route-service/route-service/{Commit}/*", root.Value.GetString());
    }

    private async Task PackAsync(string clone)
    {
        var root = Clone(clone);
        foreach (var project in Projects)
        {
            (await Command.RunAsync(
                "dotnet", ["pack", Path.Combine(root, project), "-c", "Release", "-o", Path.Combine(root, "feed"), "-p:RunAnalyzers=false", "-nodeReuse:false"],
                new Dictionary<string, string> { ["CI"] = "true", ["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0" }, root)).AssertSuccess();
        }
    }

    /// <summary>The sources, in a folder that is the clone of a commit as far as SourceLink looks: its head and the address of its remote.</summary>
    private string Clone(string name)
    {
        var root = Path.Combine(_folder, name);
        // The file .git is a work tree's.
        string[] files = [.. Directory.GetFiles(Repository.Root).Where(static file => Path.GetFileName(file) != ".git"), .. Directory.GetFiles(Repository.File("eng"), "*.txt"), .. Directory.GetFiles(Repository.File("src"))];
        foreach (var file in files.Concat(Folders.SelectMany(static folder => Sources(Repository.File(folder.Split('/'))))))
        {
            var copy = Path.Combine(root, Path.GetRelativePath(Repository.Root, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        var git = Directory.CreateDirectory(Path.Combine(root, ".git")).FullName;
        Directory.CreateDirectory(Path.Combine(git, "objects"));
        Directory.CreateDirectory(Path.Combine(git, "refs"));
        File.WriteAllText(Path.Combine(git, "HEAD"), $"{Commit}\n");
        File.WriteAllText(Path.Combine(git, "config"), $"[core]\n\trepositoryformatversion = 0\n[remote \"origin\"]\n\turl = {Repo}\n");
        return root;
    }

    private static IEnumerable<string> Sources(string project) => Directory.EnumerateFiles(project, "*", SearchOption.AllDirectories)
        .Where(file => Path.GetRelativePath(project, file).Split(Path.DirectorySeparatorChar)[0] is not ("bin" or "obj"));

    private static Dictionary<string, byte[]> Binaries(string package) =>
        Read(package, static name => name.EndsWith(".dll", StringComparison.Ordinal) || name.EndsWith(".pdb", StringComparison.Ordinal));

    private static Dictionary<string, byte[]> Read(string package, Func<string, bool> isWanted)
    {
        using var archive = ZipFile.OpenRead(package);
        return archive.Entries.Where(entry => isWanted(entry.FullName)).ToDictionary(static entry => entry.FullName, static entry =>
        {
            using var content = entry.Open();
            var bytes = new MemoryStream();
            content.CopyTo(bytes);
            return bytes.ToArray();
        });
    }
}
