namespace RouteService.EndToEnd.Tests;

/// <summary>@grpc/grpc-js with the protos as they are: node/client.mjs, a function a scenario.</summary>
public sealed class NodeTests(RunningService service) : IClassFixture<RunningService>
{
    [Theory]
    [InlineData("unary")]
    [InlineData("serverStreaming")]
    [InlineData("clientStreaming")]
    [InlineData("bidirectional")]
    [InlineData("live")]
    [InlineData("sequenced")]
    [InlineData("deadline")]
    [InlineData("cancellation")]
    public async Task A_Node_client_gets_what_the_contract_says(string scenario)
    {
        var client = Repository.File("tests", "EndToEnd.Tests", "node", "client.mjs");
        Assert.SkipUnless(
            Directory.Exists(Repository.File("tests", "EndToEnd.Tests", "node", "node_modules", "@grpc", "grpc-js")),
            "@grpc/grpc-js is missing: npm ci in tests/EndToEnd.Tests/node");

        (await Command.RunAsync("node", [client, service.Address, scenario, Repository.File("protos")])).AssertSuccess();
    }
}
