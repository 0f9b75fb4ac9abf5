using System.Text.Json.Nodes;
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
                // What kubectl applies of it is what is rendered.
                case ["helm", "upgrade", "--install", var release, var chart, .. var options]:
                    Assert.Contains("--timeout", options);
                    (await Helm.RunAsync(["template", release, Repository.File(chart.Split('/')), .. options.Where(static o => !OfInstalling.Contains(o))])).AssertSuccess();
                    break;

                case ["helm", "template", var release, var chart, .. var options]:
                    (await Helm.RunAsync(["template", release, Repository.File(chart.Split('/')), .. options.TakeWhile(static o => o != "|")])).AssertSuccess();
                    break;

                case ["helm", "test" or "history" or "rollback" or "uninstall" or "status", "places", .. var options]:
                    var help = (await Helm.RunAsync(words[1], "--help")).AssertSuccess().Output;
                    Assert.All(options.Where(static o => o.StartsWith('-')), option => Assert.Matches($"{option}\\b", help));
                    break;

                case ["kubectl", ..]:
                    // By hooks, without them, and with what the manual shows beside the release.
                    var plain = await Helm.TemplateAsync("--values", values, "--set", "database.migration.hooks=false");
                    var manifest = new Manifest([.. (await Helm.TemplateAsync("--values", values)).Objects, Import()]);
                    Assert.All(
                        words.Select(static w => Selector().Match(w)).Where(static m => m.Success),
                        selector => Assert.All((Manifest[])[plain, manifest], release => Assert.Contains(
                            release.Objects.Where(static o => o.Kind() == "Job"),
                            o => selector.Groups[1].Value.Split(',').Select(static label => label.Split('=')).All(label => o.Map("metadata.labels").GetValueOrDefault(label[0]) == label[1]))));
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
    public async Task Values_that_the_manual_shows_render_and_its_import_is_as_the_API_has_it()
    {
        var text = await File.ReadAllTextAsync(Repository.File("docs", "operations", "install.md"), TestContext.Current.CancellationToken);
        var shown = OtherValues().Matches(text);
        Assert.NotEmpty(shown);
        foreach (var values in shown.Select(static match => match.Groups[1].Value))
        {
            var file = Path.GetTempFileName();
            try
            {
                await File.WriteAllTextAsync(file, values, TestContext.Current.CancellationToken);
                Assert.NotEmpty((await Helm.TemplateSetAsync("database", "-f", file)).Objects);
            }
            finally
            {
                File.Delete(file);
            }
        }

        var (isValid, problems) = await Kubernetes.ValidateAsync([new JsonObject { ["name"] = "import.yaml", ["object"] = Import() }]);
        Assert.True(isValid, problems);
    }

    [Fact]
    public async Task Values_that_the_README_shows_render()
    {
        var shown = ValuesShown().Matches(await File.ReadAllTextAsync(Path.Combine(Helm.Chart, "README.md"), TestContext.Current.CancellationToken));
        Assert.Equal(3, shown.Count);
        foreach (var values in shown.Select(static match => Yaml.ParseAll(match.Groups[1].Value).Single()))
        {
            // YAML has JSON in it.
            var file = Path.GetTempFileName();
            try
            {
                await File.WriteAllTextAsync(file, values.ToJsonString(), TestContext.Current.CancellationToken);
                Assert.NotEmpty((await Helm.TemplateAsync("-f", file)).Objects);
            }
            finally
            {
                File.Delete(file);
            }
        }
    }

    [Theory]
    [InlineData("database.existingSecret: {name: places-database, key: connectionString}")]
    [InlineData("database.existingSecret: {name: places-pg-app, key: uri}")]
    [InlineData("database.existingSecret: {name: places-pguser-places, key: pgbouncer-uri}")]
    [InlineData("database.migration.podLabels: {sidecar.istio.io/inject: \"false\"}")]
    [InlineData(
        "database.migration.annotations: {argocd.argoproj.io/hook: Sync, argocd.argoproj.io/hook-delete-policy: BeforeHookCreation, argocd.argoproj.io/sync-wave: \"1\"}")]
    public async Task Values_in_a_sentence_are_the_charts(string value)
    {
        var text = await File.ReadAllTextAsync(Repository.File("docs", "operations", "install.md"), TestContext.Current.CancellationToken);
        var (path, shown) = (value[..value.IndexOf(':', StringComparison.Ordinal)], value[(value.IndexOf(':', StringComparison.Ordinal) + 1)..]);

        Assert.Contains($"`{value}`", text);
        (await Helm.RunAsync("template", Helm.Release, Helm.Chart, "-f", Helm.ValueSets["database"], "--set-json", $"{path}={Yaml.ParseAll(shown).Single().ToJsonString()}")).AssertSuccess();
    }

    private static JsonObject Import() => Yaml.ParseAll(ImportShown().Match(File.ReadAllText(Repository.File("docs", "operations", "install.md"))).Groups[1].Value).Single();

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

    [GeneratedRegex("```yaml values\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex OtherValues();

    [GeneratedRegex("```yaml import.yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex ImportShown();

    [GeneratedRegex("^(?:--selector=)?(app\\.kubernetes\\.io/.+)$")]
    private static partial Regex Selector();

    [GeneratedRegex(@"[^ ']*'[^']*'|[^ ]+")]
    private static partial Regex Words();

    [GeneratedRegex("^(deployment|service|job|poddisruptionbudget)/")]
    private static partial Regex ObjectReference();

    [GeneratedRegex(@"create secret generic (\S+)")]
    private static partial Regex SecretCreated();
}
