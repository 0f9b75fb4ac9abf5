using System.Text.RegularExpressions;

namespace RouteService.EndToEnd.Tests;

/// <summary>
/// Every command in README.md is run: each line of its <c>sh</c> blocks, where a line that ends in a backslash goes on in the next. The ports in
/// them become those of a service of this test's own, which was itself started by README's first command.
/// </summary>
public sealed partial class ReadmeTests : IAsyncLifetime
{
    private const string Run = "dotnet run --project src/Api";

    private readonly RunningService _service = new();

    public static TheoryData<string> Commands => [.. Blocks().Matches(File.ReadAllText(Repository.File("README.md")))
        .SelectMany(block => block.Groups[1].Value.Replace("\\\n", " ").Split('\n', StringSplitOptions.RemoveEmptyEntries))];

    public async ValueTask InitializeAsync() => await _service.StartAsync("dotnet", [.. Split(Run).Skip(1).SelectMany(WithoutBuilding)]);

    public ValueTask DisposeAsync() => _service.DisposeAsync();

    [Theory]
    [MemberData(nameof(Commands))]
    public async Task The_command_works(string line)
    {
        var words = Split(line.Replace("localhost:50051", _service.Address).Replace("localhost:8081", $"localhost:{_service.ManagementPort}"));
        switch (words)
        {
            case ["dotnet", "run", "--project", "src/Api"]:
                // Is what InitializeAsync did.
                break;

            case ["dotnet", "run", "--project", "src/Api", "--", "import", "places.csv", ..]:
                await File.WriteAllTextAsync(Path.Combine(_service.Folder, "places.csv"), "name,latitude,longitude\nx,1,2\n");
                (await RunAsync("dotnet", words.Skip(1).SelectMany(WithoutBuilding))).AssertSuccess();
                break;

            case ["dotnet", "run", "--project", "samples/Stubs"]:
                var sample = (await RunAsync("dotnet", [.. words.Skip(1).SelectMany(WithoutBuilding), $"http://{_service.Address}"])).AssertSuccess();
                Assert.Contains("<- First message", sample.Output);
                break;

            case ["buf", ..]:
                Assert.SkipWhen(BufTests.IsMissing, "buf is missing: npm ci in tests/EndToEnd.Tests/node");
                (await BufTests.RunAsync(words.Skip(1))).AssertSuccess();
                break;

            case ["grpcurl", ..]:
                Assert.SkipUnless(OnPath("grpcurl"), "grpcurl is missing, and no package of Debian or npm has it");
                (await RunAsync("grpcurl", words.Skip(1))).AssertSuccess();
                break;

            case ["curl", ..]:
                Assert.SkipUnless(OnPath("curl"), "curl is missing: apt-get install curl");
                (await RunAsync("curl", words.Skip(1))).AssertSuccess();
                break;

            case ["docker", "compose", ..]:
                Assert.SkipUnless(OnPath("docker"), "docker is missing");
                Assert.SkipUnless((await Command.RunAsync("docker", ["compose", "version"])).ExitCode == 0, "docker compose is missing");
                (await Command.RunAsync("docker", ["compose", "config", "--quiet"])).AssertSuccess();
                break;

            case ["ConnectionStrings__RouteService=", _, .. var command]:
                await RunOnDatabaseAsync(command);
                break;

            case ["eng/test.sh"]:
                // Is what runs this test; that it can be run is what is left to see.
                Assert.True(File.GetUnixFileMode(Repository.File("eng", "test.sh")).HasFlag(UnixFileMode.UserExecute));
                break;

            default:
                Assert.Fail($"README.md has a command that no test knows how to run: {line}");
                break;
        }
    }

    /// <summary>With a database of the test's own, empty and in the hands of a role that may create extensions, as README has it.</summary>
    private static async Task RunOnDatabaseAsync(string[] command)
    {
        PostgresServer? server = null;
        try
        {
            server = await PostgresServer.SharedAsync();
        }
        catch (PostgresMissingException e)
        {
            Assert.Skip(e.Message);
        }

        await using var database = await server.CreateEmptyDatabaseAsync();
        await using var service = new RunningService();
        service.Settings["ConnectionStrings__RouteService"] = database.ConnectionString;
        string[] words = [.. command.Skip(1).SelectMany(WithoutBuilding)];
        (await Command.RunAsync("dotnet", words.Contains("migrate") ? words : [.. words, "--", "migrate"], service.Settings, service.Folder)).AssertSuccess();
        if (!words.Contains("migrate"))
        {
            await service.StartAsync("dotnet", words);
            Assert.Contains("PostGIS", service.Output);
        }
    }

    private Task<Command> RunAsync(string program, IEnumerable<string> arguments) =>
        Command.RunAsync(program, arguments, RunningService.Environment, _service.Folder);

    /// <summary>The tests run beside each other and a build would meet another; what is run was built with them.</summary>
    private static IEnumerable<string> WithoutBuilding(string word) => word switch
    {
        "run" => ["run", "--no-build", "-c", Repository.Configuration],
        "src/Api" or "samples/Stubs" => [Repository.File(word.Split('/'))],
        _ => [word],
    };

    private static bool OnPath(string program) =>
        Environment.GetEnvironmentVariable("PATH")!.Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, program)));

    /// <summary>A shell's words: separated by blanks, but not within single quotes.</summary>
    private static string[] Split(string line) => [.. Words().Matches(line).Select(word => word.Groups[1].Success ? word.Groups[1].Value : word.Value)];

    [GeneratedRegex("'([^']*)'|[^ ']+")]
    private static partial Regex Words();

    [GeneratedRegex("^```sh\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Blocks();
}
