using System.Reflection;
using System.Runtime.InteropServices;

namespace RouteService.EndToEnd.Tests;

/// <summary>
/// What `buf lint` and `buf breaking` say of the protos, with protos/buf.yaml. The contract that clients have is in published/; a compatible
/// change needs nothing there, and what a release adds is copied to it.
/// </summary>
public sealed class ContractTests : IDisposable
{
    private static readonly string[] Files = ["hello_service.proto", "helloworld.proto", "route_guide.proto", "routeservice/v1/features.proto"];
    private static readonly string Protos = Repository.File("protos");
    private static readonly string Published = Repository.File("tests", "EndToEnd.Tests", "published");

    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-test-").FullName;

    [Fact]
    public void Every_proto_is_checked() => Assert.Equal(
        Files,
        Directory.GetFiles(Protos, "*.proto", SearchOption.AllDirectories).Select(static file => Path.GetRelativePath(Protos, file)).Order(StringComparer.Ordinal));

    [Fact]
    public async Task The_protos_are_as_buf_wants_them() => (await LintAsync(Protos)).AssertSuccess();

    [Fact]
    public async Task What_is_not_as_buf_wants_it_is_told()
    {
        var answer = await LintAsync(ChangedProtos("routeservice/v1/features.proto", "sint32 latitude_e7 = 1;", "sint32 latitudeE7 = 1;"));

        Assert.NotEqual(0, answer.ExitCode);
        Assert.Contains("Field name \"latitudeE7\" should be lower_snake_case", answer.Output);
    }

    [Fact]
    public async Task The_contract_that_clients_have_is_kept() => (await CompareAsync(Protos)).AssertSuccess();

    [Theory]
    [InlineData("routeservice/v1/features.proto", "sint32 latitude_e7 = 1;", "sint64 latitude_e7 = 1;")]
    [InlineData("routeservice/v1/features.proto", "string display_name = 3;", "string title = 3;")]
    [InlineData("routeservice/v1/features.proto", "rpc WatchFeatures(", "rpc FollowFeatures(")]
    [InlineData("route_guide.proto", "int32 latitude = 1;", "sint32 latitude = 1;")]
    [InlineData("helloworld.proto", "string message = 1;", "string message = 2;")]
    public async Task A_breaking_change_is_told(string file, string before, string after) =>
        Assert.NotEqual(0, (await CompareAsync(ChangedProtos(file, before, after))).ExitCode);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private async Task<Command> LintAsync(string protos) => await BufAsync("lint", await CompileAsync(protos));

    private async Task<Command> CompareAsync(string protos) =>
        await BufAsync("breaking", await CompileAsync(protos), "--against", await CompileAsync(Published));

    private static Task<Command> BufAsync(string command, params string[] arguments)
    {
        Assert.SkipWhen(BufTests.IsMissing, "buf is missing: npm ci in tests/EndToEnd.Tests/node");
        return BufTests.RunAsync([command, .. arguments, "--config", Path.Combine(Protos, "buf.yaml"), .. Files.SelectMany(static file => new[] { "--path", file })]);
    }

    /// <summary>Of these protos and Google's.</summary>
    private async Task<string> CompileAsync(string protos)
    {
        var descriptors = Path.Combine(_folder, $"{Path.GetRandomFileName()}.binpb");
        var protoc = Path.Combine(
            Metadata("GrpcTools"), "tools", RuntimeInformation.OSArchitecture is Architecture.Arm64 ? "linux_arm64" : "linux_x64", "protoc");
        (await Command.RunAsync(
            protoc,
            [
                "-I", protos, "-I", Metadata("GoogleRpcProtos"), "-I", Metadata("GoogleProtobufProtos"),
                "--include_imports", "--include_source_info", "-o", descriptors, .. Files,
            ])).AssertSuccess();
        return descriptors;
    }

    private string ChangedProtos(string changed, string before, string after)
    {
        var folder = Path.Combine(_folder, "changed");
        foreach (var file in Files)
        {
            var text = File.ReadAllText(Path.Combine(Protos, file));
            Assert.True(file != changed || text.Contains(before, StringComparison.Ordinal));
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(folder, file))!);
            File.WriteAllText(Path.Combine(folder, file), file == changed ? text.Replace(before, after, StringComparison.Ordinal) : text);
        }

        return folder;
    }

    private static string Metadata(string key) =>
        typeof(ContractTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().First(attribute => attribute.Key == key).Value!;
}
