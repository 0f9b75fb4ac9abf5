using System.IO.Compression;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using RouteService.Domain.Features;
using RouteService.Infrastructure.Export;
using RouteService.Infrastructure.Import;

namespace RouteService.Api.Commands;

/// <param name="File">File to write; null for standard output.</param>
/// <param name="Format">Its format; null for that of the file's name.</param>
internal sealed record ExportOptions(FileInfo? File, ExportFormat? Format);

/// <summary>Exports all features, and reports the result on standard error where the features are on standard output.</summary>
internal static class ExportCommand
{
    private const string Compressed = ".gz";

    private const int StandardOutput = 1;

    // End of the name that a file has while it is written.
    private const string Draft = ".new";

    /// <summary>The names of formats, and the ends of the names of their files.</summary>
    public static readonly IReadOnlyDictionary<string, ExportFormat> Formats =
        new Dictionary<string, ExportFormat>(StringComparer.OrdinalIgnoreCase)
        {
            ["geojson"] = ExportFormat.GeoJson,
            ["json"] = ExportFormat.GeoJson,
            ["geojsonl"] = ExportFormat.GeoJsonLines,
            ["ndjson"] = ExportFormat.GeoJsonLines,
            ["csv"] = ExportFormat.Csv,
        };

    public static async Task RunAsync(IFeatureStore store, ExportOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        var format = options.Format ?? FormatOf(options.File);
        var features = store.ReadAllAsync(cancellationToken);
        var started = clock.GetTimestamp();
        if (options.File is { } file)
        {
            var count = await WriteFileAsync(file.FullName, format, features, cancellationToken);
            CommandReport.Write("The file is written", () => Report(Console.Out, count));
        }
        else
        {
            await using var output = OpenStandardOutput();
            var count = await WriteAsync("Standard output", output, format, features, cancellationToken);
            Leave(output);
            CommandReport.Write("All features are written", () => Report(Console.Error, count));
        }

        void Report(TextWriter text, long count)
        {
            var seconds = clock.GetElapsedTime(started).TotalSeconds;
            text.WriteLine(FormattableString.Invariant(
                $"Exported {count} features in {seconds:0.0} s ({count / Math.Max(seconds, 0.001):0} a second)."));
        }
    }

    /// <summary>
    /// Moves the position of the standard output, which a FileStream leaves where it was: another program that writes to the same file
    /// next, as in <c>{ export; echo; } > FILE</c>, goes on there.
    /// </summary>
    private static void Leave(Stream output)
    {
        const int FromStart = 0;
        if (output.CanSeek && !OperatingSystem.IsWindows())
        {
            _ = Seek(StandardOutput, output.Position, FromStart);
        }
    }

    [DllImport("libc", EntryPoint = "lseek")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern long Seek(int descriptor, long offset, int origin);

    /// <summary>The console's own stream says nothing where its reader has gone, and the export would be half of one.</summary>
    private static Stream OpenStandardOutput() => OperatingSystem.IsWindows()
        ? Console.OpenStandardOutput()
        : new FileStream(new SafeFileHandle(StandardOutput, ownsHandle: false), FileAccess.Write, bufferSize: 0);

    private static ExportFormat FormatOf(FileInfo? file)
    {
        var name = file?.Name ?? "";
        var end = Path.GetExtension(IsCompressed(name) ? name[..^Compressed.Length] : name).TrimStart('.');
        return Formats.TryGetValue(end, out var format)
            ? format
            : throw new FeatureFileException(
                $"The format is unknown; expected a FILE that ends in {string.Join(", ", Formats.Keys.Select(static key => $".{key}"))}, "
                + "with .gz or without, or --format.");
    }

    private static bool IsCompressed(string name) => name.EndsWith(Compressed, StringComparison.OrdinalIgnoreCase);

    /// <summary>Writes the file under another name first, so that it is complete or as it was.</summary>
    private static async Task<long> WriteFileAsync(
        string path, ExportFormat format, IAsyncEnumerable<FeatureContent> features, CancellationToken cancellationToken)
    {
        var isCompressed = IsCompressed(path);
        var draft = "";
        try
        {
            // A link stays one.
            path = new FileInfo(path) is { Exists: true } there && there.ResolveLinkTarget(returnFinalTarget: true) is { } target
                ? target.FullName
                : path;
            var mode = ModeOf(path);
            DropDrafts(path);
            draft = NewDraft(path);
            long count;

            // Locked until it has its name: another export drops drafts that are not.
            var share = OperatingSystem.IsWindows() ? FileShare.Delete : FileShare.None;
            var create = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = share };
            if (!OperatingSystem.IsWindows())
            {
                // Whom the file is hidden from, its draft is too.
                create.UnixCreateMode = mode;
            }

            await using var file = new FileStream(draft, create);
            if (isCompressed)
            {
                await using var gzip = new GZipStream(file, CompressionLevel.Optimal, leaveOpen: true);
                count = await WriteAsync(path, gzip, format, features, cancellationToken);
            }
            else
            {
                count = await WriteAsync(path, file, format, features, cancellationToken);
            }

            file.Flush(flushToDisk: true);
            if (mode is { } kept && !OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(draft, kept);
            }

            File.Move(draft, path, overwrite: true);
            return count;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw NotWritten(path, e);
        }
        finally
        {
            if (File.Exists(draft))
            {
                File.Delete(draft);
            }
        }
    }

    private static string NewDraft(string path) => $"{path}.{Guid.NewGuid():N}{Draft}";

    /// <summary>Deletes the drafts of exports to this file that were killed.</summary>
    private static void DropDrafts(string path)
    {
        var length = NewDraft(path).Length;
        try
        {
            foreach (var draft in Directory.EnumerateFiles(Path.GetDirectoryName(path)!, $"*{Draft}"))
            {
                if (draft.Length == length
                    && draft.StartsWith($"{path}.", StringComparison.Ordinal)
                    && Guid.TryParseExact(draft.AsSpan()[(path.Length + 1)..^Draft.Length], "N", out _))
                {
                    DropIfLeft(draft);
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Without the right to list the folder, the file itself can be written.
        }
    }

    private static void DropIfLeft(string draft)
    {
        try
        {
            new FileStream(draft, FileMode.Open, FileAccess.ReadWrite, FileShare.None, bufferSize: 0, FileOptions.DeleteOnClose).Dispose();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Another export is writing it.
        }
    }

    /// <summary>The permissions of the file that is there; null if none is.</summary>
    /// <exception cref="FeatureFileException">It may be a device or a pipe, which no file must replace: these look empty too.</exception>
    private static UnixFileMode? ModeOf(string path) => new FileInfo(path) switch
    {
        { Exists: false } => null,
        { Length: 0 } => throw new FeatureFileException(
            $"{path} exists and is empty, or no regular file; expected another name, or none for standard output."),
        var there => OperatingSystem.IsWindows() ? null : there.UnixFileMode,
    };

    private static async Task<long> WriteAsync(
        string name, Stream output, ExportFormat format, IAsyncEnumerable<FeatureContent> features, CancellationToken cancellationToken)
    {
        try
        {
            return await FeatureWriter.WriteAsync(output, format, features, cancellationToken);
        }
        catch (IOException e)
        {
            throw NotWritten(name, e);
        }
    }

    private static FeatureFileException NotWritten(string name, Exception cause) =>
        new($"{name} cannot be written: {cause.Message}", cause);
}
