using System.Runtime.InteropServices;
using System.Text.Json;

namespace RouteService.EndToEnd.Tests;

/// <summary>`buf curl`, which knows nothing of our protos but what reflection tells it.</summary>
public sealed class BufTests(RunningService service) : IClassFixture<RunningService>
{
    // The packages of the binaries themselves: the one that picks among them lists more platforms than every registry has.
    private static readonly string Buf = Repository.File(
        "tests", "EndToEnd.Tests", "node", "node_modules", "@bufbuild", RuntimeInformation.OSArchitecture is Architecture.Arm64 ? "buf-linux-aarch64" : "buf-linux-x64", "bin", "buf");

    internal static bool IsMissing => !File.Exists(Buf);

    internal static Task<Command> RunAsync(params IEnumerable<string> arguments) => Command.RunAsync(
        Buf, arguments, new Dictionary<string, string> { ["BUF_CACHE_DIR"] = Path.Combine(Path.GetTempPath(), "route-service-buf-cache") });

    [Theory]
    [InlineData("grpc-v1")]
    [InlineData("grpc-v1alpha")]
    public async Task It_lists_every_method(string reflection)
    {
        var listed = (await CurlAsync("", "--list-methods", "--reflect-protocol", reflection)).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

        Assert.Equal(
            [
                "HelloService/BidiHello", "HelloService/LotsOfGreetings", "HelloService/LotsOfReplies", "HelloService/SayHello",
                "grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch",
                "grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                "helloworld.Greeter/SayHello", "helloworld.Greeter/SayHelloAgain",
                "routeguide.RouteGuide/GetFeature", "routeguide.RouteGuide/ListFeatures", "routeguide.RouteGuide/RecordRoute",
                "routeguide.RouteGuide/RouteChat",
                "routeservice.v1.Features/BatchDeleteFeatures", "routeservice.v1.Features/BatchUpdateFeatures",
                "routeservice.v1.Features/CreateFeature", "routeservice.v1.Features/DeleteFeature", "routeservice.v1.Features/GetFeature",
                "routeservice.v1.Features/ImportFeatures", "routeservice.v1.Features/SearchFeatures",
                "routeservice.v1.Features/StreamFeatures", "routeservice.v1.Features/UpdateFeature",
                "routeservice.v1.Features/WatchFeatures",
            ],
            listed.Select(line => line.Trim()).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("helloworld.Greeter/SayHello", """{"name":"you"}""", """{"message":"Hello, you!"}""")]
    [InlineData("helloworld.Greeter/SayHelloAgain", """{"name":"you"}""", """{"message":"Hello again, you!"}""")]
    [InlineData("HelloService/SayHello", """{"greeting":"A"}""", """{"reply":"Hello, A!"}""")]
    [InlineData("HelloService/LotsOfGreetings", """{"greeting":"A"}{"greeting":"B"}""", """{"reply":"Hello, A, B!"}""")]
    [InlineData("HelloService/BidiHello", """{"greeting":"A"}{"greeting":"B"}""", """{"reply":"Hello, A!"}""", """{"reply":"Hello, B!"}""")]
    [InlineData(
        "routeguide.RouteGuide/GetFeature",
        """{"latitude":403487200,"longitude":-746590500}""",
        """{"name":"Princeton, New Jersey, US","location":{"latitude":403487200,"longitude":-746590500}}""")]
    [InlineData(
        "routeguide.RouteGuide/ListFeatures",
        """{"lo":{"latitude":403487200,"longitude":-746590500},"hi":{"latitude":403487200,"longitude":-746590500}}""",
        """{"name":"Princeton, New Jersey, US","location":{"latitude":403487200,"longitude":-746590500}}""")]
    [InlineData("routeguide.RouteGuide/RecordRoute", """{"latitude":1}{"latitude":1}""", """{"pointCount":2}""")]
    [InlineData(
        "routeguide.RouteGuide/RouteChat",
        """{"location":{"latitude":600},"message":"a"}{"location":{"latitude":600},"message":"b"}""",
        """{"location":{"latitude":600},"message":"a"}""")]
    [InlineData(
        "HelloService/LotsOfReplies",
        """{"greeting":"A"}""",
        """{"reply":"Hello, A! (1)"}""", """{"reply":"Hello, A! (2)"}""", """{"reply":"Hello, A! (3)"}""", """{"reply":"Hello, A! (4)"}""", """{"reply":"Hello, A! (5)"}""")]
    [InlineData("routeservice.v1.Features/DeleteFeature", """{"name":"features/1,1","allowMissing":true}""", "{}")]
    [InlineData("routeservice.v1.Features/SearchFeatures", """{"filter":{"text":"no such place"}}""", "{}")]
    [InlineData("grpc.health.v1.Health/Check", "{}", """{"status":"SERVING"}""")]
    public async Task It_calls_every_method_without_a_proto_file(string method, string request, params string[] responses)
    {
        foreach (var reflection in (string[])["grpc-v1", "grpc-v1alpha"])
        {
            // What is posted at a place stays there: each round has a place of its own.
            var answer = await CurlAsync(method, "--reflect-protocol", reflection, "--data", OfRound(request));

            Assert.Equal(responses.Select(OfRound).Select(Compact), Documents(answer.Output).Select(Compact));

            string OfRound(string json) => json.Replace("600", reflection == "grpc-v1" ? "600" : "601", StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("grpc-v1")]
    [InlineData("grpc-v1alpha")]
    public async Task It_asks_the_reflection_service_itself(string reflection)
    {
        var answer = await CurlAsync(
            $"grpc.reflection.{reflection["grpc-".Length..]}.ServerReflection/ServerReflectionInfo",
            "--reflect-protocol", reflection,
            "--data", """{"list_services":"*"}{"file_containing_symbol":"routeguide.Nothing"}{"file_by_filename":"route_guide.proto"}""");

        var answers = Documents(answer.Output);
        Assert.Equal(3, answers.Count);
        Assert.Contains("\"routeguide.RouteGuide\"", answers[0]);
        Assert.Contains("\"errorCode\":5", Compact(answers[1]));
        Assert.Contains("fileDescriptorProto", answers[2]);
    }

    [Fact]
    public async Task It_shows_an_error_with_its_details()
    {
        Assert.SkipWhen(IsMissing, "buf is missing: npm ci in tests/EndToEnd.Tests/node");

        var answer = await RunAsync("curl", "--protocol", "grpc", "--http2-prior-knowledge", "--data", """{"latitude":900000001}""", Url("routeguide.RouteGuide/GetFeature"));

        Assert.NotEqual(0, answer.ExitCode);
        Assert.Contains("invalid_argument", answer.Error);
        Assert.Contains("latitude is 900000001", answer.Error);
    }

    private string Url(string method) => $"http://{service.Address}/{method}";

    private async Task<Command> CurlAsync(string method, params string[] arguments)
    {
        Assert.SkipWhen(IsMissing, "buf is missing: npm ci in tests/EndToEnd.Tests/node");
        return (await RunAsync(["curl", "--protocol", "grpc", "--http2-prior-knowledge", .. arguments, Url(method)])).AssertSuccess();
    }

    private static string Compact(string json) => JsonSerializer.Serialize(JsonDocument.Parse(json).RootElement);

    /// <summary>The JSON documents of an output that has them one after the other.</summary>
    private static List<string> Documents(string output)
    {
        var documents = new List<string>();
        var bytes = System.Text.Encoding.UTF8.GetBytes(output);
        var reader = new Utf8JsonReader(bytes, new JsonReaderOptions { AllowMultipleValues = true });
        while (reader.Read())
        {
            documents.Add(JsonDocument.ParseValue(ref reader).RootElement.GetRawText());
        }

        return documents;
    }
}
