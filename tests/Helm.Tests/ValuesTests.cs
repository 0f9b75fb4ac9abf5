using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text.Json.Nodes;
using RouteService.Api.Hosting;

namespace RouteService.Helm.Tests;

/// <summary>That values, their schema, their README, the program's settings and the repository say the same.</summary>
public sealed class ValuesTests
{
    // What other values of the chart decide.
    private static readonly string[] Decided =
    [
        "grpc.port", "grpc.certificatePath", "grpc.certificateKeyPath", "grpc.certificatePassword", "grpc.clientCaPath", "management", "sqlite", "postgres.migrateOnStart", "auth",
        "shutdown",
    ];

    private static readonly JsonObject Schema = JsonNode.Parse(File.ReadAllText(Path.Combine(Helm.Chart, "values.schema.json")))!.AsObject();

    private static readonly JsonObject Values = Yaml.ParseFile(Path.Combine(Helm.Chart, "values.yaml"));

    [Fact]
    public void Every_value_is_in_the_schema_and_the_other_way_round()
    {
        // Parts of Kubernetes' own objects, of which the values have what the chart sets; and the settings, which have a test of their own.
        string[] partly = ["settings", "podSecurityContext", "securityContext", "strategy", "lifecycle", "tls.certManager.secretTemplate"];
        AssertSame("", Values, Schema);

        void AssertSame(string path, JsonObject values, JsonObject schema)
        {
            if (partly.Contains(path) || path.StartsWith("autoscaling.behavior.", StringComparison.Ordinal))
            {
                return;
            }

            // Of what all charts share there is more than this one reads.
            Assert.Equal(path == "global", schema.Flag("additionalProperties") ?? true);
            var properties = schema["properties"]!.AsObject();
            Assert.Equal(properties.Where(static p => !IsOfOtherCharts(p.Value!)).Select(p => $"{path}.{p.Key}").Order(StringComparer.Ordinal), values.Select(p => $"{path}.{p.Key}").Order(StringComparer.Ordinal));
            foreach (var (key, value) in values)
            {
                if (value is JsonObject section && properties[key]!["properties"] is not null)
                {
                    AssertSame(path.Length == 0 ? key : $"{path}.{key}", section, properties[key]!.AsObject());
                }
            }
        }
    }

    [Fact]
    public async Task The_schema_describes_every_key_as_values_yaml_does()
    {
        var file = Path.Combine(Helm.Chart, "values.schema.json");
        var text = await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken);
        var lines = await File.ReadAllLinesAsync(Path.Combine(Helm.Chart, "values.yaml"), TestContext.Current.CancellationToken);
        var expected = SchemaFile.Make(Schema, Values, ValuesTable.Comments(lines, Values).ToDictionary());
        if (Environment.GetEnvironmentVariable("UPDATE_GOLDEN") == "1")
        {
            await File.WriteAllTextAsync(file, expected, TestContext.Current.CancellationToken);
            text = expected;
        }

        Assert.True(expected == text, "deploy/helm/route-service/values.schema.json is not written as its values.yaml says: UPDATE_GOLDEN=1, and run this test again.");
    }

    [Fact]
    public async Task A_key_that_other_charts_have_is_refused_with_the_name_of_ours()
    {
        // Each hint begins with a key, of which this chart knows the path.
        foreach (var (path, hint) in Hints("", Schema))
        {
            var name = hint.Split(',', ' ')[0];
            Assert.False(Schema.At($"properties.{name.Replace(".", ".properties.", StringComparison.Ordinal)}") is null, $"{path}: there is no {name}.");
            var rendering = await Helm.RunAsync("template", Helm.Release, Helm.Chart, "-f", Helm.ValueSets["database"], "--set", $"{path}=x");
            Assert.Contains($"at '/{path.Replace('.', '/')}': value must be 'absent; its name here is {hint}'", rendering.Error);
        }

        static IEnumerable<(string Path, string Hint)> Hints(string path, JsonObject schema) => (schema["properties"] as JsonObject ?? []).SelectMany(p => IsOfOtherCharts(p.Value!)
            ? [(path + p.Key, ((string)p.Value!["const"]!)["absent; its name here is ".Length..])]
            : Hints($"{path}{p.Key}.", p.Value!.AsObject()));
    }

    [Fact]
    public void Every_map_of_the_schema_is_closed_or_free_on_purpose()
    {
        AssertClosed("", Schema);

        void AssertClosed(string path, JsonNode? node)
        {
            if (node is JsonObject part && part.ContainsKey("properties") && part["properties"] is JsonObject && part["type"] is not null && path != "/properties/global")
            {
                Assert.False(part.Flag("additionalProperties") ?? true, $"{path} takes any key.");
            }

            foreach (var (key, child) in node as JsonObject ?? [])
            {
                AssertClosed($"{path}/{key}", child);
            }
        }
    }

    [Fact]
    public void The_settings_of_the_schema_are_the_programs_with_their_ranges()
    {
        var programs = Settings.Sections.SelectMany(static section => Leaves(section.Value, $"{Camel(section.Key)}.")).Where(static leaf => !Decided.Any(path => leaf.Path == path || leaf.Path.StartsWith($"{path}.", StringComparison.Ordinal))).ToList();

        Assert.True(programs.Count > 20);
        Assert.Equal(
            programs.Select(static leaf => $"{leaf.Path}: {leaf.Range}").Order(StringComparer.Ordinal),
            SchemaLeaves(Schema.At("properties.settings")!.AsObject(), "").Order(StringComparer.Ordinal));

        static IEnumerable<(string Path, string Range)> Leaves(Type section, string prefix) => section
            .GetProperties()
            .SelectMany(p => p.PropertyType.IsClass && p.PropertyType != typeof(string)
                ? Leaves(p.PropertyType, $"{prefix}{Camel(p.Name)}.")
                : p.PropertyType == typeof(string) ? [($"{prefix}{Camel(p.Name)}", "text")]
                : [($"{prefix}{Camel(p.Name)}", p.PropertyType == typeof(TimeSpan) || p.GetCustomAttribute<RangeAttribute>() is not { } range ? "time" : $"{range.Minimum} to {range.Maximum}")]);

        static IEnumerable<string> SchemaLeaves(JsonObject schema, string prefix) => schema["properties"]!.AsObject().SelectMany(p => p.Value!["properties"] is not null
            ? SchemaLeaves(p.Value.AsObject(), $"{prefix}{p.Key}.")
            : (string?)p.Value["type"] == "string" ? [$"{prefix}{p.Key}: text"]
            : [$"{prefix}{p.Key}: {(p.Value["$ref"] is not null ? "time" : $"{p.Value["minimum"]} to {p.Value["maximum"]}")}"]);

        static string Camel(string name) => char.ToLowerInvariant(name[0]) + name[1..];
    }

    [Fact]
    public async Task Every_setting_arrives_under_the_programs_name()
    {
        var docs = await File.ReadAllTextAsync(Repository.File("docs", "configuration.md"), TestContext.Current.CancellationToken);
        var settings = Schema.At("properties.settings")!.AsObject();
        var paths = Paths(Greatest(settings), "RouteService").ToList();

        // From a file, since helm reads the numbers of files as floats.
        var file = Path.GetTempFileName();
        Dictionary<string, string> variables;
        try
        {
            await File.WriteAllTextAsync(file, new JsonObject { ["settings"] = Greatest(settings) }.ToJsonString(), TestContext.Current.CancellationToken);
            variables = (await Helm.TemplateSetAsync("no-migration", "-f", file)).The("ConfigMap").Map("data");
        }
        finally
        {
            File.Delete(file);
        }

        Assert.True(paths.Count > 20);
        Assert.All(paths, path => Assert.Equal(path.Value, variables.Single(v => v.Key.Equals(path.Name, StringComparison.OrdinalIgnoreCase)).Value));
        Assert.All(variables.Keys.Where(static name => name.StartsWith("RouteService__", StringComparison.Ordinal)), name => Assert.Contains($"`{name}`", docs));

        // The greatest that each takes, as it is written: 2147483647, not 2.147483647e+09.
        static JsonObject Greatest(JsonObject schema) => new(schema["properties"]!.AsObject().Select(static p => KeyValuePair.Create<string, JsonNode?>(
            p.Key,
            p.Value!["properties"] is not null ? Greatest(p.Value.AsObject()) : p.Value["$ref"] is not null ? (JsonNode)"00:10:00" : (string?)p.Value["type"] == "string" ? "10.0.0.0/8" : p.Value["maximum"]!.DeepClone())));

        static IEnumerable<(string Name, string Value)> Paths(JsonObject section, string prefix) => section.SelectMany(p => p.Value is JsonObject inner
            ? Paths(inner, $"{prefix}__{p.Key}")
            : [($"{prefix}__{p.Key}", p.Value!.ToString())]);
    }

    [Fact]
    public async Task The_README_has_every_value_with_its_default()
    {
        const string Heading = "## Values\n";
        var file = Path.Combine(Helm.Chart, "README.md");
        var text = await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken);
        var expected = text[..(text.IndexOf(Heading, StringComparison.Ordinal) + Heading.Length)] + "\n" + ValuesTable.Make(await File.ReadAllLinesAsync(Path.Combine(Helm.Chart, "values.yaml"), TestContext.Current.CancellationToken), Values);
        if (Environment.GetEnvironmentVariable("UPDATE_GOLDEN") == "1")
        {
            await File.WriteAllTextAsync(file, expected, TestContext.Current.CancellationToken);
            text = expected;
        }

        Assert.True(expected == text, "deploy/helm/route-service/README.md is not what its values.yaml says: UPDATE_GOLDEN=1, and run this test again.");
    }

    [Fact]
    public void The_chart_has_the_version_of_the_program()
    {
        var chart = Yaml.ParseFile(Path.Combine(Helm.Chart, "Chart.yaml"));

        Assert.Equal(typeof(Settings).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0], chart.Text("appVersion"));
    }

    /// <summary>Whether this is a key that only other charts have, and that is refused with the name of ours.</summary>
    private static bool IsOfOtherCharts(JsonNode property) => (string?)property["const"] is { } hint && hint.StartsWith("absent; ", StringComparison.Ordinal);
}
