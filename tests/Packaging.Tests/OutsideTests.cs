using System.Runtime.InteropServices;

namespace RouteService.Packaging.Tests;

/// <summary>Programs outside of the repository that have installed the package.</summary>
public sealed class OutsideTests(Packages packages, RunningService service) : IClassFixture<RunningService>
{
    private static readonly string[] Expected =
    [
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
        Assert.DoesNotContain("warning", publish.Output);
    }

    [Fact]
    public async Task It_is_beside_a_server_and_stubs_of_gRPC_in_one_application()
    {
        var gateway = packages.Copy("Gateway");

        (await Packages.DotnetAsync(gateway, "build", $"-p:RouteServiceVersion={packages.Version}")).AssertSuccess();
        var program = Path.Combine(gateway, "bin", "Debug", "net10.0", "Gateway.dll");
        var run = await Command.RunAsync("dotnet", [program, $"http://{service.Address}"]);

        Assert.Equal(["Hello, gateway! By the SDK Hoboken, New Jersey, US, by the stub Hoboken, New Jersey, US."], Lines(run.AssertSuccess()));
    }

    [Fact]
    public async Task It_is_beside_stubs_that_an_application_generates_from_the_same_protos()
    {
        var own = packages.Copy("OwnStubs");
        var protos = Directory.CreateDirectory(Path.Combine(own, "protos")).FullName;
        foreach (var proto in Directory.GetFiles(Repository.File("protos"), "*.proto"))
        {
            File.Copy(proto, Path.Combine(protos, Path.GetFileName(proto)));
        }

        // The reference to the contract is the README's.
        var reference = Readme.Blocks("src", "Client.Sdk", "README.md").Single(static block => block.Language == "xml").Code.Replace("0.1.0", packages.Version);
        var project = Path.Combine(own, "OwnStubs.csproj");
        await File.WriteAllTextAsync(project, (await File.ReadAllTextAsync(project)).Replace("<!-- README -->", reference));

        (await Packages.DotnetAsync(own, "build", $"-p:RouteServiceVersion={packages.Version}")).AssertSuccess();
        var run = await Command.RunAsync("dotnet", [Path.Combine(own, "bin", "Debug", "net10.0", "OwnStubs.dll"), $"http://{service.Address}"]);

        Assert.Equal(["OwnStubs: Hoboken, New Jersey, US", "RouteService.Client: Hoboken, New Jersey, US"], Lines(run.AssertSuccess()));
    }

    private static string[] Lines(Command run) => run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
