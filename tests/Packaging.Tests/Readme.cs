using System.Text.RegularExpressions;

namespace RouteService.Packaging.Tests;

/// <summary>A block of code in a README.</summary>
/// <param name="Line">Where its first line is, from 1.</param>
/// <param name="Language">Of the fence, such as <c>csharp</c>.</param>
/// <param name="Code">Its lines.</param>
internal sealed record Block(int Line, string Language, string Code);

internal static partial class Readme
{
    public static IEnumerable<Block> Blocks(params string[] file)
    {
        var text = File.ReadAllText(Repository.File(file));
        return Fenced().Matches(text).Select(match => new Block(text[..match.Groups[2].Index].Count(static c => c == '\n') + 1, match.Groups[1].Value, match.Groups[2].Value));
    }

    [GeneratedRegex("^```([a-z]+)\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fenced();
}
