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
    public void The_folders_of_the_service_depend_one_way()
    {
        const string Root = "RouteService.Api.";
        var source = Path.Combine(SourceRoot(), "src", "Api");
        var uses = Directory.GetDirectories(source).Where(static folder => Path.GetFileName(folder) is not ("bin" or "obj")).ToDictionary(
            static folder => Path.GetFileName(folder),
            static folder => Directory.GetFiles(folder, "*.cs")
                .SelectMany(File.ReadLines)
                .Where(static line => line.StartsWith($"using {Root}", StringComparison.Ordinal))
                .Select(static line => line[$"using {Root}".Length..].TrimEnd(';'))
                .ToHashSet());

        // A folder is settled when all that it uses is; what never is stands in a circle.
        var settled = new HashSet<string>();
        while (uses.Where(folder => !settled.Contains(folder.Key)).FirstOrDefault(folder => folder.Value.IsSubsetOf(settled)) is { Key: { } next })
        {
            settled.Add(next);
        }

        Assert.Empty(uses.Keys.Except(settled));
        Assert.Empty(uses["Errors"]);
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

    private static string SourceRoot()
    {
        var root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "RouteService.sln")))
        {
            root = Path.GetDirectoryName(root)!;
        }

        return root;
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
