using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace RouteService.Helm.Tests;

/// <summary>values.schema.json as it is written: in the order of values.yaml, with its comments as descriptions, and on one line what fits there.</summary>
internal static class SchemaFile
{
    private const int Columns = 140;

    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Make(JsonObject schema, JsonObject values, IReadOnlyDictionary<string, string> comments) =>
        Write(Describe(schema, values, "", comments), indent: 0, before: 0) + "\n";

    private static JsonObject Describe(JsonObject schema, JsonObject? values, string path, IReadOnlyDictionary<string, string> comments)
    {
        var described = new JsonObject();
        if (comments.TryGetValue(path, out var comment))
        {
            described["description"] = comment;
        }

        foreach (var (name, value) in schema.Where(static field => field.Key != "description"))
        {
            described[name] = name != "properties" ? value!.DeepClone() : new JsonObject(
                from property in value!.AsObject()
                orderby values is null || !values.ContainsKey(property.Key) ? int.MaxValue : values.IndexOf(property.Key)
                let inner = path.Length == 0 ? property.Key : $"{path}.{property.Key}"
                select KeyValuePair.Create<string, JsonNode?>(property.Key, Describe(property.Value!.AsObject(), values?[property.Key] as JsonObject, inner, comments)));
        }

        return described;
    }

    private static string Write(JsonNode? node, int indent, int before)
    {
        var line = node switch
        {
            JsonObject map => $"{{{string.Join(", ", map.Select(static field => $"{Text(field.Key)}: {Write(field.Value, 0, int.MinValue)}"))}}}",
            JsonArray list => $"[{string.Join(", ", list.Select(static item => Write(item, 0, int.MinValue)))}]",
            _ => node?.ToJsonString(Readable) ?? "null",
        };
        if (before + line.Length <= Columns || node is not (JsonObject or JsonArray))
        {
            return line;
        }

        var (margin, inner) = (new string(' ', indent), new string(' ', indent + 2));
        return node is JsonObject fields
            ? $"{{\n{string.Join(",\n", fields.Select(field => $"{inner}{Text(field.Key)}: {Write(field.Value, indent + 2, indent + field.Key.Length + 7)}"))}\n{margin}}}"
            : $"[\n{string.Join(",\n", node.AsArray().Select(item => $"{inner}{Write(item, indent + 2, indent + 3)}"))}\n{margin}]";
    }

    private static string Text(string text) => JsonValue.Create(text).ToJsonString(Readable);
}
