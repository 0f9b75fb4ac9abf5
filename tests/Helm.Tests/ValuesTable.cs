using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace RouteService.Helm.Tests;

/// <summary>The table of values for the chart's README, from the comments in values.yaml: a row for each key that has one.</summary>
internal static partial class ValuesTable
{
    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <exception cref="FormatException">A key has no comment, nor has any that it is under.</exception>
    public static string Make(IEnumerable<string> lines, JsonObject values) => string.Join('\n', (IEnumerable<string>)
    [
        "| value | default | |",
        "|---|---|---|",
        .. Comments(lines, values).Select(key =>
            $"| `{key.Name}` | `{values.At(key.Name)?.ToJsonString(Readable) ?? "null"}` | {key.Comment.Replace("|", "\\|", StringComparison.Ordinal)} |"),
    ]) + "\n";

    /// <summary>The keys that have a comment, by their paths and in order.</summary>
    /// <inheritdoc cref="Make" path="/exception"/>
    public static IEnumerable<(string Name, string Comment)> Comments(IEnumerable<string> lines, JsonObject values)
    {
        var comment = new List<string>();
        var path = new List<(int Indent, string Key, bool Told)>();
        foreach (var line in lines)
        {
            if (line.TrimStart().StartsWith('#'))
            {
                comment.Add(line.TrimStart().TrimStart('#').Trim());
                continue;
            }

            if (Key().Match(line) is { Success: true } match)
            {
                var indent = match.Groups[1].Length;
                path.RemoveAll(part => part.Indent >= indent);
                path.Add((indent, match.Groups[2].Value, comment.Count > 0));
                var name = string.Join('.', path.Select(static part => part.Key));
                if (comment.Count > 0)
                {
                    yield return (name, string.Join(' ', comment));
                }
                else if (values.At(name) is not JsonObject { Count: > 0 } && !path.Any(static part => part.Told))
                {
                    throw new FormatException($"{name} in values.yaml has no comment.");
                }
            }

            comment.Clear();
        }
    }

    [GeneratedRegex(@"^( *)(\w+):")]
    private static partial Regex Key();
}
