using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using RouteService.Domain.Features;
using RouteService.Infrastructure.Import;

namespace RouteService.Infrastructure.Export;

/// <summary>Formats of a file of features. All are lossless: an import of the file makes the same features.</summary>
public enum ExportFormat
{
    /// <summary>One FeatureCollection (RFC 7946), a Feature a line.</summary>
    GeoJson,

    /// <summary>
    /// Newline-delimited: a Feature of GeoJSON a line, without record separators. Without features it is one empty FeatureCollection.
    /// </summary>
    GeoJsonLines,

    /// <summary>RFC 4180 with the columns name, latitude, longitude (degrees) and properties (JSON; empty for none).</summary>
    Csv,
}

/// <summary>Writes features as UTF-8, one after the other.</summary>
public static class FeatureWriter
{
    private const int BufferSize = 64 * 1024;

    private const decimal E7 = 10_000_000;

    // What a field of CSV is quoted for: ends of fields, and what some readers trim.
    private static readonly SearchValues<char> Quoted = SearchValues.Create("\",;\t\r\n ");

    /// <returns>The number of the features.</returns>
    public static async Task<long> WriteAsync(
        Stream output, ExportFormat format, IAsyncEnumerable<FeatureContent> features, CancellationToken cancellationToken)
    {
        await using var text = new StreamWriter(
            output, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), BufferSize, leaveOpen: true);
        var (head, separator, tail) = format switch
        {
            ExportFormat.GeoJson => ("""{"type":"FeatureCollection","features":[""" + "\n", ",\n", "\n]}\n"),
            ExportFormat.Csv => ($"name,latitude,longitude,{FeatureCsv.PropertiesColumn}\r\n", "\r\n", "\r\n"),
            _ => ("", "\n", "\n"),
        };
        var written = 0L;
        await text.WriteAsync(head);
        await foreach (var feature in features.WithCancellation(cancellationToken))
        {
            await text.WriteAsync(written++ == 0 ? "" : separator);
            if (format == ExportFormat.Csv)
            {
                WriteCsv(text, feature);
            }
            else
            {
                WriteGeoJson(text, feature);
            }
        }

        if (written == 0 && format == ExportFormat.GeoJsonLines)
        {
            // An empty file would look like one that was cut off.
            await text.WriteAsync("""{"type":"FeatureCollection","features":[]}""");
        }

        await text.WriteAsync(written == 0 && format == ExportFormat.Csv ? "" : tail);
        await text.FlushAsync(cancellationToken);
        return written;
    }

    private static void WriteGeoJson(TextWriter text, FeatureContent feature)
    {
        text.Write("""{"type":"Feature","geometry":{"type":"Point","coordinates":[""");
        WriteDegrees(text, feature.Location.LongitudeE7);
        text.Write(',');
        WriteDegrees(text, feature.Location.LatitudeE7);
        text.Write("]},");
        var json = feature.Properties.Json;
        if (feature.Properties.Members.ContainsKey("name"))
        {
            WriteMember(text, FeatureJson.DisplayName, feature.Name);
            text.Write(",\"properties\":");
            text.Write(json);
        }
        else
        {
            text.Write("\"properties\":{");
            WriteMember(text, "name", feature.Name);
            text.Write(feature.Properties.Members.Count == 0 ? "" : ",");
            text.Write(json.AsSpan(1));
        }

        text.Write('}');
    }

    private static void WriteMember(TextWriter text, string name, string value)
    {
        text.Write($"\"{name}\":\"");
        JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(text, value);
        text.Write('"');
    }

    private static void WriteCsv(TextWriter text, FeatureContent feature)
    {
        WriteField(text, feature.Name);
        text.Write(',');
        WriteDegrees(text, feature.Location.LatitudeE7);
        text.Write(',');
        WriteDegrees(text, feature.Location.LongitudeE7);
        text.Write(',');
        WriteField(text, feature.Properties.Members.Count == 0 ? "" : feature.Properties.Json);
    }

    private static void WriteField(TextWriter text, string value)
    {
        if (!value.AsSpan().ContainsAny(Quoted))
        {
            text.Write(value);
            return;
        }

        text.Write('"');
        text.Write(value.Replace("\"", "\"\"", StringComparison.Ordinal));
        text.Write('"');
    }

    private static void WriteDegrees(TextWriter text, int e7) => text.Write((e7 / E7).ToString("0.#######", CultureInfo.InvariantCulture));
}
