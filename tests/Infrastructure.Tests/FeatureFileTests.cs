using System.Text;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Import;

namespace RouteService.Infrastructure.Tests;

public sealed class FeatureFileTests : IDisposable
{
    private static readonly Feature Princeton = new(new Coordinate(403_487_200, -746_590_500), "Princeton, NJ");
    private static readonly Feature Unnamed = new(new Coordinate(-1, 2), "");

    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("""[{"location":{"latitude":403487200,"longitude":-746590500},"name":"Princeton, NJ"},{"location":{"latitude":-1,"longitude":2},"name":""}]""")]
    [InlineData("""
        [{
        "name": "Princeton, NJ", "more": {"location": [1, {"name": "x"}]}, "location": {"longitude": -746590500, "latitude": 403487200}
        } , {"location": {"latitude": -1, "longitude": 2}}
        ]
        """)]
    [InlineData("\uFEFF" + """[{"location":{"latitude":403487200,"longitude":-746590500},"name":"Princeton, NJ"},{"location":{"latitude":-1,"longitude":2},"name":null}]""")]
    [InlineData("""
        {"type":"FeatureCollection","bbox":[1,2,3,4],"features":[
        {"type":"Feature","geometry":{"type":"Point","coordinates":[-74.65905,40.34872]},"properties":{"name":"Princeton, NJ","population":30728}},
        {"type":"Feature","geometry":{"type":"Point","coordinates":[2e-7,-1e-7,12.5]},"properties":null}
        ],"after":{"features":[1]}}
        """)]
    [InlineData("name,latitude,longitude\n\"Princeton, NJ\",40.34872,-74.65905\n,-0.0000001,0.0000002\n")]
    [InlineData("\uFEFFid,Longitude , LATITUDE,name\r\n1,-74.65905,40.34872,\"Princeton, NJ\"\r\n\r\n2,2e-7,-1e-7,\"\"")]
    public async Task Every_format_gives_the_same_features(string text) => Assert.Equal([Princeton, Unnamed], await ReadAsync(text));

    [Theory]
    [InlineData("[]")]
    [InlineData(" \n[ ] ")]
    [InlineData("{\"features\":[]}")]
    [InlineData("name,latitude,longitude\n")]
    public async Task A_file_without_records_has_no_features(string text) => Assert.Empty(await ReadAsync(text));

    [Fact]
    public async Task Names_are_any_Unicode()
    {
        const string name = "Zürich – 東京 👩‍🚀 \"x\", \r\n y";
        var json = $$"""[{"location":{"latitude":0,"longitude":0},"name":{{System.Text.Json.JsonSerializer.Serialize(name)}}}]""";
        var csv = $"name,latitude,longitude\n\"{name.Replace("\"", "\"\"")}\",0,0\n";

        Assert.Equal(name, Assert.Single(await ReadAsync(json)).Name);
        Assert.Equal(name, Assert.Single(await ReadAsync(csv)).Name);
    }

    [Theory]
    [InlineData("""[{"location":{"latitude":1,"longitude":2}},{"location":{"latitude":900000001,"longitude":2}}]""", "record 2: location.latitude is 900000001; a whole number within ±900000000 is wanted")]
    [InlineData("""[{"location":{"latitude":1,"longitude":-1800000001}}]""", "record 1: location.longitude is -1800000001; a whole number within ±1800000000")]
    [InlineData("""[{"location":{"latitude":40.5,"longitude":2}}]""", "record 1: location.latitude is 40.5; a whole number")]
    [InlineData("""[{"location":{"latitude":"40","longitude":2}}]""", "record 1: location.latitude is \"40\"; a whole number")]
    [InlineData("""[{"location":7}]""", "record 1: location is 7; an object")]
    [InlineData("[{\"location\":[\n1,\n2\n]}]", "record 1: location is [ 1, 2 ]; an object {\"latitude\":E7,\"longitude\":E7} is wanted")]
    [InlineData("""[{"location":{"latitude":1,"lng":2}}]""", "record 1: location is {\"latitude\":1,\"lng\":2}; an object")]
    [InlineData("""[{"\ud800":1,"location":{"latitude":1,"longitude":2}}]""", "record 1: it has a text that is not valid Unicode")]
    [InlineData("""{"\ud800fortytwo":1,"features":[{"geometry":{"type":"\ud800","coordinates":[1,2]}}]}""", "it has a text that is not valid Unicode")]
    [InlineData("""[{"name":"nowhere"}]""", "record 1: location is missing")]
    [InlineData("""[1]""", "record 1: location is missing")]
    [InlineData("""[{"location":{"latitude":1,"longitude":2},"name":5}]""", "record 1: name is 5; a string is wanted")]
    [InlineData("""[{"location":{"latitude":1,"longitude":2},"name":"a\u0000b"}]""", "record 1: name has a NUL character")]
    [InlineData("""[{"location":{"latitude":1,"longitude":2},"name":"\ud800"}]""", "record 1: name is not valid Unicode")]
    [InlineData("""[{"location":{"latitude":1,"longitude":2}},""", "record 1: it is not valid JSON near line 1")]
    [InlineData("""[{"location":{"latitude":1,""", "it is not valid JSON near line 1")]
    [InlineData("[{\n\"location\":{\"latitude\":1,\"longitude\":2}}\n{}]", "record 1: it is not valid JSON near line 3")]
    [InlineData("""{"type":"Feature"}""", "there is no array of features. Wanted is")]
    [InlineData("""{"features":[{"geometry":{"type":"LineString","coordinates":[[1,2],[3,4]]}}]}""", "record 1: geometry is no point")]
    [InlineData("""{"features":[{"geometry":{"type":"Point","coordinates":[40,-100]}}]}""", "record 1: the latitude is -100; a number within ±90 is wanted")]
    [InlineData("name,lat,lon\nx,1,2\n", "the header 'name,lat,lon' has no column latitude")]
    [InlineData("name,latitude,longitude\nx,1,2\ny,95.2,2\n", "record 2 (line 3): latitude is '95.2'; a number within ±90 is wanted")]
    [InlineData("name,latitude,longitude\nx,NaN,2\n", "record 1 (line 2): latitude is 'NaN'")]
    [InlineData("name,latitude,longitude\nx,1\n", "record 1 (line 2): it has 2 fields; the header has 3")]
    [InlineData("name,latitude,longitude\n\"x\ny\",1,2\nz,1,\n", "record 2 (line 4): longitude is ''")]
    [InlineData("name,latitude,longitude\n\"x,1,2\n", "record 1 (line 2): a quote is not closed")]
    [InlineData("name,latitude,longitude\n\"x\"y,1,2\n", "record 1 (line 2): a field goes on after its closing quote")]
    [InlineData("\r\nname,latitude,longitude\n\n\r\n\nx,1,\"2\n00\"\n", "record 1 (line 6): longitude is '2 00'; a number")]
    [InlineData("name;latitude;longitude\nx;1;2\n", "the header 'name;latitude;longitude' has no column name")]
    [InlineData("\n\n", "there is no header")]
    [InlineData("   ", "has no column name")]
    public async Task What_is_wrong_is_told_with_its_place(string text, string complaint)
    {
        var error = await Assert.ThrowsAsync<FeatureFileException>(() => ReadAsync(text));

        Assert.StartsWith("places.txt", error.Message);
        Assert.Contains(complaint, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [InlineData("[{\"location\":{\"latitude\":1,\"longitude\":2},\"name\":\"", "\"}]")]
    [InlineData("name,latitude,longitude\n", ",1,2\n")]
    public async Task Bytes_that_are_no_UTF8_are_told(string before, string after)
    {
        var error = await Assert.ThrowsAsync<FeatureFileException>(
            () => ReadAsync([.. Encoding.UTF8.GetBytes(before), 0xFF, 0xFE, .. Encoding.UTF8.GetBytes(after)]));

        Assert.StartsWith("places.txt, record", error.Message);
    }

    [Fact]
    public async Task An_empty_file_is_told() =>
        Assert.Contains("is empty", (await Assert.ThrowsAsync<FeatureFileException>(() => ReadAsync(""))).Message);

    [Theory]
    [InlineData("[{\"location\":\"", "\"}]")]
    [InlineData("name,latitude,longitude\nx,", ",0\n")]
    [InlineData("", ",latitude\n")]
    public async Task A_long_wrong_value_makes_no_long_message(string before, string after)
    {
        var error = await Assert.ThrowsAsync<FeatureFileException>(() => ReadAsync(before + new string('x', 100_000) + after));

        Assert.InRange(error.Message.Length, 1, 500);
    }

    [Theory]
    [InlineData("""[{"location":{}},{"location":{"longitude":5}},{"location":{"latitude":7}}]""")]
    public async Task A_zero_may_be_left_out_as_protobuf_writes_it(string text) =>
        Assert.Equal([new(0, 0), new(0, 5), new Coordinate(7, 0)], (await ReadAsync(text)).Select(feature => feature.Location));

    [Fact]
    public void What_is_no_regular_file_is_told() =>
        Assert.Contains("a regular file is wanted", Assert.Throws<FeatureFileException>(() =>
        {
            using var pipe = new System.IO.Pipes.AnonymousPipeServerStream();
            FeatureFile.Open($"/dev/fd/{pipe.SafePipeHandle.DangerousGetHandle()}");
        }).Message);

    [Fact]
    public void A_file_that_is_not_there_is_told() =>
        Assert.Contains("cannot be read", Assert.Throws<FeatureFileException>(() => FeatureFile.Open(Path.Combine(_folder, "none.json"))).Message);

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    public async Task Records_are_whole_wherever_the_reads_of_the_file_end(int seed)
    {
        var chance = new Random(seed);
        var features = Enumerable.Range(0, 5_000).Select(i => new Feature(new Coordinate(i, -i), new string('é', chance.Next(200)))).ToList();
        var json = new StringBuilder("[");
        var csv = new StringBuilder("name,latitude,longitude\n");
        foreach (var feature in features)
        {
            json.Append(json.Length == 1 ? "" : ",").Append(FormattableString.Invariant(
                $$"""{"location":{"latitude":{{feature.Location.LatitudeE7}},"longitude":{{feature.Location.LongitudeE7}}},"name":"{{feature.Name}}"}"""));
            csv.Append(FormattableString.Invariant($"\"{feature.Name}\",{feature.Location.LatitudeDegrees:R},{feature.Location.LongitudeDegrees:R}\n"));
        }

        Assert.Equal(features, await ReadAsync(json.Append(']').ToString()));
        Assert.Equal(features, await ReadAsync(csv.ToString()));
    }

    [Fact]
    public async Task How_far_it_has_read_is_known()
    {
        var path = Path.Combine(_folder, "places.csv");
        await File.WriteAllTextAsync(path, "name,latitude,longitude\nx,1,2\n");
        using var file = FeatureFile.Open(path);
        Assert.Equal(0, file.Position);

        await file.ReadAllAsync(default).CountAsync();

        Assert.Equal(file.Length, file.Position);
    }

    [Fact]
    public async Task The_sample_places_are_thousands_with_New_Jersey_among_them()
    {
        var places = await SamplePlaces.ReadAllAsync().ToListAsync();

        Assert.True(places.Count > 3_000);
        Assert.Equal(places.Count, places.Select(place => place.Location).Distinct().Count());
        Assert.Contains(new Feature(new Coordinate(403_487_200, -746_590_500), "Princeton, New Jersey, US"), places);
        Assert.True(places.Count(place => place.Name.EndsWith(", New Jersey, US")) > 500);
    }

    private Task<List<Feature>> ReadAsync(string text) => ReadAsync(Encoding.UTF8.GetBytes(text));

    private async Task<List<Feature>> ReadAsync(byte[] bytes)
    {
        var path = Path.Combine(_folder, "places.txt");
        await File.WriteAllBytesAsync(path, bytes);
        using var file = FeatureFile.Open(path);
        return await file.ReadAllAsync(default).ToListAsync();
    }
}
