using System.Globalization;
using System.Text;
using CsvHelper;
using RouteService.Domain.Features;
using static RouteService.Infrastructure.Import.FeatureRecord;

namespace RouteService.Infrastructure.Import;

/// <summary>
/// Features in CSV (RFC 4180), separated by commas, semicolons or tabs. The header names the columns, in any case and order, with or
/// without spaces around; of several names for one column, the first that the header has counts, and of two equal columns the left one.
/// Other columns are ignored. If the separator is not a comma, a decimal comma is read as well.
/// </summary>
internal static class FeatureCsv
{
    // A longer record is taken for a quote that is never closed.
    private const int MaxRecord = 1024 * 1024;

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
                return new FeatureRecord(new Feature(location, Name(Utf8.GetString(csv.GetSpan(name)))), Fault: null);
            }
            catch (InvalidRecordException e)
            {
                return new FeatureRecord(Feature: null, e);
            }
            catch (DecoderFallbackException)
            {
                const string Reason = "name is not valid UTF-8; expected a file in UTF-8, or UTF-16 with a byte-order mark";
                return new FeatureRecord(Feature: null, new InvalidRecordException("name", Reason));
            }
        }

        double Degrees(string subject, int column) =>
            double.TryParse(csv.GetSpan(column), NumberStyles.Float, CultureInfo.InvariantCulture, out var degrees)
            || (csv.Separator != ',' && double.TryParse(csv.GetSpan(column), NumberStyles.Float, DecimalComma, out degrees))
                ? degrees
                : throw new InvalidRecordException(subject, $"{subject} is '{Shown(csv.GetString(column))}'; expected a number (degrees)");
    }
}
