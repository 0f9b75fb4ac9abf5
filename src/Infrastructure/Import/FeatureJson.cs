using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using NetTopologySuite.IO.Converters;
using RouteService.Domain;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using static RouteService.Infrastructure.Import.FeatureRecord;
using Geometry = NetTopologySuite.Geometries.Geometry;
using MultiPoint = NetTopologySuite.Geometries.MultiPoint;
using Point = NetTopologySuite.Geometries.Point;

namespace RouteService.Infrastructure.Import;

/// <summary>
/// Features in JSON, one record in memory at a time:
/// <list type="bullet">
/// <item>GeoJSON (RFC 7946): a FeatureCollection, or Features one after the other, each on a line or after a separator (RFC 8142);</item>
/// <item>the array of the tutorials, without properties: <c>[{"location":{"latitude":E7,"longitude":E7},"name":"…"}, …]</c>.</item>
/// </list>
/// </summary>
internal static class FeatureJson
{
    /// <summary>
    /// The member of a Feature of GeoJSON that is its name where its properties have a member <c>name</c> of their own. RFC 7946 allows
    /// such members (6.1).
    /// </summary>
    public const string DisplayName = "display_name";

    // The member of a Feature that identifies it (RFC 7946, 3.2), and the property that keeps it.
    private const string Id = "id";

    public const char RecordSeparator = '\x1E';

    public const string NotUnicode = "it has text that is not valid Unicode (bytes that are not UTF-8, or half of a surrogate pair)";

    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Converters = { new GeoJsonConverterFactory() },
    };

    /// <param name="utf8">The text.</param>
    /// <param name="hasSeparators">Whether the text has separators of RFC 8142, which are then read as white space.</param>
    /// <param name="position">Kept up to date.</param>
    public static IEnumerable<FeatureRecord> Read(Stream utf8, bool hasSeparators, FilePosition position)
    {
        var records = new JsonRecords(utf8, hasSeparators, position);
        while (records.TryRead(out var json))
        {
            yield return Parse(json, position);
        }
    }

    /// <summary>Checks the member <c>crs</c> of GeoJSON of 2008; RFC 7946 knows only WGS 84.</summary>
    /// <exception cref="FeatureFileException">The member names another coordinate reference system.</exception>
    public static void CheckCrs(JsonElement crs, FilePosition position)
    {
        if (crs.ValueKind == JsonValueKind.Null)
        {
            return;
        }

        var members = crs.ValueKind == JsonValueKind.Object && crs.TryGetProperty("properties", out var properties) ? properties : crs;
        var name = members.ValueKind == JsonValueKind.Object
            ? members.EnumerateObject().Select(static member => member.Value.ToString()).FirstOrDefault() ?? ""
            : members.ToString();
        if (name.Split(':', '/')[^1].ToUpperInvariant() is not ("CRS84" or "CRS84H" or "4326" or "4979" or "WGS84" or "WGS 84"))
        {
            throw position.FileError(
                $"its coordinate reference system is '{Shown(name)}'; expected WGS 84 in degrees (OGC:CRS84 or EPSG:4326)");
        }
    }

    private static FeatureRecord Parse(ReadOnlyMemory<byte> json, FilePosition position)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var record = document.RootElement;
            if (record.ValueKind != JsonValueKind.Object)
            {
                throw new InvalidRecordException("record", $"it is {Raw(record)}; expected an object. {FeatureFile.Expected}");
            }

            var isGeoJson = record.TryGetProperty("geometry", out var geometry)
                || (record.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String && type.ValueEquals("Feature"));
            return new FeatureRecord(isGeoJson ? ParseGeoJson(record, geometry, position) : ParseTutorial(record), Fault: null);
        }
        catch (InvalidRecordException e)
        {
            return new FeatureRecord(Feature: null, e);
        }
        catch (InvalidOperationException)
        {
            // System.Text.Json finds such text only when it is read.
            return new FeatureRecord(Feature: null, new InvalidRecordException("text", NotUnicode));
        }
    }

    private static FeatureContent ParseTutorial(JsonElement record)
    {
        if (!record.TryGetProperty("location", out var json))
        {
            throw new InvalidRecordException("location", $"location is missing. {FeatureFile.Expected}");
        }

        try
        {
            var (latitude, longitude) = json.Deserialize<E7Location>(Options);
            return new FeatureContent(new Coordinate(latitude, longitude), NameIn(record).Name, Properties.Empty);
        }
        catch (Exception e) when (e is JsonException or ArgumentOutOfRangeException)
        {
            throw new InvalidRecordException("location", $"location is {Raw(json)}; expected {{\"latitude\":E7,\"longitude\":E7}}: "
                + $"integers, degrees times 10^7, within ±{Coordinate.MaxLatitudeE7} and ±{Coordinate.MaxLongitudeE7}");
        }
    }

    private static FeatureContent ParseGeoJson(JsonElement record, JsonElement geometry, FilePosition position)
    {
        foreach (var member in (JsonElement[])[record, geometry])
        {
            if (member.ValueKind == JsonValueKind.Object && member.TryGetProperty("crs", out var crs))
            {
                CheckCrs(crs, position);
            }
        }

        var point = ToPoint(geometry);
        var hasProperties = record.TryGetProperty("properties", out var properties) && properties.ValueKind == JsonValueKind.Object;
        var location = Location(point.Y, point.X, "degrees; GeoJSON has the longitude first");
        var (nameMember, name) = record.TryGetProperty(DisplayName, out var displayName) && displayName.ValueKind == JsonValueKind.String
            ? (null, Name(displayName.GetString()!))
            : hasProperties ? NameIn(properties) : (null, "");
        return new FeatureContent(location, name, PropertiesOf(record, hasProperties ? properties : null, nameMember));
    }

    /// <summary>
    /// The properties but the one that is the name, and the id of the Feature if they have no member of that name: a number that a double
    /// does not hold as its digits, and none that cannot be kept.
    /// </summary>
    private static Properties PropertiesOf(JsonElement record, JsonElement? members, string? name)
    {
        if (members?.TryGetProperty(Id, out _) is not true
            && record.TryGetProperty(Id, out var id) && id.ValueKind is JsonValueKind.String or JsonValueKind.Number)
        {
            foreach (var form in (string[])[id.GetRawText(), JsonSerializer.Serialize(id.ToString())])
            {
                try
                {
                    return Properties.Parse(Write(form));
                }
                catch (InvalidValueException)
                {
                    // Without it, or for another reason, which is told below.
                }
            }
        }

        return Kept(() => Properties.Parse(Write(id: null)));

        byte[] Write(string? id)
        {
            using var json = new MemoryStream();
            json.Write(Encoding.UTF8.GetBytes(id is null ? "{" : $"{{\"{Id}\":{id}"));
            foreach (var member in members?.EnumerateObject() ?? default)
            {
                if (name is null || !member.NameEquals(name))
                {
                    json.Write(json.Length > 1 ? ",\""u8 : "\""u8);
                    json.Write(JsonMarshal.GetRawUtf8PropertyName(member));
                    json.Write("\":"u8);
                    json.Write(JsonMarshal.GetRawUtf8Value(member.Value));
                }
            }

            json.WriteByte((byte)'}');
            return json.ToArray();
        }
    }

    private static Point ToPoint(JsonElement json)
    {
        const string Expected = "expected {\"type\":\"Point\",\"coordinates\":[longitude, latitude]}";
        Geometry? geometry;
        try
        {
            geometry = json.ValueKind == JsonValueKind.Undefined ? null : json.Deserialize<Geometry>(Options);
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            throw new InvalidRecordException("geometry", $"geometry is {Raw(json)}; {Expected}");
        }

        return geometry switch
        {
            Point { IsEmpty: false } point => point,
            MultiPoint { Count: 1 } points => (Point)points[0],
            null => throw new InvalidRecordException("geometry", $"geometry is null; {Expected}"),
            _ => throw new InvalidRecordException(
                "geometry", $"geometry is {(geometry.IsEmpty ? "an empty" : "a")} {geometry.GeometryType}; {Expected}"),
        };
    }

    /// <summary>The name among these members, in any case, and its member; empty if there is none. A number is its digits.</summary>
    private static (string? Member, string Name) NameIn(JsonElement members)
    {
        return (Find("name") ?? Find("title")) is not { } found ? (null, "") : found.Value.ValueKind switch
        {
            JsonValueKind.String => (found.Member, Name(found.Value.GetString()!)),
            JsonValueKind.Number => (found.Member, Name(found.Value.GetRawText())),
            _ => throw new InvalidRecordException("name", $"name is {Raw(found.Value)}; expected a string or a number"),
        };

        (string Member, JsonElement Value)? Find(string name)
        {
            if (members.TryGetProperty(name, out var exact) && exact.ValueKind != JsonValueKind.Null)
            {
                return (name, exact);
            }

            foreach (var member in members.EnumerateObject())
            {
                if (member.Value.ValueKind != JsonValueKind.Null && member.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                {
                    return (member.Name, member.Value);
                }
            }

            return null;
        }
    }

    private static string Raw(JsonElement value) => Shown(value.GetRawText());

    // Protobuf's JSON mapping omits zeros, so a missing key is 0. An unknown key is more likely a misspelt one.
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
    private readonly record struct E7Location(int Latitude, int Longitude);
}
