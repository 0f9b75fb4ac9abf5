using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Xml.Linq;
using RouteService.Client.Testing;

namespace RouteService.Client.Tests;

/// <summary>What the packages promise, against PublicApi.txt: a change of it is seen in review.</summary>
public sealed class PublicApiTests
{
    private const string Update = "UPDATE_GOLDEN";
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly Assembly[] Packages = [typeof(RouteServiceClient).Assembly, typeof(InMemoryRouteService).Assembly];
    private static readonly string Snapshot = Repository.File("tests", "Client.Sdk.Tests", "PublicApi.txt");
    private static readonly NullabilityInfoContext Nullability = new();

    private static IEnumerable<Type> PublicTypes => Packages.SelectMany(static package => package.GetExportedTypes());

    [Fact]
    public async Task The_public_surface_is_the_one_that_was_agreed()
    {
        var lines = PublicTypes.SelectMany(static type => Members(type).Prepend(Declaration(type))).Order(StringComparer.Ordinal).ToList();
        if (Environment.GetEnvironmentVariable(Update) == "1")
        {
            await File.WriteAllLinesAsync(Snapshot, lines);
        }

        var agreed = await File.ReadAllLinesAsync(Snapshot);
        Assert.True(
            agreed.SequenceEqual(lines),
            $"The public surface has changed. Where that is meant, {Update}=1 dotnet test tests/Client.Sdk.Tests writes {Path.GetFileName(Snapshot)} anew.\n"
            + string.Join('\n', agreed.Except(lines).Select(static line => $"- {line}").Concat(lines.Except(agreed).Select(static line => $"+ {line}"))));
    }

    [Fact]
    public void No_public_type_or_member_is_gRPCs_or_protobufs()
    {
        Assert.NotEmpty(PublicTypes);
        Assert.All(
            PublicTypes.SelectMany(static type => Members(type).Prepend(Declaration(type))),
            static line => Assert.DoesNotMatch(@"\b(Grpc|Google|Polly|RouteService\.Contracts)\.", line));
    }

    [Fact]
    public void Every_public_type_and_member_has_documentation()
    {
        foreach (var package in Packages)
        {
            var documented = XDocument.Load(Path.ChangeExtension(package.Location, ".xml")).Descendants("member")
                .Where(static member => member.Elements().Any(static element => element.Name == "inheritdoc" || element.Value.Trim().Length > 0))
                .ToDictionary(static member => member.Attribute("name")!.Value, static member => member);
            var missing = package.GetExportedTypes()
                .SelectMany(static type => PublicMembers(type).Append(type))
                .Where(member => !IsDocumented(member, documented))
                .Select(static member => $"{member.DeclaringType}.{member.Name}");

            Assert.Empty(missing);
        }
    }

    private static bool IsDocumented(MemberInfo member, Dictionary<string, XElement> documented)
    {
        var type = (member.DeclaringType ?? (Type)member).FullName!.Replace('+', '.');
        var name = member is ConstructorInfo ? "#ctor" : member.Name;

        // A parameter of a record is its property, and is documented with the record. Its only constructor is the record.
        var ofRecord = documented.GetValueOrDefault($"T:{type}")?.Elements("param").Select(static parameter => parameter.Attribute("name")!.Value).ToHashSet() ?? [];
        return member switch
        {
            Type => documented.ContainsKey($"T:{type}"),
            PropertyInfo => ofRecord.Contains(name) || documented.ContainsKey($"P:{type}.{name}"),
            // One without parameters has nothing to say, and is the compiler's.
            MethodBase method => (method.IsConstructor && (ofRecord.Count > 0 || method.GetParameters().Length == 0))
                || documented.Keys.Any(key => key == $"M:{type}.{name}" || key.StartsWith($"M:{type}.{name}(", StringComparison.Ordinal)),
            _ => documented.ContainsKey($"F:{type}.{name}"),
        };
    }

    /// <summary>Those that a user sees, other than what the language adds to every record and enum.</summary>
    private static IEnumerable<MemberInfo> PublicMembers(Type type) => type.GetMembers(Declared).Where(member => member switch
    {
        FieldInfo field => field.IsPublic && !field.IsSpecialName,
        PropertyInfo property => property.GetAccessors().Length > 0,
        EventInfo => true,
        ConstructorInfo constructor => constructor.IsPublic,
        MethodInfo method => (method.IsPublic || method.IsFamily) && !method.IsSpecialName && !method.IsDefined(typeof(CompilerGeneratedAttribute)),
        _ => false,
    });

    private static string Declaration(Type type)
    {
        var kind = type switch
        {
            { IsEnum: true } => "enum",
            { IsInterface: true } => "interface",
            { IsValueType: true } => IsRecord(type) ? "readonly record struct" : "struct",
            { IsAbstract: true, IsSealed: true } => "static class",
            _ => $"{(type.IsSealed ? "sealed " : type.IsAbstract ? "abstract " : "")}{(IsRecord(type) ? "record" : "class")}",
        };
        var bases = (type.IsClass && type.BaseType != typeof(object) ? [type.BaseType!] : Type.EmptyTypes)
            .Concat(type.IsEnum || IsRecord(type) ? [] : type.GetInterfaces()).Select(static one => Name(one)).Order(StringComparer.Ordinal).ToList();
        return $"{type.FullName} : {kind}{(bases.Count > 0 ? $", {string.Join(", ", bases)}" : "")}";
    }

    private static bool IsRecord(Type type) => type.GetMethod("PrintMembers", Declared) is not null;

    private static IEnumerable<string> Members(Type type) => PublicMembers(type).Select(member => $"{type.FullName}.{member switch
    {
        FieldInfo field => $"{field.Name}{(type.IsEnum ? "" : $" : const {Name(field.FieldType)}")}{(field.IsLiteral ? $" = {Constant(field.GetRawConstantValue())}" : "")}",
        PropertyInfo property => $"{property.Name} : {(property.GetAccessors()[0].IsStatic ? "static " : "")}"
            + $"{Name(property.PropertyType, Nullability.Create(property))} {{ {Accessors(property)} }}{Default(type, property)}",
        ConstructorInfo constructor => $".ctor({Parameters(constructor)})",
        MethodInfo method => $"{method.Name}({Parameters(method)}) : {(method.IsStatic ? "static " : "")}{Name(method.ReturnType, Nullability.Create(method.ReturnParameter))}",
        _ => throw new NotSupportedException($"A public {member.MemberType}."),
    }}");

    private static string Accessors(PropertyInfo property)
    {
        var isInit = property.SetMethod?.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) == true;
        return $"get;{(property.SetMethod is not { IsPublic: true } ? "" : isInit ? " init;" : " set;")}";
    }

    /// <summary>What an option is unless it is set.</summary>
    private static string Default(Type type, PropertyInfo property) =>
        property.SetMethod is { IsPublic: true } && type.GetConstructor([]) is not null && property.GetValue(Activator.CreateInstance(type)) is var value
            && (value is null || value.GetType().IsPrimitive || value is string or TimeSpan or Enum)
            ? $" = {Constant(value)}"
            : "";

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(parameter =>
        $"{(method.IsDefined(typeof(ExtensionAttribute)) && parameter.Position == 0 ? "this " : "")}{Name(parameter.ParameterType, Nullability.Create(parameter))} {parameter.Name}"
        + (parameter.HasDefaultValue ? $" = {(parameter.DefaultValue is null && parameter.ParameterType.IsValueType && Nullable.GetUnderlyingType(parameter.ParameterType) is null ? "default" : Constant(parameter.DefaultValue))}" : "")));

    private static string Constant(object? value) => value switch
    {
        null => "null",
        string text => $"\"{text}\"",
        bool truth => truth ? "true" : "false",
        IFormattable other => other.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString()!,
    };

    private static string Name(Type type, NullabilityInfo? nullability = null)
    {
        if (Nullable.GetUnderlyingType(type) is { } underlying)
        {
            return $"{Name(underlying)}?";
        }

        var arguments = type.GetGenericArguments().Select((argument, i) => Name(argument, nullability?.GenericTypeArguments.ElementAtOrDefault(i))).ToList();
        var name = type.IsArray ? $"{Name(type.GetElementType()!, nullability?.ElementType)}[]"
            : arguments.Count > 0 ? $"{type.Namespace}.{type.Name[..type.Name.IndexOf('`')]}<{string.Join(", ", arguments)}>"
            : type.IsGenericParameter ? type.Name
            : type.FullName!;
        return nullability is { ReadState: NullabilityState.Nullable } && !type.IsValueType ? $"{name}?" : name;
    }
}
