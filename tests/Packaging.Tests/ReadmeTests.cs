using System.ComponentModel;
using System.Text.Json;
using RouteService.Client;

namespace RouteService.Packaging.Tests;

/// <summary>The READMEs of the packages, and the SDK's section of the repository's, are done as they say.</summary>
public sealed class ReadmeTests(Packages packages, RunningService service) : IClassFixture<RunningService>
{
    private const string Address = "http://localhost:50051";

    private string Service => $"http://{service.Address}";

    private static IEnumerable<Block> OfTheClient => Readme.Blocks("src", "Client.Sdk", "README.md");

    private static IEnumerable<Block> OfTheDouble => Readme.Blocks("src", "Client.Sdk.Testing", "README.md");

    [Fact]
    public async Task The_first_program_is_installed_written_and_run_and_says_what_is_promised()
    {
        var folder = Directory.CreateDirectory(Path.Combine(packages.Folder, "first")).FullName;
        var blocks = OfTheClient.TakeWhile(static block => block.Language != "text").ToList();
        var promised = OfTheClient.First(static block => block.Language == "text").Code;

        var output = "";
        foreach (var block in blocks)
        {
            if (block.Language == "csharp")
            {
                await File.WriteAllTextAsync(Path.Combine(folder, "trip", "Program.cs"), block.Code.Replace(Address, Service));
                continue;
            }

            foreach (var command in block.Code.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                output = (await RunAsync(folder, command)).AssertSuccess().Output;
            }
        }

        Assert.Equal(promised, output);
    }

    [Fact]
    public async Task The_unit_tests_with_the_double_are_installed_and_pass()
    {
        var folder = Directory.CreateDirectory(Path.Combine(packages.Folder, "doubled")).FullName;
        var tests = Directory.CreateDirectory(Path.Combine(folder, "tests")).FullName;
        await File.WriteAllTextAsync(
            Path.Combine(tests, "tests.csproj"),
            """
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <Nullable>enable</Nullable>
                <ImplicitUsings>enable</ImplicitUsings>
                <NoWarn>xUnit1051</NoWarn>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="xunit.v3" Version="4.0.2" />
              </ItemGroup>
            </Project>
            """);
        await File.WriteAllTextAsync(Path.Combine(tests, "TravelGuideTests.cs"), OfTheDouble.Single(static block => block.Language == "csharp").Code);

        (await RunAsync(folder, OfTheDouble.Single(static block => block.Language == "sh").Code.Trim())).AssertSuccess();
        var run = (await RunAsync(folder, "dotnet run --project tests")).AssertSuccess();

        Assert.Contains("Total: 2, Errors: 0, Failed: 0", run.Output);
    }

    /// <summary>All other code of the READMEs: it is compiled, without warnings, and run where nothing but the service is needed for it.</summary>
    [Fact]
    public async Task The_snippets_compile_and_run()
    {
        var folder = packages.Copy("Snippets");
        var blocks = OfTheClient.Concat(Readme.Blocks("README.md")).Concat(Readme.Blocks("protos", "README.md")).Where(static block => block.Language == "csharp").ToList();
        for (var i = 0; i < blocks.Count; i++)
        {
            await File.WriteAllTextAsync(Path.Combine(folder, $"Snippet{i}.cs"), Wrap(i, blocks[i], Service));
        }

        // A web application and a watch do not end, and nobody has the certificates of the example.
        var runnable = Enumerable.Range(0, blocks.Count)
            .Where(i => !((string[])["app.Run()", "WatchFeaturesAsync", "https://"]).Any(blocks[i].Code.Contains)).ToList();
        await File.WriteAllTextAsync(
            Path.Combine(folder, "Program.cs"), string.Concat(runnable.Select(static i => $"await Snippets.Snippet{i}.RunAsync();\nConsole.WriteLine(\"{i} has run\");\n")));

        (await Packages.DotnetAsync(folder, "build", $"-p:RouteServiceVersion={packages.Version}")).AssertSuccess();
        var run = await Command.RunAsync(
            "dotnet", [Path.Combine(folder, "bin", "Debug", "net10.0", "Snippets.dll")], new Dictionary<string, string> { ["ROUTE_SERVICE"] = Service }, folder);

        run.AssertSuccess();
        Assert.True(runnable.Count >= 6, $"Only {runnable.Count} of {blocks.Count} snippets are run.");
        Assert.All(runnable, i => Assert.Contains($"{i} has run", run.Output));
        Assert.Contains("Is anybody here?", run.Output);
        Assert.Contains("5 points, 4,448 m", run.Output);
        Assert.Contains("Eiffel Tower, 330 m, version", run.Output);
        Assert.Contains("Louvre: {", run.Output);
    }

    [Fact]
    public void Every_reason_of_a_failure_is_in_the_table_and_is_transient_where_it_says_so()
    {
        var readme = File.ReadAllText(Repository.File("src", "Client.Sdk", "README.md"));

        Assert.All(Enum.GetValues<FailureReason>(), reason => Assert.Contains($"| `{reason}` | {(new RouteServiceException(reason, "").IsTransient ? "yes" : "no")} |", readme));
    }

    [Fact]
    public void The_configuration_has_names_and_values_of_options()
    {
        using var json = JsonDocument.Parse(OfTheClient.Single(static block => block.Language == "json").Code);

        AssertOptions(json.RootElement.GetProperty("RouteService"), typeof(RouteServiceClientOptions));

        static void AssertOptions(JsonElement section, Type options) => Assert.All(section.EnumerateObject(), entry =>
        {
            var option = options.GetProperty(entry.Name);
            Assert.True(option is not null, $"{options.Name} has no {entry.Name}.");
            if (entry.Value.ValueKind == JsonValueKind.Object)
            {
                AssertOptions(entry.Value, option.PropertyType);
            }
            else
            {
                Assert.NotNull(TypeDescriptor.GetConverter(option.PropertyType).ConvertFromInvariantString(entry.Value.ToString()));
            }
        });
    }

    [Fact]
    public void The_defaults_are_those_of_the_table()
    {
        var readme = File.ReadAllText(Repository.File("src", "Client.Sdk", "README.md"));
        var options = new RouteServiceClientOptions();

        Assert.All(
            [
                $"| `Timeout` | {options.Timeout.TotalSeconds} s |", $"| `StreamSilence` | {options.StreamSilence.TotalSeconds} s |", $"| `ResumeWithin` | {options.ResumeWithin.TotalMinutes} min |",
                $"| `Retry.MaxAttempts` | {options.Retry.MaxAttempts} |", $"| `Retry.Delay`, `.MaxDelay` | {options.Retry.Delay.TotalMilliseconds} ms, {options.Retry.MaxDelay.TotalSeconds} s |",
                $"| `Retry.Budget` | {options.Retry.Budget} |", $"| `MaxResumableFeatures` | {options.MaxResumableFeatures / 1_000_000} million |",
                $"| `Hedging` | {(options.Hedging is null ? "off" : "on")} |", $"| `CircuitBreaker` | {(options.CircuitBreaker is null ? "off" : "on")} |",
                $"| `KeepAlive` | {options.KeepAlive.TotalSeconds} s |",
            ],
            row => Assert.Contains(row, readme));
    }

    /// <summary>A README's command, with the packed version where it would take the newest.</summary>
    private Task<Command> RunAsync(string folder, string command)
    {
        var words = command.Split(' ');
        Assert.Equal("dotnet", words[0]);
        return Packages.DotnetAsync(folder, [.. words.Skip(1), .. words.Contains("add") ? ["--version", packages.Version] : Array.Empty<string>()]);
    }

    private static string Wrap(int number, Block block, string address)
    {
        var lines = block.Code.Split('\n');
        var usings = lines.TakeWhile(static line => line.StartsWith("using ", StringComparison.Ordinal) && !line.Contains('=')).ToList();
        return $$"""
            {{string.Join('\n', usings)}}

            namespace Snippets;

            public sealed class Snippet{{number}} : Snippet
            {
                public static async Task RunAsync()
                {
                    await Task.CompletedTask;
            #line {{block.Line + usings.Count}} "README.md"
            {{string.Join('\n', lines.Skip(usings.Count)).Replace(Address, address)}}
                }
            }
            """;
    }
}
