using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Grpc.AspNetCore.Tests;

/// <summary>
/// What a program sees of a type, as lines: the type, each base of it, each member with its whole signature, and what the properties of options
/// are by default. Overrides are left out, for they add nothing to call.
/// </summary>
internal static class ApiText
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<Type, string> Keywords = new()
    {
        [typeof(void)] = "void",
        [typeof(object)] = "object",
        [typeof(string)] = "string",
        [typeof(bool)] = "bool",
        [typeof(byte)] = "byte",
        [typeof(int)] = "int",
        [typeof(long)] = "long",
        [typeof(double)] = "double",
        [typeof(char)] = "char",
        [typeof(uint)] = "uint",
    };

    public static IEnumerable<string> Of(Type type)
    {
        var name = NameOf(type);
        yield return $"{KindOf(type)} {name}{ConstraintsOf(type.GetGenericArguments())}";
        if (typeof(Delegate).IsAssignableFrom(type))
        {
            var invoke = type.GetMethod("Invoke")!;
            yield return $"{name}: {NameOf(invoke.ReturnType)} ({ParametersOf(invoke)})";
            yield break;
        }

        if (type.IsEnum)
        {
            foreach (var value in Enum.GetNames(type))
            {
                yield return $"{name}: {value} = {Convert.ToInt64(Enum.Parse(type, value), CultureInfo.InvariantCulture)}";
            }

            yield break;
        }

        foreach (var above in type.GetInterfaces().Append(type.BaseType).Where(static above => above is not null && above != typeof(object) && above != typeof(ValueType)))
        {
            yield return $"{name}: is {NameOf(above!)}";
        }

        foreach (var member in type.GetMembers(Declared).Select(Of).OfType<string>())
        {
            yield return $"{name}: {member}";
        }

        if (name.EndsWith("Options", StringComparison.Ordinal) && !type.IsAbstract && type.GetConstructor(Type.EmptyTypes) is not null)
        {
            var options = Activator.CreateInstance(type);
            foreach (var property in type.GetProperties().Where(static property => property.GetMethod!.IsPublic && property.CanWrite))
            {
                yield return $"{name}: {property.Name} is {ValueOf(property.GetValue(options))} by default";
            }
        }
    }

    private static string? Of(MemberInfo member) => member switch
    {
        ConstructorInfo { IsStatic: false } made when IsSeen(made) => $"{ModifiersOf(made)}new({ParametersOf(made)})",
        MethodInfo { IsSpecialName: false } method when IsSeen(method) && method.GetBaseDefinition() == method =>
            $"{ModifiersOf(method)}{NameOf(method.ReturnType)} {method.Name}{TypeParametersOf(method.GetGenericArguments())}({ParametersOf(method)}){ConstraintsOf(method.GetGenericArguments())}",
        PropertyInfo property when property.GetMethod is { } get && IsSeen(get) && get.GetBaseDefinition() == get =>
            $"{ModifiersOf(get)}{NameOf(property.PropertyType)} {property.Name}{(get.GetParameters().Length > 0 ? $"[{ParametersOf(get)}]" : "")} {{ get;{SetterOf(property)} }}",
        FieldInfo field when field.IsPublic || field.IsFamily =>
            $"{(field.IsLiteral ? "const " : field.IsStatic ? "static " : "")}{NameOf(field.FieldType)} {field.Name}{(field.IsLiteral ? $" = {ValueOf(field.GetRawConstantValue())}" : "")}",
        _ => null,
    };

    private static bool IsSeen(MethodBase method) =>
        (method.IsPublic || ((method.IsFamily || method.IsFamilyOrAssembly) && !method.DeclaringType!.IsSealed)) && !method.IsDefined(typeof(CompilerGeneratedAttribute)) | method.IsSpecialName;

    private static string SetterOf(PropertyInfo property) => property.SetMethod switch
    {
        { } set when IsSeen(set) => set.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) ? " init;" : " set;",
        _ => "",
    };

    private static string ModifiersOf(MethodBase method) =>
        (method.IsPublic ? "" : "protected ")
        + (method.IsStatic ? "static " : "")
        + (method.IsAbstract ? "abstract " : method is { IsVirtual: true, IsFinal: false } && !method.DeclaringType!.IsSealed ? "virtual " : "");

    private static string KindOf(Type type) =>
        type.IsEnum ? "enum"
        : type.IsInterface ? "interface"
        : type.IsValueType ? "struct"
        : typeof(Delegate).IsAssignableFrom(type) ? "delegate"
        : type is { IsAbstract: true, IsSealed: true } ? "static class"
        : type.IsAbstract ? "abstract class"
        : type.IsSealed ? "sealed class"
        : "class";

    private static string ParametersOf(MethodBase method) =>
        (method.IsDefined(typeof(ExtensionAttribute)) ? "this " : "") + string.Join(", ", method.GetParameters().Select(Of));

    private static string Of(ParameterInfo parameter) =>
        (parameter.IsDefined(typeof(ParamArrayAttribute)) ? "params " : "")
        + (parameter.IsOut ? "out " : parameter.ParameterType.IsByRef ? "ref " : "")
        + $"{NameOf(parameter.ParameterType)} {parameter.Name}"
        + (parameter.HasDefaultValue ? $" = {ValueOf(parameter.DefaultValue)}" : "");

    private static string TypeParametersOf(Type[] parameters) => parameters.Length == 0 ? "" : $"<{string.Join(", ", parameters.Select(NameOf))}>";

    private static string ConstraintsOf(Type[] parameters) => string.Concat(parameters.Where(static parameter => parameter.IsGenericParameter).Select(static parameter =>
    {
        string[] constraints =
        [
            .. parameter.GenericParameterAttributes.HasFlag(GenericParameterAttributes.ReferenceTypeConstraint) ? ["class"] : Array.Empty<string>(),
            .. parameter.GetGenericParameterConstraints().Select(NameOf),
        ];
        return constraints.Length == 0 ? "" : $" where {parameter.Name} : {string.Join(", ", constraints)}";
    }));

    private static string NameOf(Type type)
    {
        if (Keywords.TryGetValue(type, out var keyword) || type.IsGenericParameter)
        {
            return keyword ?? type.Name;
        }

        if (type.HasElementType)
        {
            return NameOf(type.GetElementType()!) + (type.IsArray ? "[]" : "");
        }

        if (Nullable.GetUnderlyingType(type) is { } value)
        {
            return $"{NameOf(value)}?";
        }

        var own = type.GetGenericArguments().Skip(type.DeclaringType?.GetGenericArguments().Length ?? 0).ToArray();
        var outer = type.DeclaringType is { } declaring
            ? NameOf(declaring.IsGenericTypeDefinition && !type.IsGenericTypeDefinition
                ? declaring.MakeGenericType(type.GetGenericArguments()[..declaring.GetGenericArguments().Length])
                : declaring)
            : type.Namespace;
        return $"{outer}.{type.Name.Split('`')[0]}{TypeParametersOf(own)}";
    }

    private static string ValueOf(object? value) => value switch
    {
        null => "null",
        string text => $"\"{text}\"",
        bool flag => flag ? "true" : "false",
        IEnumerable items => $"[{string.Join(", ", items.Cast<object>().Select(static item => NameOf(item.GetType())))}]",
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => NameOf(value.GetType()),
    };
}
