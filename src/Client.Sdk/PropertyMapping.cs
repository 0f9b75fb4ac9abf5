using System.Globalization;
using System.Numerics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;

namespace RouteService.Client;

/// <summary>
/// Properties as the contract's <see cref="Struct"/> and back; compiled into the client and its double in RouteService.Client.Testing.
/// </summary>
internal static class PropertyMapping
{
    private const int MaxDepth = 32;

    // A double holds every integer of this many digits.
    private const int SafeDigits = 15;

    /// <exception cref="ArgumentException">The contract cannot hold the properties.</exception>
    public static Struct ToStruct(JsonObject properties)
    {
        try
        {
            return ToStruct(properties, depth: 1);
        }
        catch (Exception e) when (e is InvalidOperationException or JsonException)
        {
            throw new ArgumentException($"The properties cannot be sent: {e.Message}", nameof(properties), e);
        }
    }

    public static JsonObject ToJson(Struct? properties)
    {
        if (properties is null || properties.Fields.Count == 0)
        {
            return [];
        }

        // By way of JSON, so that a number can be read as any type that holds it: 12 as an int and as a double.
        using var json = new MemoryStream();
        using (var writer = new Utf8JsonWriter(json))
        {
            Write(writer, properties);
        }

        return (JsonObject)JsonNode.Parse(json.GetBuffer().AsSpan(0, (int)json.Length))!;
    }

    private static Struct ToStruct(JsonObject members, int depth)
    {
        CheckDepth(members, depth);
        var made = new Struct();
        foreach (var (name, value) in members)
        {
            Arguments.CheckUnicode(name, "properties");
            made.Fields.Add(name, ToValue(value, depth + 1));
        }

        return made;
    }

    private static Value ToValue(JsonNode? value, int depth)
    {
        switch (value)
        {
            case null:
                return Value.ForNull();
            case JsonObject members:
                return Value.ForStruct(ToStruct(members, depth));
            case JsonArray items:
                CheckDepth(items, depth);
                return Value.ForList([.. items.Select(item => ToValue(item, depth + 1))]);
        }

        switch (value.GetValueKind())
        {
            case JsonValueKind.True or JsonValueKind.False:
                return Value.ForBool(value.GetValueKind() == JsonValueKind.True);
            case JsonValueKind.Number:
                return Value.ForNumber(ToDouble(value));
            case JsonValueKind.String:
                // Read back from JSON: a value may be of any type that JSON has as a string, such as a Guid.
                var text = ToText(value);
                Arguments.CheckUnicode(text, "properties");
                return Value.ForString(text);
            default:
                return Value.ForNull();
        }
    }

    private static string ToText(JsonNode value) =>
        value.AsValue().TryGetValue<string>(out var text) ? text : (string)JsonNode.Parse(value.ToJsonString())!;

    private static double ToDouble(JsonNode value)
    {
        string text;
        try
        {
            text = value.ToJsonString();
        }
        catch (ArgumentException e)
        {
            throw new JsonException($"{value.GetPath()} is NaN or infinite; expected a finite number.", e);
        }

        var number = double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
        return IsExact(text, number)
            ? number
            : throw new JsonException(
                $"{value.GetPath()} is {text}, which a double does not hold; expected a number that it holds, or a string.");
    }

    /// <summary>Whether an integer is the same as a double, and another number nearly so: neither infinite nor 0.</summary>
    private static bool IsExact(string text, double number)
    {
        var exponent = text.AsSpan().IndexOfAny('e', 'E');
        var digits = exponent < 0 ? text : text.AsSpan(0, exponent);
        return exponent < 0 && !text.Contains('.', StringComparison.Ordinal)
            ? text.Length <= SafeDigits
                || (double.IsFinite(number) && new BigInteger(number) == BigInteger.Parse(text, CultureInfo.InvariantCulture))
            : double.IsFinite(number) && (number != 0 || !digits.ContainsAnyInRange('1', '9'));
    }

    private static void CheckDepth(JsonNode value, int depth)
    {
        if (depth > MaxDepth)
        {
            throw new JsonException($"{value.GetPath()} is more than {MaxDepth} objects and lists deep; expected at most that.");
        }
    }

    private static void Write(Utf8JsonWriter writer, Struct members)
    {
        writer.WriteStartObject();
        foreach (var (name, value) in members.Fields)
        {
            writer.WritePropertyName(name);
            Write(writer, value);
        }

        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, Value value)
    {
        switch (value.KindCase)
        {
            case Value.KindOneofCase.BoolValue:
                writer.WriteBooleanValue(value.BoolValue);
                break;
            case Value.KindOneofCase.NumberValue:
                writer.WriteNumberValue(value.NumberValue);
                break;
            case Value.KindOneofCase.StringValue:
                writer.WriteStringValue(value.StringValue);
                break;
            case Value.KindOneofCase.ListValue:
                writer.WriteStartArray();
                foreach (var item in value.ListValue.Values)
                {
                    Write(writer, item);
                }

                writer.WriteEndArray();
                break;
            case Value.KindOneofCase.StructValue:
                Write(writer, value.StructValue);
                break;
            default:
                writer.WriteNullValue();
                break;
        }
    }
}
