using System.Text.RegularExpressions;

namespace RouteService.Helm.Tests;

/// <summary>The commands that the documents have for Kubernetes: helm's are run as far as they go without a cluster, and what kubectl names is there.</summary>
public sealed partial class DocumentationTests
{
    // What helm template does not take, for it installs nothing.
    private static readonly string[] OfInstalling = ["--wait", "--timeout", "15m"];

    public static TheoryData<string> Commands { get; } =
    [
        .. CommandsOf("docs/operations/install.md", Console()),
        .. CommandsOf("deploy/helm/route-service/README.md", Shell()),
    ];

    [Fact]
    public void Both_documents_have_commands() => Assert.True(Commands.Count > 15);

    [Theory]
    [MemberData(nameof(Commands))]
    public async Task A_command_does_what_it_says(string command)
    {
        // As the documents have it: the file of values is shown above the commands.
        var values = Path.GetTempFileName();
        try
        {
            var text = await File.ReadAllTextAsync(Repository.File("docs", "operations", "install.md"), TestContext.Current.CancellationToken);
            await File.WriteAllTextAsync(values, ValuesShown().Match(text).Groups[1].Value, TestContext.Current.CancellationToken);
            string[] words = [.. Words().Matches(command).Select(static word => word.Value).Select(word => word == "…" ? values : word)];
            switch (words)
            {
                case ["helm", "install" or "upgrade", var release, var chart, .. var options]:
                    (await Helm.RunAsync(["template", release, Repository.File(chart.Split('/')), .. options.Where(static o => !OfInstalling.Contains(o))])).AssertSuccess();
                    break;

                case ["helm", "test" or "history" or "rollback" or "uninstall", "places", .. var options]:
                    var help = (await Helm.RunAsync(words[1], "--help")).AssertSuccess().Output;
                    Assert.All(options.Where(static o => o.StartsWith('-')), option => Assert.Matches($"{option}\\b", help));
                    break;

                case ["kubectl", ..]:
                    var manifest = await Helm.TemplateAsync("--values", values);
                    Assert.All(
                        words.Where(static w => ObjectReference().IsMatch(w)).Select(static w => w.Split('/')),
                        reference => Assert.Single(manifest.Objects, o => o.Name() == reference[1] && o.Kind().Equals(reference[0], StringComparison.OrdinalIgnoreCase)));
                    Assert.All(
                        SecretCreated().Matches(command).Where(static m => m.Groups[1].Value == "places-database"),
                        _ => Assert.Contains(manifest.Deployment.List("spec.template.spec.containers").Single().List("env"), static e => e.Text("valueFrom.secretKeyRef.name") == "places-database"));
                    break;

                default:
                    Assert.Fail($"No test knows how to run this: {command}");
                    break;
            }
        }
        finally
        {
            File.Delete(values);
        }
    }

    [Fact]
    public async Task The_address_for_clients_that_balance_is_the_headless_Service()
    {
        var text = await File.ReadAllTextAsync(Repository.File("docs", "operations", "install.md"), TestContext.Current.CancellationToken);
        var headless = (await Helm.TemplateSetAsync("database", "--namespace", "places")).OfKind("Service").Single(static s => s.Text("spec.clusterIP") == "None");

        Assert.Contains($"`dns:///{headless.Name()}.{headless.Text("metadata.namespace")}:{headless.List("spec.ports").First().Number("port")}`", text);
    }

    private static IEnumerable<string> CommandsOf(string document, Regex command)
    {
        var text = File.ReadAllText(Repository.File(document.Split('/')));
        var start = text.IndexOf("## Kubernetes\n", StringComparison.Ordinal);
        text = start < 0 ? text : text[start..text.IndexOf("\n## ", start, StringComparison.Ordinal)];
        return command.Matches(text).Select(static match => match.Groups[1].Value);
    }

    [GeneratedRegex(@"(?m)^\$ (.+)$")]
    private static partial Regex Console();

    [GeneratedRegex("(?m)^((?:helm|kubectl) .+)$")]
    private static partial Regex Shell();

    [GeneratedRegex("```yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex ValuesShown();

    [GeneratedRegex(@"[^ ']*'[^']*'|[^ ]+")]
    private static partial Regex Words();

    [GeneratedRegex("^(deployment|service|job|poddisruptionbudget)/")]
    private static partial Regex ObjectReference();

    [GeneratedRegex(@"create secret generic (\S+)")]
    private static partial Regex SecretCreated();
}
