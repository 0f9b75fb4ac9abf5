using System.Globalization;
using System.Reflection;
using System.Xml.Linq;
using RouteService.Client.Testing;

namespace RouteService.Client.Tests;

/// <summary>What users of the packages compile against.</summary>
public sealed class PublicApiTests
{
    private const string UpdateVariable = "UPDATE_PUBLIC_API";

    private static readonly NullabilityInfoContext Nullability = new();

    private static readonly Assembly[] Packages = [typeof(RouteServiceClient).Assembly, typeof(InMemoryRouteService).Assembly];

    private static string Snapshot => Repository.File("tests", "Client.Sdk.Tests", "PublicApi.txt");

    [Fact]
    public async Task It_is_as_it_was()
    {
        var now = string.Join('\n', Packages.SelectMany(Describe)) + "\n";
        if (Environment.GetEnvironmentVariable(UpdateVariable) is not null)
        {
            await File.WriteAllTextAsync(Snapshot, now, TestContext.Current.CancellationToken);
        }

        Assert.True(
            string.Equals(await File.ReadAllTextAsync(Snapshot, TestContext.Current.CancellationToken), now, StringComparison.Ordinal),
            $"The public API is not that of PublicApi.txt. If that is meant: {UpdateVariable}=1 dotnet test tests/Client.Sdk.Tests, and look at the difference.\n{now}");
    }

    [Fact]
    public void It_names_no_type_of_gRPC_or_of_the_contract()
    {
        var foreign = Packages.SelectMany(Describe).Where(static line =>
            line.Contains("Grpc.", StringComparison.Ordinal) || line.Contains("Google.", StringComparison.Ordinal) || line.Contains("Contracts.", StringComparison.Ordinal));

        Assert.Empty(foreign);
    }

    [Fact]
    public void Every_member_is_documented()
    {
        foreach (var package in Packages)
        {
            var documented = XDocument.Load(Path.ChangeExtension(package.Location, ".xml")).Descendants("member").Select(static member => member.Attribute("name")!.Value)
                .ToHashSet(StringComparer.Ordinal);
            foreach (var type in package.GetExportedTypes())
            {
                Assert.Contains($"T:{NameOf(type)}", documented);
                foreach (var member in Members(type).Where(member => !IsCompilers(member)))
                {
                    var id = $"{(member is PropertyInfo ? 'P' : member is FieldInfo ? 'F' : 'M')}:{NameOf(type)}.{(member is ConstructorInfo ? "#ctor" : member.Name)}";
                    Assert.True(
                        documented.Any(name => name == id || name.StartsWith($"{id}(", StringComparison.Ordinal) || name.StartsWith($"{id}``", StringComparison.Ordinal)), $"{id} has no doc.");
                }
            }
        }
    }

    private static string NameOf(Type type) => type.FullName!.Replace('+', '.');

    /// <summary>A line for each type and each member that it declares.</summary>
    private static IEnumerable<string> Describe(Assembly package) => package.GetExportedTypes().OrderBy(static type => type.FullName, StringComparer.Ordinal).SelectMany(
        static type => Members(type).Select(member => $"  {Describe(member)}").Order(StringComparer.Ordinal).Prepend(
            $"{KindOf(type)} {NameOf(type)}{(Bases(type) is { Length: > 0 } bases ? $" : {bases}" : "")}"));

    private static string KindOf(Type type) => type switch
    {
        { IsEnum: true } => "enum",
        { IsInterface: true } => "interface",
        { IsValueType: true } => "struct",
        { IsAbstract: true, IsSealed: true } => "static class",
        { IsSealed: true } => "sealed class",
        { IsAbstract: true } => "abstract class",
        _ => "class",
    };

    private static string Bases(Type type)
    {
        var bases = type.GetInterfaces().Where(static each => each.IsPublic || each.IsNestedPublic).Select(TypeName).Order(StringComparer.Ordinal);
        return string.Join(", ", type.BaseType is { } parent && parent != typeof(object) && parent != typeof(ValueType) && parent != typeof(Enum) ? bases.Prepend(TypeName(parent)) : bases);
    }

    private static IEnumerable<MemberInfo> Members(Type type) => type
        .GetMembers(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)
        .Where(member => member switch
        {
            MethodInfo method => IsVisible(method) && !method.IsSpecialName || method is { IsPublic: true } && method.Name.StartsWith("op_", StringComparison.Ordinal),
            ConstructorInfo constructor => IsVisible(constructor),
            PropertyInfo property => property.GetAccessors(nonPublic: true).Any(IsVisible),
            FieldInfo field => (field.IsPublic || field.IsFamily) && !field.IsSpecialName,
            EventInfo => true,
            _ => false,
        });

    private static bool IsVisible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    // A record's own: Equals, PrintMembers and the like, and the properties of its parameters, which the type's doc has.
    private static bool IsCompilers(MemberInfo member) =>
        member.GetCustomAttribute<System.Runtime.CompilerServices.CompilerGeneratedAttribute>() is not null
        || member is MethodBase { Name: "ToString" or "GetHashCode" or "Equals" or "PrintMembers" or "Deconstruct" or "Dispose" or "DisposeAsync" or "op_Equality" or "op_Inequality" }
        || member is PropertyInfo { Name: "EqualityContract" }
        || (member is PropertyInfo property && property.GetMethod!.GetCustomAttribute<System.Runtime.CompilerServices.CompilerGeneratedAttribute>() is not null
            && property.DeclaringType!.GetConstructors().Any(constructor => constructor.GetParameters().Any(parameter => parameter.Name == property.Name)))
        || (member is ConstructorInfo constructorOf && (constructorOf.GetParameters().Length == 0 || constructorOf.DeclaringType!.GetMethod("<Clone>$") is not null || constructorOf.DeclaringType!.IsValueType));

    private static string Describe(MemberInfo member) => member switch
    {
        ConstructorInfo constructor => $"new({Parameters(constructor)})",
        MethodInfo method => $"{(method.IsStatic ? "static " : "")}{TypeName(Nullability.Create(method.ReturnParameter))} {method.Name}"
            + $"{(method.IsGenericMethod ? $"<{string.Join(", ", method.GetGenericArguments().Select(TypeName))}>" : "")}({Parameters(method)})",
        PropertyInfo property => $"{(property.GetAccessors(nonPublic: true)[0].IsStatic ? "static " : "")}{TypeName(Nullability.Create(property))} {property.Name}"
            + $" {{ {(property.GetMethod is { } get && IsVisible(get) ? "get; " : "")}{SetterOf(property)}}}{DefaultOf(property)}",
        FieldInfo { IsLiteral: true } constant => $"const {TypeName(constant.FieldType)} {constant.Name} = {Value(constant.GetRawConstantValue())}",
        FieldInfo field => $"{TypeName(field.FieldType)} {field.Name}",
        _ => member.ToString()!,
    };

    private static string SetterOf(PropertyInfo property) => property.SetMethod is not { } set || !IsVisible(set) ? ""
        : set.ReturnParameter.GetRequiredCustomModifiers().Length > 0 ? "init; " : "set; ";

    /// <summary>What it is unless it is set, where its type can be made without arguments: for users a part of the contract.</summary>
    private static string DefaultOf(PropertyInfo property) =>
        property.SetMethod is { IsPublic: true } && property.DeclaringType!.GetConstructor([]) is { } make && property.GetValue(make.Invoke(null)) is var value
        && value is null or bool or int or double or string or TimeSpan or Enum
            ? $" = {(value is null ? "null" : Value(value))}"
            : "";

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(static parameter =>
        $"{TypeName(Nullability.Create(parameter))} {parameter.Name}{(parameter.HasDefaultValue ? $" = {Value(parameter.DefaultValue)}" : "")}"));

    private static string Value(object? value) => value switch
    {
        null => "default",
        string text => $"\"{text}\"",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    private static string TypeName(NullabilityInfo info)
    {
        var type = info.Type;
        var name = type.IsGenericType && Nullable.GetUnderlyingType(type) is null
            ? Generic(type, info.GenericTypeArguments.Select(TypeName))
            : TypeName(type);
        return info.ReadState == NullabilityState.Nullable && !type.IsValueType ? $"{name}?" : name;
    }

    private static string TypeName(Type type) => type switch
    {
        _ when Nullable.GetUnderlyingType(type) is { } underlying => $"{TypeName(underlying)}?",
        { IsArray: true } => $"{TypeName(type.GetElementType()!)}[]",
        { IsByRef: true } => $"{TypeName(type.GetElementType()!)}&",
        { IsGenericParameter: true } => type.Name,
        { IsGenericType: true } => Generic(type, type.GetGenericArguments().Select(TypeName)),
        _ => NameOf(type),
    };

    private static string Generic(Type type, IEnumerable<string> arguments) =>
        $"{type.GetGenericTypeDefinition().FullName!.Split('`')[0]}<{string.Join(", ", arguments)}>";
}
