using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;
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
    [InlineData("""
        {"type":"Feature","geometry":{"type":"Point","coordinates":[-74.65905,40.34872]},"properties":{"name":"Princeton, NJ"}}

        {"type":"Feature","id":null,"geometry":{"type":"MultiPoint","coordinates":[[2e-7,-1e-7,12.5]]},"properties":[]}
        """)]
    [InlineData("\u001E" + """{"type":"Feature","geometry":{"type":"Point","coordinates":[-74.65905,40.34872]},"properties":{"name":"Princeton, NJ"}}""" + "\n\u001E"
        + """{"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"Point","coordinates":[2e-7,-1e-7]}}]}""" + "\n")]
    [InlineData("""
        {"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"Point","coordinates":[-74.65905,40.34872]},"properties":{"name":"Princeton, NJ"}}]}
        {"type":"Feature","geometry":{"type":"Point","coordinates":[2e-7,-1e-7]},"properties":null}
        """)]
    [InlineData("""
        [{"type":"Feature","geometry":{"type":"Point","coordinates":[-74.65905,40.34872]},"properties":{"Title":"Princeton, NJ","NAME":null}},
        {"location":{"latitude":-1,"longitude":2}}]
        """)]
    [InlineData("Title\tX\tY\nPrinceton, NJ\t-74.65905\t40.34872\n\t2e-7\t-1e-7\n")]
    [InlineData("name;LAT;lng\r\nPrinceton, NJ;40,34872;-74.65905\r\n;-0,0000001;2e-7")]
    [InlineData("sep=;\nname;lat;lon\nPrinceton, NJ;40.34872;-74,65905\n\"\";-1e-7;2e-7\n")]
    [InlineData("name,lat,long\r\"Princeton, NJ\",40.34872,-74.65905\r,-1e-7,2e-7\r")]
    [InlineData("x,y,name,latitude,longitude\n583960,4507523,\"Princeton, NJ\",40.34872,-74.65905\n1,1,,-1e-7,2e-7\n")]
    [InlineData("name,latitude,longitude\n\"Princeton, NJ\",40.34872,-74.65905\n,-0.0000001,0.0000002\n")]
    [InlineData("\uFEFFid,Longitude , LATITUDE,name\r\n1,-74.65905,40.34872,\"Princeton, NJ\"\r\n\r\n2,2e-7,-1e-7,\"\"")]
    public void Every_format_gives_the_same_features(string text) => Assert.Equal([Princeton, Unnamed], Read(text));

    [Theory]
    [InlineData("[]")]
    [InlineData(" \n[ ] ")]
    [InlineData("{\"features\":[]}")]
    [InlineData("name,latitude,longitude\n")]
    [InlineData("name;latitude;longitude")]
    public void A_file_without_records_has_no_features(string text) => Assert.Empty(Read(text));

    [Theory]
    [InlineData("utf-16", true)]
    [InlineData("utf-16BE", true)]
    [InlineData("utf-16", false)]
    [InlineData("utf-16BE", false)]
    [InlineData("utf-8", true)]
    public void Text_is_UTF_8_or_UTF_16_and_may_have_a_mark(string name, bool hasMark)
    {
        var encoding = Encoding.GetEncoding(name);
        foreach (var text in (string[])["name,lat,lon\nZürich 東京,1,2\n", """[{"location":{"latitude":10000000,"longitude":20000000},"name":"Zürich 東京"}]"""])
        {
            byte[] bytes = [.. hasMark ? encoding.GetPreamble() : [], .. encoding.GetBytes(text)];

            Assert.Equal([new Feature(new Coordinate(10_000_000, 20_000_000), "Zürich 東京")], Read(bytes));
        }
    }

    [Fact]
    public void A_name_is_any_Unicode()
    {
        const string name = "Zürich – 東京 👩‍🚀 \"x\", \r\n y";
        var json = $$"""[{"location":{"latitude":0,"longitude":0},"name":{{System.Text.Json.JsonSerializer.Serialize(name)}}}]""";
        var csv = $"name,latitude,longitude\n\"{name.Replace("\"", "\"\"")}\",0,0\n";

        Assert.Equal(name, Assert.Single(Read(json)).Name);
        Assert.Equal(name, Assert.Single(Read(csv)).Name);
    }

    [Theory]
    [InlineData("""{"NAME":"Alpha"}""", "Alpha")]
    [InlineData("""{"Name":"Alpha"}""", "Alpha")]
    [InlineData("""{"TITLE":"Alpha","other":"x"}""", "Alpha")]
    [InlineData("""{"title":"x","Name":"Alpha"}""", "Alpha")]
    [InlineData("""{"NAME":"x","name":"Alpha"}""", "Alpha")]
    [InlineData("""{"name":null,"title":"Alpha"}""", "Alpha")]
    [InlineData("""{"name":7}""", "7")]
    [InlineData("""{"name":-7.50e3}""", "-7.50e3")]
    [InlineData("""{"x":{"name":"inner"}}""", "")]
    [InlineData("null", "")]
    public void The_name_of_GeoJSON_is_a_property_in_any_case(string properties, string name) => Assert.Equal(
        name, Assert.Single(Read($$"""{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]},"properties":{{properties}}}""")).Name);

    [Theory]
    [InlineData("""{"name":"a"}""", "{}")]
    [InlineData("""{"name":"a","b":1.50,"a":{"y":[true,null],"x":"\u00e9"}}""", """{"a":{"x":"é","y":[true,null]},"b":1.5}""")]
    [InlineData("""{"name":"a","Name":"b","title":"c"}""", """{"Name":"b","title":"c"}""")]
    [InlineData("""{"Title":"a","name":null}""", """{"name":null}""")]
    [InlineData("""{"TITLE":7,"b":2}""", """{"b":2}""")]
    [InlineData("""{"n\u0061me":"a","\u0062":"\""}""", """{"b":"\""}""")]
    [InlineData("[]", "{}")]
    [InlineData("null", "{}")]
    public void Properties_of_GeoJSON_are_kept_but_for_the_name(string properties, string kept)
    {
        Assert.Equal(kept, Assert.Single(ReadContents(
            $$"""{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]},"properties":{{properties}}}""")).Properties.Json);
        Assert.Equal(kept, Assert.Single(ReadContents(
            $$"""{"features":[{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]},"properties":{{properties}}}]}""")).Properties.Json);
    }

    [Fact]
    public void A_name_beside_the_properties_leaves_them_whole()
    {
        var feature = Assert.Single(ReadContents(
            """{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]},"display_name":"a","properties":{"name":"b"}}"""));

        Assert.Equal(("a", """{"name":"b"}"""), (feature.Name, feature.Properties.Json));
    }

    [Theory]
    [InlineData(""" "id":"n/1","properties":{"name":"a"} """, """{"id":"n/1"}""")]
    [InlineData(""" "id":17 """, """{"id":17}""")]
    [InlineData(""" "id":17,"properties":{"id":"its own"} """, """{"id":"its own"}""")]
    [InlineData(""" "id":17,"properties":{"id":null,"b":1} """, """{"b":1,"id":null}""")]
    [InlineData(""" "id":null,"properties":null """, "{}")]
    [InlineData(""" "id":9223372036854775807 """, """{"id":"9223372036854775807"}""")]
    [InlineData(""" "id":"\u0000","properties":{"b":1} """, """{"b":1}""")]
    [InlineData(""" "id":1,"id":2 """, """{"id":2}""")]
    public void The_id_of_a_feature_is_kept_as_a_property(string members, string kept) => Assert.Equal(
        kept, Assert.Single(ReadContents($$"""{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]},{{members}}}""")).Properties.Json);

    [Theory]
    [InlineData("name,lat,lon,a,b\nx,1,2,3,\n", """{"a":"3"}""")]
    [InlineData("name,lat,lon,a,b\nx,1,2,,\n", "{}")]
    [InlineData("name;lat;lon; a ;Name;;a\nx;1;2; 3 ;y;z;4\n", """{"Name":"y","a":" 3 "}""")]
    [InlineData("title,name,lat,lon,x\nt,n,1,2,5\n", """{"title":"t","x":"5"}""")]
    [InlineData("name,lat,lon,properties,a\nx,1,2,\"{\"\"b\"\":[1]}\",c\n", """{"a":"c","b":[1]}""")]
    [InlineData("name,lat,lon,properties\nx,1,2,\n", "{}")]
    public void Other_columns_of_CSV_are_properties(string text, string kept) => Assert.Equal(
        kept, Assert.Single(ReadContents(text)).Properties.Json);

    [Theory]
    [InlineData("""{"a":{"b":[1,9007199254740993]}}""", "properties: a.b[1] is an integer that a double does not hold; expected at most 9007199254740992, or a string")]
    [InlineData("""{"a":"x\u0000"}""", "properties: a has the character U+0000 at index 1")]
    [InlineData("""{"a":1,"a":2}""", "properties: a comes twice")]
    [InlineData("""{"a":1e999}""", "properties: a is a number beyond")]
    public void Properties_that_cannot_be_kept_are_told_with_their_place(string properties, string complaint)
    {
        var good = """{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]},"properties":{"a":1}}""";
        var lines = $"{good}\n{good.Replace("""{"a":1}""", properties)}\n";

        Assert.Contains($"places.txt, record 2 (line 2): {complaint}", Refusal(lines));
        using var file = Open(Encoding.UTF8.GetBytes(lines));
        Assert.Single(file.ReadAll(skipInvalid: true));
        Assert.Equal(("properties", 1), (file.Skipped.Single().Subject, file.Skipped.Single().Count));
        Assert.Contains(complaint, Refusal($"name,lat,lon,properties\nx,1,2,\"{properties.Replace("\"", "\"\"")}\"\n"));
    }

    [Theory]
    [InlineData("name,lat,lon,properties\nx,1,2,text\n", "record 1 (line 2): properties: The object is not JSON")]
    [InlineData("name,lat,lon,properties\nx,1,2,[1]\n", "record 1 (line 2): properties: The object is a list; expected an object of JSON")]
    [InlineData("name,lat,lon,properties,a\nx,1,2,\"{\"\"a\"\":1}\",2\n", "record 1 (line 2): properties: 'a' is in the column properties and a column of its own")]
    [InlineData("name,lat,lon,a\nx,1,2,a\0b\n", "record 1 (line 2): properties: a has the character U+0000 at index 1")]
    public void Columns_that_cannot_be_properties_are_told(string text, string complaint) => Assert.Contains(complaint, Refusal(text));

    [Fact]
    public void Properties_that_are_too_large_are_told() => Assert.Contains(
        "record 1 (line 2): properties: The object has 70008 bytes as JSON; expected at most 65536", Refusal($"name,lat,lon,a\nx,1,2,{new string('x', 70_000)}\n"));

    [Theory]
    [InlineData("5\" gun", "5\" gun")]
    [InlineData(" a ", " a ")]
    [InlineData("\"\"\"a\"\"\"", "\"a\"")]
    [InlineData("\"two\nlines\"", "two\nlines")]
    [InlineData("7", "7")]
    public void A_field_of_CSV_is_text(string field, string name)
    {
        var features = Read($"name,lat,lon\n{field},1,2\n{field},3,4\n").ToList();

        Assert.Equal([name, name], features.Select(feature => feature.Name));
    }

    [Theory]
    [InlineData("90", "180", 900_000_000, 1_800_000_000)]
    [InlineData("-90", "-180", -900_000_000, -1_800_000_000)]
    [InlineData("90.00000000000001", "180.00000000000003", 900_000_000, 1_800_000_000)]
    [InlineData("-90.00000000000001", "-180.00000004", -900_000_000, -1_800_000_000)]
    public void The_edges_of_the_world_are_in_it_as_rounded(string latitude, string longitude, int latitudeE7, int longitudeE7)
    {
        foreach (var text in InDegrees(latitude, longitude).Append($$$"""[{"location":{"latitude":{{{latitudeE7}}},"longitude":{{{longitudeE7}}}}}]"""))
        {
            Assert.Equal(new Coordinate(latitudeE7, longitudeE7), Assert.Single(Read(text)).Location);
        }
    }

    [Theory]
    [InlineData("90.0000001", "0", "latitude is 90.0000001; expected a number from -90 to 90")]
    [InlineData("-90.0000001", "0", "latitude is -90.0000001; expected")]
    [InlineData("0", "180.0000001", "longitude is 180.0000001; expected a number from -180 to 180")]
    [InlineData("0", "-180.0000001", "longitude is -180.0000001; expected")]
    [InlineData("1e999", "0", "latitude is Infinity; expected")]
    public void Beyond_the_edges_a_record_is_invalid(string latitude, string longitude, string complaint)
    {
        foreach (var text in InDegrees(latitude, longitude))
        {
            Assert.Contains($"record 1 (line {(text[0] == 'n' ? 2 : 1)}): {complaint}", Refusal(text));
        }
    }

    [Theory]
    [InlineData("""[{"location":{"latitude":1,"longitude":2}},""" + "\n" + """{"location":{"latitude":900000001,"longitude":2}}]""", "record 2 (line 2): location is {\"latitude\":900000001,\"longitude\":2}; expected {\"latitude\":E7,\"longitude\":E7}: integers")]
    [InlineData("""[{"location":{"latitude":1,"longitude":-1800000001}}]""", "record 1 (line 1): location is {\"latitude\":1,\"longitude\":-1800000001}; expected")]
    [InlineData("""[{"location":{"latitude":40.5,"longitude":2}}]""", "record 1 (line 1): location is {\"latitude\":40.5")]
    [InlineData("""[{"location":{"latitude":"40","longitude":2}}]""", "record 1 (line 1): location is {\"latitude\":\"40\"")]
    [InlineData("""[{"location":7}]""", "record 1 (line 1): location is 7; expected")]
    [InlineData("""[{"location":null}]""", "record 1 (line 1): location is null; expected")]
    [InlineData("[\n\n{\"location\":[\n1,\n2\n]}]", "record 1 (line 3): location is [ 1, 2 ]; expected {\"latitude\":E7,\"longitude\":E7}")]
    [InlineData("""[{"location":{"latitude":1,"lng":2}}]""", "record 1 (line 1): location is {\"latitude\":1,\"lng\":2}; expected")]
    [InlineData("""[{"\ud800":1,"location":{"latitude":1,"longitude":2}}]""", "record 1 (line 1): it has text that is not valid Unicode")]
    [InlineData("""{"\ud800fortytwo":1,"features":[{"geometry":{"type":"\ud800","coordinates":[1,2]}}]}""", "it has text that is not valid Unicode")]
    [InlineData("""[{"name":"nowhere"}]""", "record 1 (line 1): location is missing. Expected GeoJSON points")]
    [InlineData("""[1]""", "record 1 (line 1): it is 1; expected an object")]
    [InlineData("""{"type":"Topology"}""", "record 1 (line 1): location is missing. Expected GeoJSON points")]
    [InlineData("""[{"location":{"latitude":1,"longitude":2},"name":true}]""", "record 1 (line 1): name is true; expected a string or a number")]
    [InlineData("""[{"location":{"latitude":1,"longitude":2},"name":"a\u0000b"}]""", "record 1 (line 1): name has the character U+0000 at index 1; expected text without it")]
    [InlineData("name,lat,lon\na\0b,1,2\n", "record 1 (line 2): name has the character U+0000 at index 1; expected text without it")]
    [InlineData("""[{"location":{"latitude":1,"longitude":2},"name":"\ud800"}]""", "record 1 (line 1): it has text that is not valid Unicode")]
    [InlineData("""[{"location":{"latitude":1,"longitude":2}},""", "record 2 (line 1): it is not valid JSON")]
    [InlineData("""[{"location":{"latitude":1,""", "record 1 (line 1): it is not valid JSON")]
    [InlineData("[{\n\"location\":{\"latitude\":1,\"longitude\":2}}\n{}]", "record 2 (line 3): it is not valid JSON")]
    [InlineData("""{"features":[{"geometry":{"type":"LineString","coordinates":[[1,2],[3,4]]}}]}""", "record 1 (line 1): geometry is a LineString; expected {\"type\":\"Point\",\"coordinates\":[longitude, latitude]}")]
    [InlineData("""{"features":[{"geometry":{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}}]}""", "geometry is a MultiPoint; expected")]
    [InlineData("""{"features":[{"geometry":{"type":"GeometryCollection","geometries":[]}}]}""", "geometry is an empty GeometryCollection; expected")]
    [InlineData("""{"features":[{"geometry":{"type":"Point","coordinates":[]}}]}""", "geometry is an empty Point; expected")]
    [InlineData("""{"features":[{"geometry":{"type":"Point","coordinates":[1]}}]}""", "geometry is {\"type\":\"Point\",\"coordinates\":[1]}; expected")]
    [InlineData("""{"features":[{"geometry":{"type":"Point","coordinates":["1",2]}}]}""", "geometry is {\"type\":\"Point\",\"coordinates\":[\"1\",2]}; expected")]
    [InlineData("""{"features":[{"geometry":{"type":"Circle","coordinates":[1,2]}}]}""", "geometry is {\"type\":\"Circle\"")]
    [InlineData("""{"features":[{"geometry":null}]}""", "record 1 (line 1): geometry is null; expected")]
    [InlineData("""{"type":"Feature","properties":{}}""", "record 1 (line 1): geometry is null; expected")]
    [InlineData("""{"features":[{"geometry":{"type":"Point","coordinates":[40,-100]}}]}""", "latitude is -100; expected a number from -90 to 90 (degrees; GeoJSON has the longitude first)")]
    [InlineData("name,north,east\nx,1,2\n", "the header 'name,north,east' has no column latitude or lat or y. Expected GeoJSON points")]
    [InlineData("label,lat,lon\nx,1,2\n", "the header 'label,lat,lon' has no column name or title")]
    [InlineData("name,latitude,longitude\nx,1,2\ny,95.2,2\n", "record 2 (line 3): latitude is 95.2; expected a number from -90 to 90")]
    [InlineData("name,latitude,longitude\nx,NaN,2\n", "record 1 (line 2): latitude is NaN; expected")]
    [InlineData("name,latitude,longitude\nx,(5),2\n", "record 1 (line 2): latitude is '(5)'; expected a number")]
    [InlineData("name,latitude,longitude\nx,\"40,1\",2\n", "record 1 (line 2): latitude is '40,1'; expected a number")]
    [InlineData("name;latitude;longitude\nx;1.234,5;2\n", "record 1 (line 2): latitude is '1.234,5'; expected a number")]
    [InlineData("name,latitude,longitude\nx,1\n", "record 1 (line 2): it has 2 fields; the header has 3")]
    [InlineData("name,latitude,longitude\nx,1,2,3\n", "record 1 (line 2): it has 4 fields; the header has 3")]
    [InlineData("name,latitude,longitude\n\"x\ny\",1,2\nz,1,\n", "record 2 (line 4): longitude is ''; expected")]
    [InlineData("name,latitude,longitude\n\"x,1,2\n", "record 1 (line 2): a quote is not closed")]
    [InlineData("name,latitude,longitude,more\nx,1,2,\"y\nz,3,4,\n", "record 1 (line 2): a quote is not closed")]
    [InlineData("name,latitude,longitude\n\"x\"y,1,2\n", "record 1 (line 2): a quote is not closed, or text follows a closing quote")]
    [InlineData("\r\nname,latitude,longitude\n\n\r\n\nx,1,\"2\n00\"\n", "record 1 (line 6): longitude is '2 00'; expected a number")]
    [InlineData("\n\n", "has no column")]
    [InlineData("   ", "has no column")]
    public void A_refusal_gives_record_line_and_reason(string text, string complaint) => Assert.Contains(complaint, Refusal(text));

    [Theory]
    [InlineData("""{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"EPSG:3857"}},"features":[POINT]}""", "EPSG:3857")]
    [InlineData("""{"type":"FeatureCollection","features":[POINT],"crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::3857"}}}""", "urn:ogc:def:crs:EPSG::3857")]
    [InlineData("""{"type":"FeatureCollection","features":[],"crs":{"type":"EPSG","properties":{"code":31467}}}""", "31467")]
    [InlineData("""{"type":"Feature","crs":{"type":"link","properties":{"href":"http://example.org/crs/42"}},"geometry":{"type":"Point","coordinates":[1,2]}}""", "http://example.org/crs/42")]
    [InlineData("""[{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2],"crs":{"type":"name","properties":{"name":"EPSG:4258"}}}}]""", "EPSG:4258")]
    [InlineData("""{"crs":"EPSG:3857","features":[POINT]}""", "EPSG:3857")]
    public void A_file_in_another_CRS_is_refused_with_its_name(string text, string crs)
    {
        text = text.Replace("POINT", """{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]}}""");

        Assert.Equal($"places.txt: its coordinate reference system is '{crs}'; expected WGS 84 in degrees (OGC:CRS84 or EPSG:4326)", Refusal(text));
        Assert.Equal(Refusal(text), Refusal(text, skipInvalid: true));
    }

    [Theory]
    [InlineData("""{"type":"name","properties":{"name":"urn:ogc:def:crs:OGC:1.3:CRS84"}}""")]
    [InlineData("""{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::4326"}}""")]
    [InlineData("""{"type":"name","properties":{"name":"EPSG:4326"}}""")]
    [InlineData("""{"type":"link","properties":{"href":"http://www.opengis.net/def/crs/OGC/1.3/CRS84"}}""")]
    [InlineData("null")]
    public void WGS_84_may_be_said(string crs) =>
        Assert.Single(Read($$$"""{"crs":{{{crs}}},"features":[{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]}}]}"""));

    [Theory]
    [InlineData("[{\"location\":{\"latitude\":1,\"longitude\":2},\"name\":\"", "\"}]", "record 1 (line 1): it has text that is not valid Unicode")]
    [InlineData("name,latitude,longitude\nx,1,2\n", ",1,2\n", "record 2 (line 3): name is not valid UTF-8; expected a file in UTF-8")]
    public void Bytes_that_are_no_UTF8_are_refused(string before, string after, string complaint) => Assert.Contains(
        complaint, Refusal([.. Encoding.UTF8.GetBytes(before), 0xE9, 0x2E, .. Encoding.UTF8.GetBytes(after)]));

    [Fact]
    public void Half_a_surrogate_pair_in_UTF_16_is_refused() => Assert.Contains(
        "here or soon after are bytes that are not text", Refusal([0xFF, 0xFE, .. Encoding.Unicode.GetBytes("name,lat,lon\n"), 0x00, 0xD8, .. Encoding.Unicode.GetBytes(",1,2\n")]));

    [Fact]
    public void Invalid_records_are_skipped_and_counted_by_what_is_invalid()
    {
        using var file = Open(Encoding.UTF8.GetBytes("""
            {"features":[
            {"geometry":{"type":"Point","coordinates":[1,2]},"properties":{"name":"a"}},
            {"geometry":null},
            {"geometry":{"type":"LineString","coordinates":[[1,2],[3,4]]}},
            {"geometry":{"type":"Point","coordinates":[1,200]}},
            {"geometry":{"type":"Point","coordinates":[1,2]},"properties":{"name":[]}},
            7,
            {"geometry":{"type":"Point","coordinates":[3,4]}}
            ]}
            """));

        Assert.Equal(["a", ""], file.ReadAll(skipInvalid: true).Select(feature => feature.Name));

        Assert.Equal((2, 1), (file.Features, file.Named));
        Assert.Equal([("geometry", 2), ("latitude", 1), ("name", 1), ("record", 1)], file.Skipped.Select(skipped => (skipped.Subject, skipped.Count)));
        Assert.StartsWith("places.txt, record 2 (line 3): geometry is null; ", file.Skipped.First().First);
    }

    [Fact]
    public void What_is_skipped_of_a_long_file_is_told_in_few_words()
    {
        using var file = Open(Encoding.UTF8.GetBytes(
            "name,lat,lon\n" + string.Concat(Enumerable.Range(0, 1_000).Select(i => $"{i},{i},1\n{i},x{i},1\n{i},1,{i}\n{i}\n"))));

        Assert.Equal(272, file.ReadAll(skipInvalid: true).Count());

        Assert.Equal([("latitude", 1_909), ("fields", 1_000), ("longitude", 819)], file.Skipped.Select(skipped => (skipped.Subject, skipped.Count)));
    }

    [Theory]
    [InlineData("[{\"location\":{}},", "record 2 (line 1): it is not valid JSON")]
    [InlineData("name,lat,lon\n\"x,1,2\n", "a quote is not closed")]
    public void What_makes_the_rest_unreadable_is_not_skipped(string text, string complaint) =>
        Assert.Contains(complaint, Refusal(text, skipInvalid: true));

    [Theory]
    [InlineData("places.csv", "name,latitude,longitude\n", "place,1,2\n", "")]
    [InlineData("places.geojsonl", "", """{"type":"Feature","geometry":{"type":"Point","coordinates":[2,1]}}""" + "\n", "")]
    [InlineData("places.json", "[", """{"location":{"latitude":1,"longitude":2}},""", """{"location":{"latitude":3,"longitude":4}}]""")]
    public void A_file_that_another_program_writes_meanwhile_is_refused(string name, string before, string record, string after)
    {
        const int Records = 20_000;
        var path = Path.Combine(_folder, name);
        foreach (var change in (Action[])[Cut, () => File.AppendAllText(path, record), Touch])
        {
            File.WriteAllText(path, before + string.Concat(Enumerable.Repeat(record, Records)) + after);
            using var file = FeatureFile.Open(path);
            using var features = file.ReadAll(skipInvalid: true).GetEnumerator();
            Assert.True(features.MoveNext());
            change();

            var refusal = Assert.Throws<FeatureFileException>(() =>
            {
                while (features.MoveNext())
                {
                }
            });

            Assert.True(change == Cut ? file.Features < Records : file.Features >= Records, refusal.Message);

            // The others are no JSON any more.
            if (change == Touch || after.Length == 0)
            {
                Assert.Equal($"{name}: it has changed while it was read; expected a file that no other program writes", refusal.Message);
            }
        }

        void Touch() => File.SetLastWriteTimeUtc(path, DateTime.UnixEpoch);

        // At the end of a record, so that what is left is a file of its own.
        void Cut()
        {
            using var file = File.Open(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
            file.SetLength(before.Length + (record.Length * (Records / 2L)));
        }
    }

    [Fact]
    public void An_empty_file_is_refused() =>
        Assert.Contains("is empty, or no regular file", Assert.Throws<FeatureFileException>(() => Read("")).Message);

    [Theory]
    [InlineData("[{\"location\":\"", "\"}]")]
    [InlineData("[{\"location\":{},\"name\":[\"", "\"]}]")]
    [InlineData("{\"crs\":\"", "\"}")]
    [InlineData("name,latitude,longitude\nx,", ",0\n")]
    [InlineData("", ",latitude\n")]
    public void A_long_wrong_value_makes_no_long_message(string before, string after) =>
        Assert.InRange(Refusal(before + string.Concat(Enumerable.Repeat("x👩", 30_000)) + after).Length, 1, 600);

    [Theory]
    [InlineData("[{\"location\":{},\"name\":\"", "\"}]", 17 << 20, "record 1 (line 1): the record is longer than 16777216 bytes")]
    [InlineData("name,lat,lon\nx,1,2\n", ",1,2\n", 5 << 20, "record 2 (line 3): it is not valid CSV")]
    [InlineData("name,lat,lon\nx,1,2\n\"", "", 5 << 20, "record 2 (line 3): it is not valid CSV")]
    public void A_record_without_an_end_is_refused_before_it_fills_the_memory(string before, string after, int length, string complaint) =>
        Assert.Contains(complaint, Refusal(before + new string('x', length) + after));

    [Fact]
    public void A_long_record_is_read()
    {
        var name = new string('x', 1_000_000);

        Assert.Equal(name, Read($$$"""[{"location":{},"name":"{{{name}}}"},{"location":{}}]""").First().Name);
        Assert.Equal(name, Read($"name,lat,lon\n{name},1,2\nx,1,2\n").First().Name);
    }

    [Theory]
    [InlineData("""[{"location":{}},{"location":{"longitude":5}},{"location":{"latitude":7}}]""")]
    public void A_zero_may_be_left_out_as_protobuf_writes_it(string text) =>
        Assert.Equal([new(0, 0), new(0, 5), new Coordinate(7, 0)], Read(text).Select(feature => feature.Location));

    [Fact]
    public void Gzip_is_decompressed_and_text_is_not_whatever_the_name_is()
    {
        byte[] bytes = [.. Compress("name,lat,lon\na,1,2\n"), .. Compress("b,3,4\n")];

        Assert.Equal(["a", "b"], Read(bytes, "places.csv.GZ").Select(feature => feature.Name));
        Assert.Equal(["a", "b"], Read(bytes, "places.csv").Select(feature => feature.Name));
        Assert.Equal("a", Assert.Single(Read("name,lat,lon\na,1,2\n"u8.ToArray(), "places.csv.gz")).Name);
        Assert.Equal("a", Assert.Single(Read(Compress("""{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]},"properties":{"name":"a"}}"""), "a.gz")).Name);
    }

    [Fact]
    public void A_compressed_file_that_is_damaged_or_cut_is_refused()
    {
        var whole = Compress("name,lat,lon\n" + string.Concat(Enumerable.Range(0, 50_000).Select(i => $"{i * 7_919 % 10_007},1,2\n")));
        byte[] damaged = [.. whole];
        damaged[whole.Length / 2] ^= 0xFF;
        foreach (var bytes in (byte[][])[whole[..(whole.Length / 2)], whole[..^30], whole[..^8], whole[..^1], damaged])
        {
            Assert.True(Record.Exception(() => Read(bytes, "places.csv.gz")) is FeatureFileException, $"{bytes.Length} of {whole.Length}");
        }
    }

    [Theory]
    [InlineData("x", 1)]
    [InlineData("b,3,4\n", 1)]
    [InlineData("\0", 1)]
    [InlineData("\0", 512)]
    [InlineData("garbage\n", 50_000)]
    public void What_follows_the_gzip_of_a_file_and_is_no_gzip_is_refused(string text, int times)
    {
        byte[] rest = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(text, times)));
        foreach (var (records, more) in (List<(string, string)>)[("name,lat,lon\na,1,2\n", "b,3,4\n"), ("""[{"location":{},"name":"a"}""", "]")])
        {
            byte[] members = [.. Compress(records), .. Compress(more)];

            Assert.NotEmpty(Read(members, "places.gz"));
            Assert.Contains("its gzip is followed by something else", Refusal([.. members, .. rest], "places.gz"));
        }
    }

    [Fact]
    public void A_compressed_file_that_is_cut_after_a_record_is_refused()
    {
        // Flushed after a record: what comes before the cut decompresses to whole lines.
        using var compressed = new MemoryStream();
        using var gzip = new GZipStream(compressed, CompressionLevel.Fastest);
        gzip.Write("name,lat,lon\na,1,2\n"u8);
        gzip.Flush();

        Assert.Contains("its gzip is damaged or cut off", Refusal(compressed.ToArray(), "places.csv.gz"));
    }

    [Theory]
    [InlineData("[{\"location\":{},\"name\":\"", "\"}]")]
    [InlineData("[{\"location\":{},\"name\":", "}]")]
    [InlineData("[{\"geometry\":{\"type\":\"Point\",\"coordinates\":[1,2]},\"properties\":{\"title\":\"", "\"}}]")]
    public void A_name_that_no_client_could_read_is_an_invalid_record(string before, string after)
    {
        Assert.Contains("name has 1048577 bytes of UTF-8; expected at most 1048576", Refusal(before + new string('1', (1 << 20) + 1) + after));
        Assert.Equal(1 << 20, Assert.Single(Read(before + new string('1', 1 << 20) + after)).Name.Length);
    }

    [Fact]
    public void What_is_no_regular_file_is_refused() =>
        Assert.Contains("expected a regular file", Assert.Throws<FeatureFileException>(() =>
        {
            using var pipe = new System.IO.Pipes.AnonymousPipeServerStream();
            FeatureFile.Open($"/dev/fd/{pipe.SafePipeHandle.DangerousGetHandle()}");
        }).Message);

    [Fact]
    public void A_file_that_is_missing_is_told() =>
        Assert.Contains("cannot be read", Assert.Throws<FeatureFileException>(() => FeatureFile.Open(Path.Combine(_folder, "none.json"))).Message);

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    public void Records_are_whole_wherever_the_reads_of_the_file_end(int seed)
    {
        var chance = new Random(seed);
        var features = Enumerable.Range(0, 5_000).Select(i => new Feature(new Coordinate(i, -i), new string('é', chance.Next(200)))).ToList();
        var tutorial = features.Select(feature => FormattableString.Invariant(
            $$"""{"location":{"latitude":{{feature.Location.LatitudeE7}},"longitude":{{feature.Location.LongitudeE7}}},"name":"{{feature.Name}}"}"""));
        var geoJson = features.Select(feature => FormattableString.Invariant(
            $$$"""{"geometry":{"type":"Point","coordinates":[{{{feature.Location.LongitudeDegrees:R}}},{{{feature.Location.LatitudeDegrees:R}}}]},"properties":{"name":"{{{feature.Name}}}"}}""")).ToList();
        var csv = features.Select(feature => FormattableString.Invariant(
            $"\"{feature.Name}\",{feature.Location.LatitudeDegrees:R},{feature.Location.LongitudeDegrees:R}\n"));

        Assert.Equal(features, Read($"[{string.Join(',', tutorial)}]"));
        Assert.Equal(features, Read($$"""{"features":[{{string.Join(",\n", geoJson)}}]}"""));
        Assert.Equal(features, Read(string.Join('\n', geoJson)));
        Assert.Equal(features, Read("name,latitude,longitude\n" + string.Concat(csv)));
    }

    [Fact]
    public void The_line_of_a_record_is_right_however_far_down_it_is()
    {
        var feature = """{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]},"properties":{"name":"some name"}}""";
        var before = string.Concat(Enumerable.Repeat(feature + "\n", 20_000));

        Assert.Contains("record 20001 (line 20002): geometry is null", Refusal(before + "\n" + """{"type":"Feature","geometry":null}"""));
        Assert.Contains("record 20001 (line 20001): it is not valid JSON", Refusal(before + """{"type":"Feature","geometry"}"""));
        Assert.Contains(
            "record 20001 (line 40002): latitude is 'x'", Refusal("name,lat,lon\n" + string.Concat(Enumerable.Repeat("\"a\nb\",1,2\n", 20_000)) + "a,x,2"));
    }

    /// <summary>
    /// Every run has a seed of its own and prints it; ROUTESERVICE_TEST_FUZZ_SEED brings a run back, ROUTESERVICE_TEST_FUZZ multiplies the
    /// number of files.
    /// </summary>
    [Fact]
    public void Whatever_the_bytes_are_a_file_is_read_or_refused()
    {
        var factor = Number("ROUTESERVICE_TEST_FUZZ") ?? 1;
        var seed = Number("ROUTESERVICE_TEST_FUZZ_SEED") ?? RandomNumberGenerator.GetInt32(int.MaxValue);
        TestContext.Current.TestOutputHelper!.WriteLine($"ROUTESERVICE_TEST_FUZZ_SEED={seed} ROUTESERVICE_TEST_FUZZ={factor}");
        string[] valid =
        [
            "name,latitude,longitude\n\"Princeton, \"\"NJ\"\"\",40.34872,-74.65905\r\nx,1,2\n",
            "title;lat;lng\nx;40,1;-74,1\ny;1;2\n",
            """[{"location":{"latitude":403487200,"longitude":-746590500},"name":"Princ\u00e9ton"},{"location":{"latitude":-1}}]""",
            """{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"EPSG:4326"}},"features":[{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2,3]},"properties":{"name":"x"}},{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[[0,0],[0,1],[1,1],[0,0]]]},"properties":{"name":7}}]}""",
            """{"type":"Feature","geometry":{"type":"MultiPoint","coordinates":[[1,2]]},"properties":null}""" + "\n" + """{"type":"Feature","geometry":{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2]}]}}""",
        ];
        const string Tokens = "\"\\{}[],:;\t\n\r0-.eEnull\u001e\0\u0080";
        var chance = new Random(seed);
        for (var i = 0; i < 12_000 * factor; i++)
        {
            var bytes = Mutated(i % 10 == 0 ? RandomBytes() : (i % 3 == 0 ? Encoding.Unicode : Encoding.UTF8).GetBytes(valid[chance.Next(valid.Length)]));
            var name = i % 7 == 0 ? "places.gz" : "places.txt";
            if (i % 14 == 0)
            {
                bytes = Mutated(Compress(Encoding.UTF8.GetString(bytes)));
            }

            var refusal = Record.Exception(() => Read(bytes, name, skipInvalid: i % 2 == 0));

            Assert.True(
                refusal is null || (refusal is FeatureFileException && !refusal.Message.Any(char.IsControl) && refusal.Message.Length < 1_000),
                $"seed {seed}, file {i}: {Convert.ToBase64String(bytes)}: {refusal}");
        }

        static int? Number(string variable) =>
            int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var value) ? value : null;

        byte[] RandomBytes()
        {
            var bytes = new byte[chance.Next(1, 300)];
            chance.NextBytes(bytes);
            return bytes;
        }

        byte[] Mutated(byte[] original)
        {
            var bytes = original.ToList();
            for (var times = chance.Next(4); times > 0 && bytes.Count > 1; times--)
            {
                var at = chance.Next(bytes.Count);
                var length = Math.Min(chance.Next(20), bytes.Count - at);
                switch (chance.Next(5))
                {
                    case 0:
                        bytes[at] = (byte)chance.Next(256);
                        break;
                    case 1:
                        bytes[at] = (byte)Tokens[chance.Next(Tokens.Length)];
                        break;
                    case 2:
                        bytes.Insert(at, (byte)Tokens[chance.Next(Tokens.Length)]);
                        break;
                    case 3:
                        bytes.InsertRange(chance.Next(bytes.Count), bytes.GetRange(at, length));
                        break;
                    default:
                        bytes.RemoveRange(at, Math.Min(length, bytes.Count - 1));
                        break;
                }
            }

            return [.. bytes];
        }
    }

    [Fact]
    public void How_far_it_has_read_is_known()
    {
        using var file = Open("name,latitude,longitude\nx,1,2\n"u8.ToArray());
        Assert.Equal(0, file.Position);

        Assert.Single(file.ReadAll(skipInvalid: false));

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

    private static IEnumerable<string> InDegrees(string latitude, string longitude) =>
    [
        $"name,latitude,longitude\n,{latitude},{longitude}\n",
        $$$"""{"type":"Feature","geometry":{"type":"Point","coordinates":[{{{longitude}}},{{{latitude}}}]}}""",
    ];

    private static byte[] Compress(string text)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest))
        {
            gzip.Write(Encoding.UTF8.GetBytes(text));
        }

        return compressed.ToArray();
    }

    private string Refusal(string text, bool skipInvalid = false) => Refusal(Encoding.UTF8.GetBytes(text), skipInvalid: skipInvalid);

    private string Refusal(byte[] bytes, string name = "places.txt", bool skipInvalid = false)
    {
        var refusal = Assert.Throws<FeatureFileException>(() => Read(bytes, name, skipInvalid)).Message;
        Assert.StartsWith(name, refusal);
        Assert.DoesNotContain('\n', refusal);
        return refusal;
    }

    private List<Feature> Read(string text) => Read(Encoding.UTF8.GetBytes(text));

    private List<Feature> Read(byte[] bytes, string name = "places.txt", bool skipInvalid = false)
    {
        using var file = Open(bytes, name);
        return [.. file.ReadAll(skipInvalid).Select(static feature => new Feature(feature.Location, feature.Name))];
    }

    private List<FeatureContent> ReadContents(string text)
    {
        using var file = Open(Encoding.UTF8.GetBytes(text));
        return [.. file.ReadAll(skipInvalid: false)];
    }

    private FeatureFile Open(byte[] bytes, string name = "places.txt")
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, bytes);
        return FeatureFile.Open(path);
    }
}
