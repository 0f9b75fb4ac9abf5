using System.Runtime.InteropServices;

namespace RouteService.Packaging.Tests;

/// <summary>A program outside of the repository that has installed the package, and has types of its own with the names of gRPC's.</summary>
public sealed class OutsideTests(Packages packages, RunningService service) : IClassFixture<RunningService>
{
    private static readonly string[] Expected =
    [
        "own: a status, a channel of somebody's own",
        "health: Serving",
        "hello: Hello, trip!",
        "feature: Feature { Location = 40.74399,-74.03236, Name = Hoboken, New Jersey, US }",
        "listed: True, True",
        "route: 2, 2, 12994 m",
        "note: from outside",
        "error: Unavailable, UNAVAILABLE, True",
    ];

    [Fact]
    public async Task It_runs_and_trimmed_and_self_contained_it_does_as_well()
    {
        packages.Copy("Own");
        var trip = packages.Copy("Trip");
        var published = Path.Combine(trip, "published");
        var machine = RuntimeInformation.RuntimeIdentifier;

        var publish = (await Packages.DotnetAsync(
            trip, "publish", $"-p:RouteServiceVersion={packages.Version}", "-r", machine, "--self-contained", "-p:PublishTrimmed=true", "-o", published)).AssertSuccess();
        var untrimmed = await Command.RunAsync(Path.Combine(trip, "bin", "Release", "net10.0", machine, "Trip"), [$"http://{service.Address}"]);
        var trimmed = await Command.RunAsync(Path.Combine(published, "Trip"), [$"http://{service.Address}"]);

        Assert.Equal(Expected, Lines(untrimmed.AssertSuccess()));
        Assert.Equal(Expected, Lines(trimmed.AssertSuccess()));
        Assert.False(File.Exists(Path.Combine(published, "System.Private.Xml.dll")), "It is not trimmed.");

        // Google.Protobuf 3.25.1 has one of its own: docs/dependencies.md.
        Assert.DoesNotContain(
            publish.Output.Split('\n'), static line => line.Contains("warning") && !line.Contains("Google.Protobuf.JsonFormatter.OriginalEnumValueHelper"));
    }

    private static string[] Lines(Command run) => run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
