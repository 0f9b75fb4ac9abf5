using System.Globalization;
using System.Text.Json;

namespace RouteService.EndToEnd.Tests;

/// <summary>The command `export` of the built program, and what others make of its files.</summary>
public sealed class ExportTests : IDisposable
{
    private const string Ogr = "/usr/bin/ogr2ogr";

    private const string Places = """
        {"type":"FeatureCollection","features":[
        {"type":"Feature","geometry":{"type":"Point","coordinates":[19.456,51.75919]},"properties":{"height":61.5,"name":"Łódź \"city\", PL","open":true,"uses":["view",{"since":1900}]}},
        {"type":"Feature","geometry":{"type":"Point","coordinates":[-180,90]},"properties":{"name":""}},
        {"type":"Feature","geometry":{"type":"Point","coordinates":[-0.0000001,0.0000001]},"display_name":"two\nlines","properties":{"name":"its own","title":null}}
        ]}
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("places.geojson")]
    [InlineData("places.json.gz")]
    [InlineData("places.geojsonl")]
    [InlineData("places.ndjson.gz")]
    [InlineData("places.CSV")]
    [InlineData("places.csv.gz")]
    [InlineData("places", "--format", "csv")]
    [InlineData("places.csv", "--format", "geojson")]
    public async Task What_is_exported_is_imported_as_it_was(string name, params string[] options)
    {
        await ImportAsync(Places);
        var before = await ExportAsync("geojson");

        var export = (await RunAsync(["export", name, .. options])).AssertSuccess();

        Assert.StartsWith("Exported 3 features in ", export.Output);
        Assert.Equal(new[] { "places.in", name, "store.db" }.Order(), Directory.GetFiles(_folder).Select(Path.GetFileName).Where(static file => file!.Split('-') is [_]).Order());
        var bytes = await File.ReadAllBytesAsync(Path.Combine(_folder, name));
        Assert.Equal(name.EndsWith(".gz", StringComparison.Ordinal), bytes is [0x1F, 0x8B, ..]);
        (await RunAsync("import", name, "--replace")).AssertSuccess();
        Assert.Equal(before, await ExportAsync("geojson"));
        Assert.Contains("""{"name":"Łódź \"city\", PL","height":61.5,"open":true,"uses":["view",{"since":1900}]}}""", before);
        Assert.Contains("""[-0.0000001,0.0000001]},"display_name":"two\nlines","properties":{"name":"its own","title":null}}""", before);
    }

    [Fact]
    public async Task Standard_output_has_the_features_alone()
    {
        await ImportAsync("name,latitude,longitude,population\nPrinceton,40.34872,-74.65905,30728\n\"a \"\"b\"\"\",1,2,\n");

        Assert.Equal(
            "name,latitude,longitude,properties\r\n\"a \"\"b\"\"\",1,2,\r\nPrinceton,40.34872,-74.65905,\"{\"\"population\"\":\"\"30728\"\"}\"",
            await ExportAsync("csv"));
        Assert.Equal(
            """
            {"type":"Feature","geometry":{"type":"Point","coordinates":[2,1]},"properties":{"name":"a \"b\""}}
            {"type":"Feature","geometry":{"type":"Point","coordinates":[-74.65905,40.34872]},"properties":{"name":"Princeton","population":"30728"}}
            """.Split('\n').ToHashSet(),
            (await ExportAsync("ndjson")).Split('\n').ToHashSet());
    }

    [Fact]
    public async Task A_name_with_an_end_of_line_of_any_kind_is_quoted()
    {
        foreach (var name in (string[])["a\rb", "a\nb", "a\r\nb"])
        {
            await ImportAsync($"name,latitude,longitude\n\"{name}\",1,2\n");

            Assert.EndsWith($"\r\n\"{name}\",1,2,", await ExportAsync("csv"));
        }
    }

    [Theory]
    [InlineData("geojson", "{\"type\":\"FeatureCollection\",\"features\":[\n\n]}\n")]
    [InlineData("geojsonl", "{\"type\":\"FeatureCollection\",\"features\":[]}\n")]
    [InlineData("csv", "name,latitude,longitude,properties\r\n")]
    public async Task A_store_without_features_is_exported_too(string format, string text)
    {
        (await RunAsync("import", await FileAsync("name,latitude,longitude\n"))).AssertSuccess();
        (await RunAsync("export", $"none.{format}")).AssertSuccess();

        Assert.Equal(text, await File.ReadAllTextAsync(Path.Combine(_folder, $"none.{format}")));
        Assert.Contains("The store has 0 features.", (await RunAsync("import", $"none.{format}")).AssertSuccess().Output);
    }

    [Theory]
    [InlineData("The format is unknown; expected a FILE that ends in .geojson,", "places.txt")]
    [InlineData("The format is unknown; expected a FILE", "places.gz")]
    [InlineData("The format is unknown; expected a FILE")]
    [InlineData("Argument 'xml' not recognized", "places.xml", "--format", "xml")]
    [InlineData("none/places.csv cannot be written: ", "none/places.csv")]
    [InlineData("folder.csv cannot be written: ", "folder.csv")]
    [InlineData("/dev/null exists and is empty, or no regular file", "/dev/null", "--format", "csv")]
    [InlineData("pipe.csv exists and is empty, or no regular file", "pipe.csv")]
    [InlineData("Unrecognized command or argument 'more'", "places.csv", "more")]
    public async Task What_cannot_be_written_is_told_and_leaves_nothing(string complaint, params string[] arguments)
    {
        Directory.CreateDirectory(Path.Combine(_folder, "folder.csv"));
        (await Command.RunAsync("mkfifo", [Path.Combine(_folder, "pipe.csv")])).AssertSuccess();
        await ImportAsync(Places);
        var before = Directory.GetFileSystemEntries(_folder).Order().ToList();

        var answer = await RunAsync(["export", .. arguments]);

        Assert.Equal(1, answer.ExitCode);
        Assert.Contains(complaint, answer.Error);
        Assert.Equal(before, Directory.GetFileSystemEntries(_folder).Order());
    }

    [Fact]
    public async Task A_file_is_replaced_as_a_whole_with_its_permissions_and_a_link_stays_one()
    {
        await ImportAsync(Places);
        const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupWrite; // The last is not given to new files.
        var file = await FileAsync("something longer than what comes after it, which is not to be seen any more" + new string('x', 10_000), "real.csv");
        File.SetUnixFileMode(Path.Combine(_folder, file), Mode);
        File.CreateSymbolicLink(Path.Combine(_folder, "link.csv"), "real.csv");

        // Nearly the name of a draft, which an export that was killed leaves.
        var others = await FileAsync("not ours", $"real.csv.{new string('x', 32)}.new");

        (await RunAsync("export", "link.csv")).AssertSuccess();

        Assert.Equal("real.csv", new FileInfo(Path.Combine(_folder, "link.csv")).LinkTarget);
        Assert.StartsWith("name,latitude,longitude,properties\r\n", await File.ReadAllTextAsync(Path.Combine(_folder, "real.csv")));
        Assert.DoesNotContain("xxx", await File.ReadAllTextAsync(Path.Combine(_folder, "real.csv")));
        Assert.Equal(Mode, File.GetUnixFileMode(Path.Combine(_folder, "real.csv")));
        Assert.True(File.Exists(Path.Combine(_folder, others)));
    }

    [Fact]
    public async Task A_disk_that_is_full_is_told()
    {
        await ImportAsync(Places);

        var answer = await Command.RunAsync("bash", ["-c", $"dotnet {Repository.Program} export --format csv > /dev/full"], Environment, _folder);

        Assert.Equal(1, answer.ExitCode);
        Assert.Contains("Standard output cannot be written: No space left on device", answer.Error);
    }

    [Fact]
    public async Task Another_program_goes_on_in_the_file_after_an_export()
    {
        await ImportAsync(Places);

        (await Command.RunAsync(
            "bash", ["-c", $"{{ echo before; dotnet {Repository.Program} export --format csv; echo after; }} > all.csv"], Environment, _folder)).AssertSuccess();

        Assert.Equal($"before\n{await ExportAsync("csv")}\r\nafter\n", await File.ReadAllTextAsync(Path.Combine(_folder, "all.csv")));
    }

    [Fact]
    public async Task A_reader_that_goes_before_the_end_is_told()
    {
        await ImportAsync($"name,latitude,longitude\n{string.Concat(Enumerable.Range(0, 10_000).Select(i => $"place,1,{i / 1000.0}\n"))}");

        var answer = await Command.RunAsync(
            "bash", ["-c", $"dotnet {Repository.Program} export --format csv | head --lines=1; exit ${{PIPESTATUS[0]}}"], Environment, _folder);

        Assert.Equal(1, answer.ExitCode);
        Assert.Equal("name,latitude,longitude,properties", answer.Output.Trim());
        Assert.Contains("Standard output cannot be written: Broken pipe", answer.Error);
        Assert.DoesNotContain("Exported", answer.Error);
    }

    [Fact]
    public async Task A_store_that_does_not_exist_is_told_and_not_made()
    {
        var answer = await RunAsync("export", "places.csv");

        Assert.Equal(1, answer.ExitCode);
        Assert.Contains("store.db' does not exist. Set RouteService__Sqlite__Path", answer.Error);
        Assert.Empty(Directory.GetFileSystemEntries(_folder));
    }

    [Fact]
    public async Task A_store_larger_than_the_memory_is_exported()
    {
        const int Records = 300_000;
        await using (var file = new StreamWriter(Path.Combine(_folder, "large.csv")))
        {
            await file.WriteAsync("name,lat,lon,more\n");
            for (var i = 0; i < Records; i++)
            {
                await file.WriteAsync(string.Create(CultureInfo.InvariantCulture, $"Place {i},{i / 10_000},{i % 10_000 / 100.0},\"{i} and so on and so on\"\n"));
            }
        }

        // In hexadecimal: 24 MB for all objects of the program.
        var limited = new Dictionary<string, string>(Environment) { ["DOTNET_GCHeapHardLimit"] = "1800000" };
        (await Command.RunServiceAsync(["import", "large.csv"], limited, _folder)).AssertSuccess();

        var export = (await Command.RunServiceAsync(["export", "large.geojson"], limited, _folder)).AssertSuccess();

        Assert.StartsWith($"Exported {Records} features", export.Output);
        Assert.Contains($"Imported {Records} records", (await Command.RunServiceAsync(["import", "large.geojson"], limited, _folder)).AssertSuccess().Output);
    }

    [Theory]
    [InlineData("geojson")]
    [InlineData("geojsonl")]
    [InlineData("csv", "-oo", "X_POSSIBLE_NAMES=longitude", "-oo", "Y_POSSIBLE_NAMES=latitude")]
    public async Task GDAL_reads_an_export(string format, params string[] options)
    {
        Assert.SkipUnless(File.Exists(Ogr), "ogr2ogr is missing: apt-get install gdal-bin");
        await ImportAsync(Places);
        (await RunAsync("export", $"places.{format}")).AssertSuccess();

        // Of GDAL's own GeoJSON, its coordinates and the names.
        var converted = (await Command.RunAsync(Ogr, [.. options, "-f", "GeoJSON", "/vsistdout/", $"places.{format}"], folder: _folder)).AssertSuccess();

        using var document = JsonDocument.Parse(converted.Output);
        var features = document.RootElement.GetProperty("features").EnumerateArray().Select(static feature => (
            feature.GetProperty("geometry").GetProperty("coordinates").EnumerateArray().Select(static degrees => degrees.GetDouble()).ToArray(),
            feature.GetProperty("properties").GetProperty("name").GetString())).ToList();
        Assert.Equal(3, features.Count);
        var city = Assert.Single(features, static feature => feature.Item2 == "Łódź \"city\", PL");
        Assert.Equal([19.456, 51.75919], city.Item1);
        Assert.Contains(features, static feature => feature.Item1 is [-180, 90] && feature.Item2 is "" or null);
        Assert.Contains(features, feature => feature.Item2 == (format == "csv" ? "two\nlines" : "its own"));
        if (format != "csv")
        {
            (await RunAsync("import", await FileAsync(converted.Output, "gdal.geojson"), "--replace")).AssertSuccess();
            Assert.Contains("""{"name":"Łódź \"city\", PL","height":61.5,""", await ExportAsync("geojsonl"));
        }
    }

    private Dictionary<string, string> Environment => new(RunningService.Environment) { ["RouteService__Sqlite__Path"] = Path.Combine(_folder, "store.db") };

    private async Task ImportAsync(string text) => (await RunAsync("import", await FileAsync(text))).AssertSuccess();

    private async Task<string> ExportAsync(string format)
    {
        var export = (await RunAsync("export", "--format", format)).AssertSuccess();
        Assert.StartsWith("Exported ", export.Error);
        return export.Output.Trim();
    }

    private async Task<string> FileAsync(string text, string name = "places.in")
    {
        await File.WriteAllTextAsync(Path.Combine(_folder, name), text);
        return name;
    }

    private Task<Command> RunAsync(params string[] arguments) => Command.RunServiceAsync(arguments, Environment, _folder);
}
