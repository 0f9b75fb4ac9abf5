using System.Buffers;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Import;

/// <summary>
/// A file of features, read as a stream, so that memory does not grow with it. JSON where it begins with a bracket, else CSV:
/// <list type="bullet">
/// <item><c>[{"location":{"latitude":E7,"longitude":E7},"name":"…"}, …]</c>, as the RouteGuide tutorials have it;</item>
/// <item>GeoJSON (RFC 7946): a FeatureCollection of points, named by <c>properties.name</c>;</item>
/// <item>CSV (RFC 4180) in UTF-8 with a header that has <c>name</c>, <c>latitude</c> and <c>longitude</c>, in degrees, in any order.</item>
/// </list>
/// A missing name is an empty one; what else a record has is left alone.
/// </summary>
public sealed class FeatureFile : IDisposable
{
    private readonly FileStream _stream;
    private readonly string _name;

    private FeatureFile(FileStream stream)
    {
        _stream = stream;
        _name = Path.GetFileName(stream.Name);
    }

    public long Length => _stream.Length;

    /// <summary>Bytes read so far.</summary>
    public long Position => _stream.Position;

    /// <exception cref="FeatureFileException">It is not there, not readable or empty.</exception>
    public static FeatureFile Open(string path)
    {
        try
        {
            var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1, FileOptions.SequentialScan);
            if (!stream.CanSeek)
            {
                // Its length is not known and its beginning cannot be looked at twice.
                stream.Dispose();
                throw new FeatureFileException($"{path} is a pipe or a device; a regular file is wanted.");
            }

            if (stream.Length == 0)
            {
                stream.Dispose();
                throw new FeatureFileException($"{path} is empty. {FeatureFormat.Wanted}");
            }

            return new FeatureFile(stream);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FeatureFileException($"{path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>All its features, once.</summary>
    /// <exception cref="FeatureFileException">At the record that is wrong.</exception>
    public IAsyncEnumerable<Feature> ReadAllAsync(CancellationToken cancellationToken) => BeginsWithBracket()
        ? FeatureJson.ReadAsync(_stream, _name, cancellationToken)
        : FeatureCsv.ReadAsync(_stream, _name, cancellationToken);

    public void Dispose() => _stream.Dispose();

    private bool BeginsWithBracket()
    {
        Span<byte> head = stackalloc byte[256];
        head = head[..RandomAccess.Read(_stream.SafeFileHandle, head, fileOffset: 0)];
        if (head.StartsWith("\uFEFF"u8))
        {
            head = head[3..];
        }

        return head.TrimStart(" \t\r\n"u8) is [(byte)'[' or (byte)'{', ..];
    }
}

/// <summary>What all formats have in common.</summary>
internal static class FeatureFormat
{
    public const string Wanted =
        "Wanted is JSON of the form [{\"location\":{\"latitude\":E7,\"longitude\":E7},\"name\":\"…\"}, …], "
        + "a GeoJSON FeatureCollection of points, or CSV with the columns name,latitude,longitude in degrees.";

    /// <summary>A value as a message shows it: on one line, and not all of a long one.</summary>
    public static string Shown(string value)
    {
        const int Most = 80;
        var text = value.Length <= Most ? value : $"{value.AsSpan(0, Most)}…";
        return string.Create(text.Length, text, static (shown, text) =>
        {
            for (var i = 0; i < text.Length; i++)
            {
                shown[i] = char.IsControl(text[i]) ? ' ' : text[i];
            }
        });
    }

    /// <summary>Null where a name is fit to be kept; else what is wrong with it.</summary>
    public static string? Complaint(string name)
    {
        if (name.Contains('\0', StringComparison.Ordinal))
        {
            // PostgreSQL's text cannot hold it, and what one store takes the other must take.
            return "name has a NUL character (U+0000), which a name cannot have";
        }

        for (ReadOnlySpan<char> rest = name; !rest.IsEmpty;)
        {
            if (System.Text.Rune.DecodeFromUtf16(rest, out _, out var length) != OperationStatus.Done)
            {
                return "name is not valid Unicode: it has half of a surrogate pair";
            }

            rest = rest[length..];
        }

        return null;
    }
}
