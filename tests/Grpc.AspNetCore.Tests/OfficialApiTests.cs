using Grpc.AspNetCore.Server;
using Grpc.Net.Client;

namespace Grpc.AspNetCore.Tests;

/// <summary>
/// Holds our runtime to the official API it stands for: whatever a program can call of ours must be in OfficialApi.txt, with the same signature,
/// or that program would not build on the official packages.
/// </summary>
public sealed class OfficialApiTests
{
    private static readonly HashSet<string> Namespaces =
    [
        "Grpc.Core", "Grpc.Core.Interceptors", "Grpc.Net.Client", "Grpc.Net.Client.Configuration", "Grpc.Net.Compression", "Grpc.AspNetCore.Server",
        "Grpc.AspNetCore.HealthChecks", "Microsoft.AspNetCore.Builder", "Microsoft.Extensions.DependencyInjection",
    ];

    [Fact]
    public void What_a_program_sees_of_ours_is_the_official_API()
    {
        var listed = File.ReadLines(Path.Combine(AppContext.BaseDirectory, "OfficialApi.txt")).Where(static line => line.Length > 0 && line[0] != '#').ToList();
        var own = listed.Where(static line => line.StartsWith("internal ", StringComparison.Ordinal)).Select(static line => line["internal ".Length..]).ToHashSet();
        var official = listed.Where(static line => !line.StartsWith("internal ", StringComparison.Ordinal)).ToHashSet();
        var types = new[] { typeof(GrpcChannel).Assembly, typeof(GrpcServiceOptions).Assembly }
            .SelectMany(static assembly => assembly.GetTypes())
            .Where(static type => Namespaces.Contains(type.Namespace ?? "") && !type.Name.Contains('<') && (!type.IsNested || type.IsNestedPublic || type.IsNestedFamORAssem))
            .ToList();
        var ours = types.Where(type => !own.Contains(type.FullName!)).SelectMany(ApiText.Of).ToHashSet();

        Assert.Equal("", string.Join("\n", ours.Except(official).Except(own).Order()));
        Assert.Equal("", string.Join("\n", official.Except(ours).Order()));
        Assert.Empty(own.Except(types.Select(static type => type.FullName!)).Except(ours));
    }
}
