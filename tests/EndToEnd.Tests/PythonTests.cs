using System.Reflection;

namespace RouteService.EndToEnd.Tests;

/// <summary>Python's grpcio with stubs that its own plugin generates from our protos: python/client.py, a function a scenario.</summary>
public sealed class PythonTests(RunningService service, PythonTests.Stubs stubs) : IClassFixture<RunningService>, IClassFixture<PythonTests.Stubs>
{
    private const string Python = "/usr/bin/python3";

    [Theory]
    [InlineData("greeter")]
    [InlineData("hello_service")]
    [InlineData("get_feature")]
    [InlineData("list_features")]
    [InlineData("record_route")]
    [InlineData("features")]
    [InlineData("import_features")]
    [InlineData("route_chat")]
    [InlineData("route_chat_live")]
    [InlineData("route_chat_sequenced")]
    [InlineData("deadline")]
    [InlineData("cancelled_stream")]
    [InlineData("metadata")]
    [InlineData("error_statuses")]
    [InlineData("compression")]
    [InlineData("health")]
    [InlineData("many_streams_at_once")]
    public Task A_Python_client_gets_what_the_contract_says(string scenario) => RunAsync(service, scenario);

    [Fact]
    public async Task Streams_that_are_open_when_the_service_is_told_to_stop_end_with_the_reason()
    {
        await using var stopping = new RunningService();
        await stopping.InitializeAsync();

        await RunAsync(stopping, "stopped_by_signal");

        Assert.Equal(0, await stopping.WaitForExitAsync());
    }

    [Fact]
    public async Task An_import_whose_service_is_killed_in_the_middle_leaves_nothing()
    {
        await using var killed = new RunningService();
        await killed.InitializeAsync();

        await RunAsync(killed, "import_killed");

        Assert.NotEqual(0, await killed.WaitForExitAsync());
        await killed.StartAsync("dotnet", Repository.Program);
        Assert.Equal(2, killed.Output.Split("; 3966 features.").Length - 1);
    }

    [Fact]
    public async Task A_message_that_cannot_be_parsed_is_unknown_and_no_error_of_the_service()
    {
        await using var own = new RunningService();
        await own.InitializeAsync();

        await RunAsync(own, "unparsable_message");

        Assert.Contains("The client's message cannot be parsed", own.Output);
    }

    private async Task RunAsync(RunningService called, string scenario)
    {
        Assert.SkipWhen(stubs.Missing is not null, stubs.Missing ?? "");

        (await Command.RunAsync(
            Python,
            [Repository.File("tests", "EndToEnd.Tests", "python", "client.py"), called.Address, scenario, Repository.File("data", "places.json"), $"{called.ProcessId}"],
            new Dictionary<string, string> { ["PYTHONPATH"] = stubs.Folder, ["PYTHONDONTWRITEBYTECODE"] = "1" })).AssertSuccess();
    }

    /// <summary>The stubs, generated once.</summary>
    public sealed class Stubs : IAsyncLifetime
    {
        public string Folder { get; } = Directory.CreateTempSubdirectory("route-service-test-").FullName;

        public string? Missing { get; private set; }

        public async ValueTask InitializeAsync()
        {
            if (!File.Exists(Python)
                || (await Command.RunAsync(Python, ["-c", "import grpc"])).ExitCode != 0
                || !File.Exists("/usr/bin/protoc")
                || !File.Exists("/usr/include/google/protobuf/any.proto")
                || !File.Exists("/usr/bin/grpc_python_plugin"))
            {
                Missing = "Python's grpcio is missing: apt-get install python3-grpcio protobuf-compiler libprotobuf-dev protobuf-compiler-grpc";
                return;
            }

            (await Command.RunAsync(
                "/usr/bin/protoc",
                [
                    "-I", "protos", "-I", "tests/EndToEnd.Tests/python", "-I", Metadata("GoogleRpcProtos"), "-I", Metadata("GoogleProtobufProtos"),
                    $"--python_out={Folder}", $"--grpc_python_out={Folder}", "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin",
                    "helloworld.proto", "hello_service.proto", "route_guide.proto", "health.proto", "google/rpc/status.proto", "google/rpc/error_details.proto",
                    "routeservice/v1/features.proto", "google/api/field_behavior.proto", "google/api/resource.proto",
                ])).AssertSuccess();
        }

        private static string Metadata(string key) =>
            typeof(Stubs).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().First(attribute => attribute.Key == key).Value!;

        public ValueTask DisposeAsync()
        {
            Directory.Delete(Folder, recursive: true);
            return ValueTask.CompletedTask;
        }
    }
}
