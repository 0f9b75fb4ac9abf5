using System.Globalization;
using System.Text;
using CsvHelper;
using RouteService.Domain.Features;
using static RouteService.Infrastructure.Import.FeatureRecord;

namespace RouteService.Infrastructure.Import;

/// <summary>
/// Features in CSV (RFC 4180), separated by commas, semicolons or tabs. The header names the columns, in any case and order, with or
/// without spaces around; of several names for one column, the first that the header has counts, and of two equal columns the left one.
/// The column <c>properties</c> has objects of JSON. Other columns are properties too: strings, and where a cell is empty, no property.
/// Those without a header are ignored. If the separator is not a comma, a decimal comma is read as well.
/// </summary>
internal static class FeatureCsv
{
    /// <summary>The column of all properties as JSON.</summary>
    public const string PropertiesColumn = "properties";

    // A longer record is taken for a quote that is never closed. The longest name and the longest properties, all of them quotes, fit in.
    private const int MaxRecord = 4 * 1024 * 1024;

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private static readonly NumberFormatInfo DecimalComma = new() { NumberDecimalSeparator = "," };

    public static IEnumerable<FeatureRecord> Read(Stream utf8, FilePosition position)
    {
        var isQuoteBroken = false;
        var options = new CsvReaderOptions
        {
            MaxRecordSize = MaxRecord,
            TrackLineNumbers = true,

            // A quote inside a field that does not begin with one is text.
            OnMalformedRecord = record => isQuoteBroken |= record.Reason != CsvMalformedReason.StrayQuote,
        };
        using var csv = CsvReader.Create(utf8, options, leaveOpen: true);
        var name = Column("name", "title");
        var latitude = Column("latitude", "lat", "y");
        var longitude = Column("longitude", "lon", "lng", "long", "x");
        var others = csv.Headers.Select(static (header, index) => (Header: header.Trim(), Index: index))
            .Where(column => column.Header.Length > 0 && column.Index != name && column.Index != latitude && column.Index != longitude)
            .DistinctBy(static column => column.Header, StringComparer.Ordinal).ToList();
        while (csv.Read())
        {
            (position.Record, position.Line) = (csv.RowNumber, csv.LineNumber);
            yield return isQuoteBroken
                ? throw position.Error("a quote is not closed, or text follows a closing quote; a quote within quotes is doubled")
                : Parse();
        }

        int Column(params string[] names)
        {
            foreach (var candidate in names)
            {
                if (csv.TryGetFieldIndex(candidate, out var index))
                {
                    return index;
                }
            }

            var header = Shown(string.Join(csv.Separator, csv.Headers));
            throw position.Error($"the header '{header}' has no column {string.Join(" or ", names)}. {FeatureFile.Expected}");
        }

        FeatureRecord Parse()
        {
            try
            {
                if (csv.FieldCount != csv.Headers.Count)
                {
                    throw new InvalidRecordException("fields", $"it has {csv.FieldCount} fields; the header has {csv.Headers.Count}");
                }

                var location = Location(Degrees("latitude", latitude), Degrees("longitude", longitude), "degrees");
                var content = new FeatureContent(
                    location, Name(Text("name", name)), others.Count == 0 ? Properties.Empty : Kept(Others));
                return new FeatureRecord(content, Fault: null);
            }
            catch (InvalidRecordException e)
            {
                return new FeatureRecord(Feature: null, e);
            }
        }

        string Text(string subject, int column)
        {
            try
            {
                return Utf8.GetString(csv.GetSpan(column));
            }
            catch (DecoderFallbackException)
            {
                throw new InvalidRecordException(
                    subject, $"{subject} is not valid UTF-8; expected a file in UTF-8, or UTF-16 with a byte-order mark");
            }
        }

        Properties Others()
        {
            var members = new Dictionary<string, PropertyValue>(StringComparer.Ordinal);
            foreach (var (header, index) in others)
            {
                var text = Text(PropertiesColumn, index);
                if (text.Length > 0 && string.Equals(header, PropertiesColumn, StringComparison.Ordinal))
                {
                    foreach (var (member, value) in Properties.Parse(csv.GetSpan(index)).Members)
                    {
                        Add(member, value);
                    }
                }
                else if (text.Length > 0)
                {
                    Add(header, new PropertyValue.Text(text));
                }
            }

            return members.Count == 0 ? Properties.Empty : new Properties(members);

            void Add(string member, PropertyValue value)
            {
                if (!members.TryAdd(member, value))
                {
                    throw new InvalidRecordException(
                        "properties", $"properties: '{Shown(member)}' is in the column {PropertiesColumn} and a column of its own");
                }
            }
        }

        double Degrees(string subject, int column) =>
            double.TryParse(csv.GetSpan(column), NumberStyles.Float, CultureInfo.InvariantCulture, out var degrees)
            || (csv.Separator != ',' && double.TryParse(csv.GetSpan(column), NumberStyles.Float, DecimalComma, out degrees))
                ? degrees
                : throw new InvalidRecordException(subject, $"{subject} is '{Shown(csv.GetString(column))}'; expected a number (degrees)");
    }
}
