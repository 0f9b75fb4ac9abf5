using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Import;

/// <summary>Features in CSV (RFC 4180): quoted fields may have commas, doubled quotes and line breaks; lines end in CRLF or LF.</summary>
internal static class FeatureCsv
{
    // A field longer than this is a quote that was never closed.
    private const int MaxField = 1024 * 1024;

    public static async IAsyncEnumerable<Feature> ReadAsync(
        Stream stream, string file, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var text = new StreamReader(
            stream,
            new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true),
            detectEncodingFromByteOrderMarks: true,
            bufferSize: 64 * 1024,
            leaveOpen: true);
        var records = new Records(text, file);
        if (!await records.ReadAsync(cancellationToken))
        {
            throw new FeatureFileException($"{file}: there is no header. {FeatureFormat.Wanted}");
        }

        var header = records.Fields.ConvertAll(static column => column.Trim());
        var name = Column("name");
        var latitude = Column("latitude");
        var longitude = Column("longitude");
        while (await records.ReadAsync(cancellationToken))
        {
            var fields = records.Fields;
            if (fields.Count != header.Count)
            {
                throw records.Error($"it has {fields.Count} fields; the header has {header.Count}");
            }

            if (FeatureFormat.Complaint(fields[name]) is { } complaint)
            {
                throw records.Error(complaint);
            }

            Coordinate.TryFromDegrees(
                Degrees("latitude", fields[latitude], 90), Degrees("longitude", fields[longitude], 180), out var location);
            yield return new Feature(location, fields[name]);
        }

        int Column(string wanted) =>
            header.FindIndex(column => column.Equals(wanted, StringComparison.OrdinalIgnoreCase)) is >= 0 and var index
                ? index
                : throw new FeatureFileException(
                    $"{file}: the header '{FeatureFormat.Shown(string.Join(',', header))}' has no column {wanted}. {FeatureFormat.Wanted}");

        double Degrees(string what, string field, int limit) =>
            double.TryParse(field, NumberStyles.Float, CultureInfo.InvariantCulture, out var degrees) && Math.Abs(degrees) <= limit
                ? degrees
                : throw records.Error($"{what} is '{FeatureFormat.Shown(field)}'; a number within ±{limit} is wanted (degrees)");
    }

    /// <summary>The records of the text, one at a time, with their places for errors.</summary>
    private sealed class Records(StreamReader text, string file)
    {
        private readonly char[] _buffer = new char[16 * 1024];
        private readonly StringBuilder _field = new();
        private int _position;
        private int _length;
        private long _line = 1;

        // The header is record 0, so that the first feature is record 1, as in the other formats.
        private long _record = -1;
        private long _firstLine;

        public List<string> Fields { get; private set; } = [];

        public FeatureFileException Error(string reason, Exception? cause = null) =>
            new(FormattableString.Invariant($"{file}, record {_record} (line {_firstLine}): {reason}"), cause);

        /// <summary>Reads the next record into <see cref="Fields"/>, past empty lines; false at the end.</summary>
        public async ValueTask<bool> ReadAsync(CancellationToken cancellationToken)
        {
            Fields = [];
            _record++;
            _firstLine = _line;
            _field.Clear();
            var quoted = false;
            var closed = false;
            var any = false;
            while (true)
            {
                if (_position == _length && !await FillAsync(cancellationToken))
                {
                    if (quoted)
                    {
                        throw Error("a quote is not closed at the end of the file");
                    }

                    if (any)
                    {
                        Fields.Add(_field.ToString());
                    }

                    return any;
                }

                var c = _buffer[_position++];
                any = true;
                if (quoted)
                {
                    if (c != '"')
                    {
                        Append(c);
                    }
                    else if (await PeekAsync(cancellationToken) == '"')
                    {
                        _position++;
                        Append('"');
                    }
                    else
                    {
                        quoted = false;
                        closed = true;
                    }
                }
                else if (closed && c is not (',' or '\r' or '\n'))
                {
                    throw Error("a field goes on after its closing quote; a quote within quotes is doubled");
                }
                else if (c == '"' && _field.Length == 0)
                {
                    quoted = true;
                }
                else if (c == ',')
                {
                    Fields.Add(_field.ToString());
                    _field.Clear();
                    closed = false;
                }
                else if (c == '\n' && Fields.Count == 0 && _field.Length == 0 && !closed)
                {
                    _firstLine = ++_line;
                    any = false;
                }
                else if (c == '\n')
                {
                    _line++;
                    Fields.Add(_field.ToString());
                    return true;
                }
                else if (c != '\r' || await PeekAsync(cancellationToken) != '\n')
                {
                    Append(c);
                }
            }
        }

        private void Append(char c)
        {
            if (c == '\n')
            {
                _line++;
            }

            if (_field.Length == MaxField)
            {
                throw Error($"a field is longer than {MaxField} characters; a quote may not be closed");
            }

            _field.Append(c);
        }

        private async ValueTask<int> PeekAsync(CancellationToken cancellationToken) =>
            _position < _length || await FillAsync(cancellationToken) ? _buffer[_position] : -1;

        private async ValueTask<bool> FillAsync(CancellationToken cancellationToken)
        {
            try
            {
                _position = 0;
                _length = await text.ReadAsync(_buffer, cancellationToken);
                return _length > 0;
            }
            catch (DecoderFallbackException e)
            {
                throw Error("the file is not UTF-8 from about here on", e);
            }
            catch (IOException e)
            {
                throw Error($"the file cannot be read further: {e.Message}", e);
            }
        }
    }
}
