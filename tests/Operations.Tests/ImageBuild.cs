using System.Text.Json;

namespace RouteService.Operations.Tests;

/// <summary>The image, built once for all its tests; they are skipped where it cannot be.</summary>
public sealed class ImageBuild : IAsyncLifetime
{
    internal const string Tag = "route-service-test";

    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-image-").FullName;
    private readonly Dictionary<string, string> _engine = [];
    private Command? _script;
    private string? _missing;

    /// <summary>What eng/image.sh has said.</summary>
    internal Command Script
    {
        get
        {
            Assert.SkipWhen(_missing is not null, _missing ?? "");
            return _script!;
        }
    }

    /// <summary>Where the files of the image are.</summary>
    internal string Root { get; private set; } = "";

    /// <summary>How the image says that it is run.</summary>
    internal JsonElement Config { get; private set; }

    /// <summary>The variables that the image sets.</summary>
    internal IEnumerable<(string Name, string Value)> Environment => Config.GetProperty("Env").EnumerateArray().Select(static variable =>
    {
        var text = variable.GetString()!;
        var end = text.IndexOf('=', StringComparison.Ordinal);
        return (text[..end], text[(end + 1)..]);
    });

    public async ValueTask InitializeAsync()
    {
        _missing = !File.Exists("/usr/bin/buildah") ? "buildah is missing: apt-get install buildah"
            : !System.Environment.IsPrivilegedProcess ? "only root builds an image without an engine's daemon"
            : null;
        if (_missing is not null)
        {
            return;
        }

        // A storage of its own, in plain folders. Isolation by chroot asks nothing of the kernel that a container might not be given.
        var storage = Path.Combine(_folder, "storage.conf");
        await File.WriteAllTextAsync(storage, $"[storage]\ndriver = \"vfs\"\ngraphroot = \"{_folder}/graph\"\nrunroot = \"{_folder}/run\"\n");
        _engine["CONTAINERS_STORAGE_CONF"] = storage;
        _engine["BUILDAH_ISOLATION"] = "chroot";
        (await Command.RunAsync("bash", [Repository.File("tests", "Operations.Tests", "base-images.sh"), "base/sdk", "base/runtime"], _engine)).AssertSuccess();

        // The SDK, the feeds and the packages that have been restored are this machine's.
        var packages = Path.Combine(System.Environment.GetFolderPath(System.Environment.SpecialFolder.UserProfile), ".nuget");
        string[] mounts = ["--volume", $"{DotnetFolder()}:/usr/share/dotnet:ro", "--volume", $"{packages}:/root/.nuget"];
        _script = await Command.RunAsync(
            Repository.File("eng", "image.sh"), ["--engine", "buildah", "--tag", Tag, "--sdk", "base/sdk", "--runtime", "base/runtime", "--", .. mounts], _engine, minutes: 10);
        if (_script.ExitCode == 0)
        {
            var inspected = JsonDocument.Parse((await BuildahAsync("inspect", "--type", "image", Tag)).Output);
            Config = inspected.RootElement.GetProperty("Docker").GetProperty("config");
            Root = (await BuildahAsync("mount", (await BuildahAsync("from", Tag)).Output.Trim())).Output.Trim();
        }
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return default;
    }

    private async Task<Command> BuildahAsync(params string[] arguments) => (await Command.RunAsync("buildah", arguments, _engine)).AssertSuccess();

    /// <summary>Of the .NET that runs this test: the runtime's folder is shared/Microsoft.NETCore.App/VERSION in it.</summary>
    private static string DotnetFolder() => Path.GetFullPath(Path.Combine(System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
}
