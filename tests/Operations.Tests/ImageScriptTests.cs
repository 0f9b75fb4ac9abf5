namespace RouteService.Operations.Tests;

/// <summary>What eng/image.sh asks of an engine, by one that only writes down what it is asked.</summary>
public sealed class ImageScriptTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-engine-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Bases_of_a_registry_are_fixed_by_their_digests_and_named_in_the_image()
    {
        var build = await BuildAsync("overlay2");

        Assert.Matches(@"^build .*--build-arg SDK=mcr\.microsoft\.com/dotnet/sdk:10\.0@sha256:abc --build-arg RUNTIME=mcr\.microsoft\.com/dotnet/aspnet:10\.0-noble-chiseled@sha256:abc ", build);
        Assert.Contains("--label org.opencontainers.image.base.name=mcr.microsoft.com/dotnet/aspnet:10.0-noble-chiseled ", build);
        Assert.Contains("--label org.opencontainers.image.base.digest=sha256:abc ", build);
        Assert.Matches(@"--label org\.opencontainers\.image\.created=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", build);
        Assert.Matches(@"--build-arg SOURCE_DATE_EPOCH=\d+ ", build);
        Assert.DoesNotContain("--sbom", build);
    }

    [Fact]
    public async Task Bases_of_this_machine_are_taken_as_they_are()
    {
        var build = await BuildAsync("overlay2", "--sdk", "local/sdk", "--runtime", "registry.example.com/runtime@sha256:def");

        Assert.Contains("--build-arg SDK=local/sdk --build-arg RUNTIME=registry.example.com/runtime@sha256:def ", build);
        Assert.Contains("--label org.opencontainers.image.base.name=registry.example.com/runtime ", build);
        Assert.Contains("--label org.opencontainers.image.base.digest=sha256:def ", build);
    }

    [Fact]
    public async Task A_builder_that_can_adds_an_SBOM_and_the_provenance() =>
        Assert.StartsWith("buildx build --load --sbom=true --provenance=mode=max ", await BuildAsync("io.containerd.snapshotter.v1", "--", "--platform", "linux/arm64"));

    /// <summary>What the engine is asked to build.</summary>
    private async Task<string> BuildAsync(string driver, params string[] arguments)
    {
        var engine = Path.Combine(_folder, "docker");

        // By another process: a file that this one has open for writing may not be run, and a test beside this one could inherit that.
        (await Command.RunAsync("sh", ["-c", "printf %s \"$1\" >\"$0\" && chmod +x \"$0\"", engine, $$"""
            #!/bin/sh
            case "$*" in
              info | pull* | 'buildx version') ;;
              'info --format'*) echo '[[driver-type {{driver}}]]' ;;
              'image inspect'*) echo 'name@sha256:abc' ;;
              *) echo "$*" >'{{_folder}}/asked' && exit 3 ;;
            esac
            """])).AssertSuccess();
        var path = $"{_folder}:{Environment.GetEnvironmentVariable("PATH")}";

        var script = await Command.RunAsync(Repository.File("eng", "image.sh"), ["--engine", "docker", .. arguments], new Dictionary<string, string> { ["PATH"] = path });

        Assert.Equal(3, script.ExitCode);
        return await File.ReadAllTextAsync(Path.Combine(_folder, "asked"), TestContext.Current.CancellationToken);
    }
}
