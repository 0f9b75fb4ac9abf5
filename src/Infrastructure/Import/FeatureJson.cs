using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text.Json;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Import;

/// <summary>Features in JSON: the array of the tutorials, or GeoJSON. One record is in memory at a time.</summary>
internal static class FeatureJson
{
    private const int ReadSize = 64 * 1024;

    // A record longer than this is no feature; without a bound a file without an end would fill the memory.
    private const int MaxRecord = 1024 * 1024;

    // System.Text.Json finds bytes that are no UTF-8, and escapes of half a surrogate pair, only when a text is looked at, and says so by
    // InvalidOperationException: for a key, in whatever call compares it.
    private const string NotUnicode = "it has a text that is not valid Unicode (bytes that are not UTF-8, or half of a surrogate pair)";

    private delegate Feature RecordParser(JsonElement record);

    private enum Place
    {
        BeforeArray,
        InArray,
        AfterArray,
    }

    public static async IAsyncEnumerable<Feature> ReadAsync(
        Stream stream, string file, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var pipe = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: ReadSize, leaveOpen: true));
        var scan = new Scan(file);
        while (true)
        {
            ReadResult read;
            try
            {
                read = await pipe.ReadAsync(cancellationToken);
            }
            catch (IOException e)
            {
                throw scan.Error($"the file cannot be read further: {e.Message}", e);
            }

            var buffer = read.Buffer;
            while (scan.TryNext(ref buffer, read.IsCompleted, out var feature))
            {
                yield return feature;
            }

            if (read.IsCompleted)
            {
                yield break;
            }

            if (buffer.Length > MaxRecord)
            {
                throw scan.Error($"the record is longer than {MaxRecord} bytes");
            }

            pipe.AdvanceTo(buffer.Start, buffer.End);
        }
    }

    /// <summary>Where in the file we are. Takes one record after the other off the front of a buffer.</summary>
    private sealed class Scan(string file)
    {
        private JsonReaderState _state = new(new JsonReaderOptions { MaxDepth = 64 });
        private Place _place;
        private RecordParser _parse = ParseTutorial;
        private long _record;
        private bool _beginning = true;

        public bool TryNext(ref ReadOnlySequence<byte> buffer, bool isLast, out Feature feature)
        {
            feature = null!;
            SkipByteOrderMark(ref buffer);
            var reader = new Utf8JsonReader(buffer, isLast, _state);
            try
            {
                while (_place != Place.InArray ? reader.Read() : TryReadRecord(ref reader, ref buffer, out feature))
                {
                    if (feature is not null)
                    {
                        return true;
                    }

                    if (_place == Place.BeforeArray)
                    {
                        FindArray(ref reader);
                    }

                    Take(ref reader, ref buffer);
                }

                if (isLast && _place == Place.BeforeArray)
                {
                    throw Error($"there is no array of features. {FeatureFormat.Wanted}");
                }

                return false;
            }
            catch (JsonException e)
            {
                throw Error($"it is not valid JSON near line {e.LineNumber + 1}: {Reason(e)}", e);
            }
            catch (InvalidOperationException e)
            {
                throw Error(NotUnicode, e);
            }
        }

        public FeatureFileException Error(string reason, Exception? cause = null) =>
            new(_record == 0 ? $"{file}: {reason}" : FormattableString.Invariant($"{file}, record {_record}: {reason}"), cause);

        /// <summary>The words of System.Text.Json without its coordinates, which we give ourselves.</summary>
        private static string Reason(JsonException exception) => exception.Message.Split(" LineNumber:")[0].Split(" Path:")[0];

        private void SkipByteOrderMark(ref ReadOnlySequence<byte> buffer)
        {
            if (_beginning && buffer.Length >= 3)
            {
                _beginning = false;
                buffer = buffer.FirstSpan.StartsWith("\uFEFF"u8) ? buffer.Slice(3) : buffer;
            }
        }

        private void FindArray(ref Utf8JsonReader reader)
        {
            if (reader.TokenType == JsonTokenType.StartArray && reader.CurrentDepth == 0)
            {
                _place = Place.InArray;
            }
            else if (reader.TokenType == JsonTokenType.StartArray && reader.CurrentDepth == 1 && _parse == ParseGeoJson)
            {
                _place = Place.InArray;
            }
            else if (reader.TokenType == JsonTokenType.PropertyName && reader.CurrentDepth == 1)
            {
                _parse = reader.ValueTextEquals("features"u8) ? ParseGeoJson : ParseTutorial;
            }
        }

        private bool TryReadRecord(ref Utf8JsonReader reader, ref ReadOnlySequence<byte> buffer, out Feature feature)
        {
            feature = null!;
            if (!reader.Read())
            {
                return false;
            }

            if (reader.TokenType == JsonTokenType.EndArray)
            {
                _place = Place.AfterArray;
                _record = 0;
                return true;
            }

            if (!JsonDocument.TryParseValue(ref reader, out var document))
            {
                return false;
            }

            using (document)
            {
                _record++;
                try
                {
                    feature = _parse(document.RootElement);
                }
                catch (FormatException e)
                {
                    throw Error(e.Message, e);
                }
            }

            Take(ref reader, ref buffer);
            return true;
        }

        private void Take(ref Utf8JsonReader reader, ref ReadOnlySequence<byte> buffer)
        {
            buffer = buffer.Slice(reader.Position);
            _state = reader.CurrentState;
            reader = new Utf8JsonReader(buffer, reader.IsFinalBlock, _state);
        }

        private static Feature ParseTutorial(JsonElement record)
        {
            if (record.ValueKind != JsonValueKind.Object || !record.TryGetProperty("location"u8, out var location))
            {
                throw new FormatException("location is missing; an object {\"latitude\":E7,\"longitude\":E7} is wanted");
            }

            // Protobuf's JSON mapping omits zeros, so a missing key is 0. With an unknown key beside it, the name is more likely misspelt.
            var hasLatitude = Has(location, "latitude");
            var hasLongitude = Has(location, "longitude");
            if (location.ValueKind != JsonValueKind.Object || (!(hasLatitude && hasLongitude) && location.EnumerateObject().Any(
                static member => !member.NameEquals("latitude"u8) && !member.NameEquals("longitude"u8))))
            {
                throw new FormatException($"location is {Raw(location)}; an object {{\"latitude\":E7,\"longitude\":E7}} is wanted");
            }

            var latitude = hasLatitude ? E7(location, "latitude", Coordinate.MaxLatitudeE7) : 0;
            var longitude = hasLongitude ? E7(location, "longitude", Coordinate.MaxLongitudeE7) : 0;
            return new Feature(new Coordinate(latitude, longitude), Name(record));
        }

        private static bool Has(JsonElement value, string property) =>
            value.ValueKind == JsonValueKind.Object && value.TryGetProperty(property, out _);

        private static string Raw(JsonElement value) => FeatureFormat.Shown(value.GetRawText());

        private static int E7(JsonElement location, string property, int limit)
        {
            var number = location.GetProperty(property);
            return number.ValueKind == JsonValueKind.Number && number.TryGetInt32(out var value) && value >= -limit && value <= limit
                ? value
                : throw new FormatException(
                    $"location.{property} is {Raw(number)}; a whole number within ±{limit} is wanted (E7, degrees times ten million)");
        }

        private static Feature ParseGeoJson(JsonElement record)
        {
            if (record.ValueKind != JsonValueKind.Object
                || !record.TryGetProperty("geometry"u8, out var geometry)
                || geometry.ValueKind != JsonValueKind.Object
                || !geometry.TryGetProperty("type"u8, out var type)
                || type.ValueKind != JsonValueKind.String
                || !type.ValueEquals("Point"u8)
                || !geometry.TryGetProperty("coordinates"u8, out var coordinates)
                || coordinates.ValueKind != JsonValueKind.Array
                || coordinates.GetArrayLength() < 2)
            {
                throw new FormatException("geometry is no point; {\"type\":\"Point\",\"coordinates\":[longitude, latitude]} is wanted");
            }

            var longitude = Degrees(coordinates[0], "longitude", 180);
            var latitude = Degrees(coordinates[1], "latitude", 90);
            Coordinate.TryFromDegrees(latitude, longitude, out var location);
            return new Feature(
                location,
                record.TryGetProperty("properties"u8, out var properties) && properties.ValueKind == JsonValueKind.Object
                    ? Name(properties)
                    : "");
        }

        private static double Degrees(JsonElement number, string what, int limit) =>
            number.ValueKind == JsonValueKind.Number && number.TryGetDouble(out var value) && Math.Abs(value) <= limit
                ? value
                : throw new FormatException(
                    $"the {what} is {Raw(number)}; a number within ±{limit} is wanted (GeoJSON has the longitude first)");

        private static string Name(JsonElement parent)
        {
            if (!parent.TryGetProperty("name"u8, out var name) || name.ValueKind == JsonValueKind.Null)
            {
                return "";
            }

            if (name.ValueKind != JsonValueKind.String)
            {
                throw new FormatException($"name is {Raw(name)}; a string is wanted");
            }

            string text;
            try
            {
                text = name.GetString()!;
            }
            catch (InvalidOperationException e)
            {
                // Bytes that are no UTF-8, or an escape with half of a surrogate pair.
                throw new FormatException("name is not valid Unicode", e);
            }

            return FeatureFormat.Complaint(text) is { } complaint ? throw new FormatException(complaint) : text;
        }
    }
}
