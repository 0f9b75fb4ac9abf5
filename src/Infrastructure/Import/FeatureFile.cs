using System.IO.Compression;
using System.Text;
using System.Text.Json;
using CsvHelper;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Import;

/// <summary>
/// A file of features, read as a stream, so that memory does not grow with it. Text is UTF-8 or UTF-16, in gzip or not, whatever the name
/// of the file is. Content that begins with a bracket is JSON (<see cref="FeatureJson"/>), other content CSV (<see cref="FeatureCsv"/>).
/// </summary>
public sealed class FeatureFile : IDisposable
{
    internal const string Expected =
        "Expected GeoJSON points (a FeatureCollection, or a Feature a line), CSV with the columns name, latitude and longitude in "
        + "degrees, or JSON of the form [{\"location\":{\"latitude\":E7,\"longitude\":E7},\"name\":\"…\"}, …].";

    // Enough to see the encoding and the format.
    private const int HeadSize = 4096;

    private const int BufferSize = 64 * 1024;

    private readonly SourceFile _file;
    private readonly FilePosition _position;
    private readonly bool _isGzip;
    private readonly Dictionary<string, SkippedRecords> _skipped = [];

    private FeatureFile(SourceFile file)
    {
        _file = file;
        _isGzip = IsGzip(file);
        _position = new FilePosition(Path.GetFileName(file.Name));
    }

    public long Length => _file.Length;

    /// <summary>Bytes read so far.</summary>
    public long Position => _file.Position;

    /// <summary>Features read so far.</summary>
    public long Features { get; private set; }

    /// <summary>Number of <see cref="Features"/> with a name.</summary>
    public long Named { get; private set; }

    /// <summary>Invalid records skipped so far, by what was invalid: a few entries however many records there are.</summary>
    public IReadOnlyCollection<SkippedRecords> Skipped => _skipped.Values;

    /// <exception cref="FeatureFileException">The file is missing, unreadable or empty.</exception>
    public static FeatureFile Open(string path)
    {
        try
        {
            // Looked at before it is opened: a pipe would wait for its other end.
            var entry = new FileInfo(path);
            if ((entry.ResolveLinkTarget(returnFinalTarget: true) ?? entry) is FileInfo { Exists: true, Length: 0 })
            {
                throw new FeatureFileException($"{path} is empty, or no regular file. {Expected}");
            }

            var file = new SourceFile(path);
            if (file.CanSeek)
            {
                return new FeatureFile(file);
            }

            file.Dispose();
            throw new FeatureFileException($"{path} is a pipe or a device; expected a regular file.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FeatureFileException($"{path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>All features of the file. It can be read once.</summary>
    /// <param name="skipInvalid">Skips and counts invalid records, instead of ending at the first one.</param>
    /// <exception cref="FeatureFileException">A record is invalid, or the file cannot be read as a whole.</exception>
    public IEnumerable<FeatureContent> ReadAll(bool skipInvalid)
    {
        using var records = ReadRecords().GetEnumerator();
        while (MoveNext(records))
        {
            if (records.Current is { Feature: { } feature })
            {
                Features++;
                Named += feature.Name.Length > 0 ? 1 : 0;
                yield return feature;
            }
            else
            {
                Skip(records.Current.Fault!, skipInvalid);
            }
        }
    }

    public void Dispose() => _file.Dispose();

    private void Skip(InvalidRecordException fault, bool skipInvalid)
    {
        var error = _position.Error(fault.Message, fault);
        if (!skipInvalid)
        {
            throw error;
        }

        var before = _skipped.GetValueOrDefault(fault.Subject) ?? new SkippedRecords(fault.Subject, 0, error.Message);
        _skipped[fault.Subject] = before with { Count = before.Count + 1 };
    }

    private bool MoveNext(IEnumerator<FeatureRecord> records)
    {
        try
        {
            return records.MoveNext();
        }
        catch (Exception e) when (Explain(e) is { } reason)
        {
            throw _position.Error(reason, e);
        }
    }

    /// <summary>Why the file cannot be read further. Messages of the parsers are shown without their own positions.</summary>
    private string? Explain(Exception exception)
    {
        switch (exception)
        {
            case JsonException json:
                _position.Line = json.LineNumber + 1 ?? _position.Line;
                return $"it is not valid JSON: {FeatureRecord.Shown(json.Message.Split(" LineNumber:")[0].Split(" Path:")[0])}";
            case CsvFormatException csv:
                (_position.Record, _position.Line) = (csv.RecordNumber - 1, csv.LineNumber);
                return $"it is not valid CSV: {FeatureRecord.Shown(csv.Message)}";
            case DecoderFallbackException text:
                return $"here or soon after are bytes that are not text ({Convert.ToHexString(text.BytesUnknown ?? [])})";
            case InvalidDataException:
                return "the file cannot be read further: its gzip is damaged or cut off";
            case IOException:
                return $"the file cannot be read further: {exception.Message}";
            default:
                return null;
        }
    }

    private IEnumerable<FeatureRecord> ReadRecords()
    {
        var (encoding, mark, text) = ReadHead();
        using var gzip = Decompress();
        var bytes = gzip ?? (Stream)_file;
        bytes.ReadExactly(new byte[mark]);
        var utf8 = encoding is UTF8Encoding
            ? bytes
            : Encoding.CreateTranscodingStream(bytes, Strict(encoding), Encoding.UTF8, leaveOpen: true);
        var records = text is ['[' or '{' or FeatureJson.RecordSeparator, ..]
            ? FeatureJson.Read(utf8, hasSeparators: text[0] == FeatureJson.RecordSeparator, _position)
            : FeatureCsv.Read(utf8, _position);
        foreach (var record in records)
        {
            yield return record;
        }

        // .NET stops at what is no member of gzip, without a word. Members one after the other are one file (RFC 1952, 2.2).
        if (gzip is not null && !_file.IsAtEnd)
        {
            throw _position.FileError("its gzip is followed by something else, so the file is damaged, or was appended to");
        }

        // The end of what was there may be no end of the file: half of one that is still copied, or of one that is made again.
        if (_file.HasChanged)
        {
            throw _position.FileError("it has changed while it was read; expected a file that no other program writes");
        }
    }

    /// <summary>The encoding, the length of its byte-order mark, and the beginning of the text.</summary>
    private (Encoding Encoding, int Mark, string Text) ReadHead()
    {
        var head = new byte[HeadSize];
        using (var gzip = Decompress())
        {
            head = head[..(gzip ?? (Stream)_file).ReadAtLeast(head, HeadSize, throwOnEndOfStream: false)];
        }

        _file.Position = 0;
        (Encoding Encoding, int Mark) found = head switch
        {
            [0xEF, 0xBB, 0xBF, ..] => (Encoding.UTF8, 3),
            [0xFF, 0xFE, ..] => (Encoding.Unicode, 2),
            [0xFE, 0xFF, ..] => (Encoding.BigEndianUnicode, 2),

            // UTF-16 without a mark shows in the zeros of its first character.
            [not 0, 0, ..] => (Encoding.Unicode, 0),
            [0, not 0, ..] => (Encoding.BigEndianUnicode, 0),
            _ => (Encoding.UTF8, 0),
        };
        return (found.Encoding, found.Mark, found.Encoding.GetString(head.AsSpan(found.Mark)).TrimStart());
    }

    private GZipStream? Decompress() => _isGzip ? new GZipStream(_file, CompressionMode.Decompress, leaveOpen: true) : null;

    /// <summary>Whether it begins as gzip does (RFC 1952, 2.3.1), and no text.</summary>
    private static bool IsGzip(FileStream file)
    {
        var head = new byte[2];
        var isGzip = file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false) == head.Length && head is [0x1F, 0x8B];
        file.Position = 0;
        return isGzip;
    }

    private static Encoding Strict(Encoding encoding) =>
        Encoding.GetEncoding(encoding.CodePage, EncoderFallback.ExceptionFallback, DecoderFallback.ExceptionFallback);

    /// <summary>A file that tells whether the last read has found its end, and whether it is as it was when it was opened.</summary>
    private sealed class SourceFile : FileStream
    {
        private readonly (long Length, DateTime Written) _opened;

        public SourceFile(string path)
            : base(path, FileMode.Open, FileAccess.Read, FileShare.Read, BufferSize, FileOptions.SequentialScan) => _opened = Look();

        public bool IsAtEnd { get; private set; }

        public bool HasChanged => Look() != _opened;

        public override int Read(byte[] buffer, int offset, int count) => Looked(base.Read(buffer, offset, count));

        public override int Read(Span<byte> buffer) => Looked(base.Read(buffer));

        private int Looked(int read)
        {
            IsAtEnd = read == 0;
            return read;
        }

        private (long Length, DateTime Written) Look() =>
            (CanSeek ? RandomAccess.GetLength(SafeFileHandle) : 0, File.GetLastWriteTimeUtc(SafeFileHandle));
    }
}

/// <summary>Records that were skipped for one reason.</summary>
/// <param name="Subject">The invalid part, such as "geometry".</param>
/// <param name="Count">Number of records.</param>
/// <param name="First">The first of them: its position and its fault.</param>
public sealed record SkippedRecords(string Subject, long Count, string First);
