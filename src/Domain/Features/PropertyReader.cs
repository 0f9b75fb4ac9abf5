using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;

namespace RouteService.Domain.Features;

/// <summary>Reads an object of JSON into values, strictly: no comments, no trailing commas, no member twice.</summary>
internal static class PropertyReader
{
    // A double holds every integer of this many digits.
    private const int SafeDigits = 15;

    /// <exception cref="InvalidValueException">The text is not such an object, or has a number that a double does not hold.</exception>
    public static Dictionary<string, PropertyValue> Read(ReadOnlySpan<byte> utf8Json, bool isStored)
    {
        // One deeper than allowed, so that PropertyPath reports the depth.
        var reader = new Utf8JsonReader(utf8Json, new JsonReaderOptions { MaxDepth = Properties.MaxDepth + 1 });
        var path = new PropertyPath();
        try
        {
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                throw path.Invalid($"is {Kind(reader.TokenType)}; expected an object of JSON");
            }

            var members = ReadMembers(ref reader, path, isStored);
            reader.Read(); // Throws where something follows.
            return members;
        }
        catch (JsonException fault)
        {
            throw path.Invalid(
                $"is not JSON at line {fault.LineNumber + 1}, byte {fault.BytePositionInLine + 1}; expected an object of JSON");
        }
    }

    private static Dictionary<string, PropertyValue> ReadMembers(ref Utf8JsonReader reader, PropertyPath path, bool isStored)
    {
        var members = new Dictionary<string, PropertyValue>(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var name = ReadText(ref reader, path);
            path.Enter(name);
            reader.Read();
            if (!members.TryAdd(name, ReadValue(ref reader, path, isStored)))
            {
                throw path.Invalid("comes twice; expected each member once");
            }

            path.Leave();
        }

        return members;
    }

    private static PropertyValue ReadValue(ref Utf8JsonReader reader, PropertyPath path, bool isStored)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                path.CheckDepth();
                return new PropertyValue.Map(ReadMembers(ref reader, path, isStored));
            case JsonTokenType.StartArray:
                path.CheckDepth();
                var items = new List<PropertyValue>();
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    path.Enter(items.Count);
                    items.Add(ReadValue(ref reader, path, isStored));
                    path.Leave();
                }

                return new PropertyValue.List(items);
            case JsonTokenType.String:
                return new PropertyValue.Text(ReadText(ref reader, path));
            case JsonTokenType.Number:
                return new PropertyValue.Number(ReadNumber(reader, path, isStored));
            case JsonTokenType.True or JsonTokenType.False:
                return new PropertyValue.Truth(reader.TokenType == JsonTokenType.True);
            default:
                return new PropertyValue.Null();
        }
    }

    private static string ReadText(ref Utf8JsonReader reader, PropertyPath path)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw path.Invalid("has text with an unpaired surrogate, or that is not UTF-8; expected Unicode");
        }
    }

    private static double ReadNumber(in Utf8JsonReader reader, PropertyPath path, bool isStored)
    {
        var text = reader.ValueSpan;
        var number = double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
        if (!double.IsFinite(number))
        {
            throw path.Invalid("is a number beyond 1.7976931348623157e+308; expected one that a double holds");
        }

        var mantissa = text[..(text.IndexOfAny("eE"u8) is >= 0 and var exponent ? exponent : text.Length)];
        if (number == 0 && mantissa.ContainsAnyInRange((byte)'1', (byte)'9'))
        {
            throw path.Invalid("is a number so small that a double has 0 for it; expected 0, or one that a double holds");
        }

        var isInteger = !text.ContainsAny(".eE"u8);
        if (!isStored && isInteger && text.Length > SafeDigits
            && BigInteger.Parse(Encoding.ASCII.GetString(text), CultureInfo.InvariantCulture) != new BigInteger(number)
            && !string.Equals(Encoding.ASCII.GetString(text), PropertyWriter.Write(number), StringComparison.Ordinal))
        {
            throw path.Invalid("is an integer that a double does not hold; expected at most 9007199254740992, or a string");
        }

        return number;
    }

    private static string Kind(JsonTokenType token) => token switch
    {
        JsonTokenType.StartArray => "a list",
        JsonTokenType.String => "a string",
        JsonTokenType.Number => "a number",
        JsonTokenType.True or JsonTokenType.False => "a boolean",
        _ => "null",
    };
}
