using System.Text.RegularExpressions;

namespace RouteService.Api.Tests;

/// <summary>The links of all documents, and the table "Where is it decided?" of docs/architecture.md.</summary>
public sealed partial class DocumentTests
{
    private static readonly string Root = FindRoot();

    public static TheoryData<string> Documents { get; } =
    [
        .. Directory.GetFiles(Root, "*.md")
            .Concat(((string[])["bench", "data", "deploy", "docs", "protos", "samples", "src"])
                .SelectMany(static folder => Directory.GetFiles(Path.Combine(Root, folder), "*.md", SearchOption.AllDirectories)))
            .Select(static file => Path.GetRelativePath(Root, file))
            .Where(static file => !file.Split(Path.DirectorySeparatorChar).Any(static folder => folder is "node_modules" or "obj" or "bin"))
            .Order(StringComparer.Ordinal),
    ];

    public static TheoryData<string> Rules { get; } = [.. Rows().Matches(WhereIsItDecided()).Skip(1).Select(static row => row.Groups[1].Value)];

    [Theory]
    [MemberData(nameof(Documents))]
    public void Every_link_to_a_file_or_a_heading_leads_there(string document)
    {
        var file = Path.Combine(Root, document);
        var text = CodeBlocks().Replace(File.ReadAllText(file), "");
        foreach (var link in Links().Matches(text).Select(static match => match.Groups[2].Value).Where(static link => !link.Contains(':')))
        {
            var (path, heading) = link.Split('#') is [var before, var after] ? (before, after) : (link, "");
            var target = path.Length == 0 ? file : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, path));

            Assert.True(File.Exists(target) || Directory.Exists(target), $"{document} links to {link}, which does not exist.");
            if (heading.Length > 0)
            {
                Assert.Contains(heading, Headings(target));
            }
        }
    }

    [Theory]
    [InlineData("Deadline of a listing")]
    [InlineData("Edges of a rectangle")]
    [InlineData("A repeated note id")]
    [InlineData("Who may call a method")]
    [InlineData("Size of the pool")]
    [InlineData("Streams at SIGTERM")]
    [InlineData("Header of a CSV file")]
    [InlineData("Slow chat streams")]
    [InlineData("Distance")]
    [InlineData("Renewed certificates")]
    public void The_table_has_the_rules_that_people_look_for(string rule) => Assert.Contains(rule, Rules.Select(static row => row.Data));

    /// <summary>A link has the name of what decides: a type, or a member of the type that the file is named for.</summary>
    [Theory]
    [MemberData(nameof(Rules))]
    public void A_file_that_decides_a_rule_declares_what_the_table_names(string rule)
    {
        var row = Rows().Matches(WhereIsItDecided()).Single(row => row.Groups[1].Value == rule).Value;
        var links = Links().Matches(row).Where(static link => link.Groups[1].Value.StartsWith('`')).ToList();

        Assert.NotEmpty(links);
        Assert.All(links, link =>
        {
            var source = File.ReadAllText(Path.GetFullPath(Path.Combine(Root, "docs", link.Groups[2].Value)));
            foreach (var name in link.Groups[1].Value.Trim('`').Split('.'))
            {
                Assert.Matches($@"\b{Regex.Escape(name)}\b", source);
            }
        });
    }

    private static string WhereIsItDecided()
    {
        var text = File.ReadAllText(Path.Combine(Root, "docs", "architecture.md"));
        var start = text.IndexOf("## Where is it decided?\n", StringComparison.Ordinal);
        return text[start..text.IndexOf("\n## ", start, StringComparison.Ordinal)];
    }

    /// <summary>The headings of a document as links name them: in lower case, without punctuation, blanks as hyphens.</summary>
    private static IEnumerable<string> Headings(string document) => HeadingLines().Matches(CodeBlocks().Replace(File.ReadAllText(document), ""))
        .Select(static match => Punctuation().Replace(match.Groups[1].Value.Trim().ToLowerInvariant(), "").Replace(' ', '-'));

    private static string FindRoot()
    {
        var root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "RouteService.sln")))
        {
            root = Path.GetDirectoryName(root)!;
        }

        return root;
    }

    [GeneratedRegex("(?m)^\\| ([^|`-][^|]*?) \\|.+\\|$")]
    private static partial Regex Rows();

    [GeneratedRegex(@"\[([^\[\]]*)\]\(([^()\s]+)\)")]
    private static partial Regex Links();

    [GeneratedRegex("(?ms)^```.*?^```")]
    private static partial Regex CodeBlocks();

    [GeneratedRegex("(?m)^#+ (.+)$")]
    private static partial Regex HeadingLines();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex Punctuation();
}
