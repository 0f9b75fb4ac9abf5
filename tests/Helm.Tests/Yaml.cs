using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace RouteService.Helm.Tests;

/// <summary>YAML as the JSON that Kubernetes makes of it. What YAML 1.1 and 1.2 read differently is refused.</summary>
internal static partial class Yaml
{
    /// <summary>The documents of a text, without empty ones.</summary>
    public static IEnumerable<JsonObject> ParseAll(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        return stream.Documents.Select(static document => ToJson(document.RootNode)).OfType<JsonObject>();
    }

    public static JsonObject ParseFile(string path) => Assert.Single(ParseAll(File.ReadAllText(path)));

    private static JsonNode? ToJson(YamlNode node) => node switch
    {
        YamlMappingNode map => new JsonObject(map.Select(static pair => KeyValuePair.Create(((YamlScalarNode)pair.Key).Value!, ToJson(pair.Value)))),
        YamlSequenceNode list => new JsonArray([.. list.Select(ToJson)]),
        YamlScalarNode { Style: not ScalarStyle.Plain, Value: { } text } => JsonValue.Create(text),
        YamlScalarNode { Value: null or "" or "~" or "null" } => null,
        YamlScalarNode { Value: "true" or "false" } boolean => JsonValue.Create(boolean.Value == "true"),
        YamlScalarNode { Value: { } ambiguous } when Ambiguous().IsMatch(ambiguous) => throw new FormatException(
            $"{ambiguous} at {node.Start} means one thing in YAML 1.1 and another in 1.2; quote it, or write it otherwise."),
        YamlScalarNode { Value: { } number } when Number().IsMatch(number) => long.TryParse(number, CultureInfo.InvariantCulture, out var whole)
            ? JsonValue.Create(whole)
            : JsonValue.Create(double.Parse(number, CultureInfo.InvariantCulture)),
        YamlScalarNode { Value: { } text } => JsonValue.Create(text),
        _ => throw new FormatException($"{node.Start}: neither a map, nor a list, nor a scalar."),
    };

    [GeneratedRegex(@"^(y|n|yes|no|on|off|true|false|null|[-+]?0[0-9_]+|[-+]?\d+(:[0-5]?\d)+)$", RegexOptions.IgnoreCase)]
    private static partial Regex Ambiguous();

    [GeneratedRegex(@"^[-+]?(\d+|\d*\.\d+|\d+\.)([eE][-+]?\d+)?$")]
    private static partial Regex Number();
}
