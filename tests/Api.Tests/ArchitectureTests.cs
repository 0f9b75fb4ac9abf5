using System.Reflection;
using System.Runtime.CompilerServices;
using RouteService.Api.Routes;
using RouteService.Domain.Features;
using RouteService.Infrastructure.Sqlite;

namespace RouteService.Api.Tests;

/// <summary>Which part may know which (docs/architecture.md).</summary>
public sealed class ArchitectureTests
{
    private static readonly Assembly Api = typeof(RouteGuideService).Assembly;
    private static readonly Assembly Domain = typeof(IFeatureStore).Assembly;
    private static readonly Assembly Infrastructure = typeof(SqliteFeatureStore).Assembly;

    [Fact]
    public void The_domain_knows_nobody() => Assert.DoesNotContain(References(Domain), name => !IsPlatform(name));

    [Fact]
    public void The_infrastructure_knows_the_domain_and_not_the_service()
    {
        Assert.Contains("RouteService.Domain", References(Infrastructure));
        Assert.DoesNotContain("RouteService.Api", References(Infrastructure));
        Assert.DoesNotContain("RouteService.Contracts", References(Infrastructure));
    }

    [Fact]
    public void The_runtime_knows_nobody_of_us()
    {
        foreach (var runtime in References(Api).Where(name => name.StartsWith("Grpc", StringComparison.Ordinal)))
        {
            Assert.DoesNotContain(References(Assembly.Load(runtime)), name => name.StartsWith("RouteService", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Only_the_program_and_its_commands_and_hosting_name_an_adapter()
    {
        var users = Api.GetTypes()
            .Where(type => type.Namespace is not ("RouteService.Api.Hosting" or "RouteService.Api.Commands") && type.Name != "Program")
            .Where(type => !type.IsDefined(typeof(CompilerGeneratedAttribute)))
            .Where(type => type.GetMembers(BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly)
                .SelectMany(Types)
                .Any(used => used.Assembly == Infrastructure));

        Assert.Empty(users);
    }

    private static List<string> References(Assembly assembly) => [.. assembly.GetReferencedAssemblies().Select(reference => reference.Name!)];

    private static bool IsPlatform(string name) => name.StartsWith("System.", StringComparison.Ordinal) || name is "netstandard" or "mscorlib";

    private static IEnumerable<Type> Types(MemberInfo member) => member switch
    {
        FieldInfo field => [field.FieldType],
        MethodBase method => method.GetParameters().Select(parameter => parameter.ParameterType),
        _ => [],
    };
}
