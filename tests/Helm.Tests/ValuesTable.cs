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
    public static string Make(IEnumerable<string> lines, JsonObject values)
    {
        var rows = new List<string> { "| value | default | |", "|---|---|---|" };
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
                var value = values.At(name);
                if (comment.Count > 0)
                {
                    rows.Add($"| `{name}` | `{(value is null ? "null" : value.ToJsonString(Readable))}` | {string.Join(' ', comment).Replace("|", "\\|", StringComparison.Ordinal)} |");
                }
                else if (value is not JsonObject { Count: > 0 } && !path.Any(static part => part.Told))
                {
                    throw new FormatException($"{name} in values.yaml has no comment.");
                }
            }

            comment.Clear();
        }

        return string.Join('\n', rows) + "\n";
    }

    [GeneratedRegex(@"^( *)(\w+):")]
    private static partial Regex Key();
}
