using System.Security.Cryptography;
using RouteService.Api.Errors;

namespace RouteService.Api.Security;

/// <summary>Data that a setting names, and that the service reloads while it runs.</summary>
internal interface IReloaded
{
    /// <summary>The variable of the setting.</summary>
    string Setting { get; }

    /// <summary>Whether the newest version cannot be used, so that an earlier one is in use, or none.</summary>
    bool IsStale { get; }
}

/// <summary>A file, or several that belong together, reloaded when the content changes.</summary>
internal interface IWatchedFile : IReloaded
{
    /// <summary>Reloads the file if its content has changed. Logs the reload, or once each reason why the file cannot be used.</summary>
    void Reload(ILogger logger);
}

internal static class WatchedFileExtensions
{
    /// <summary>Registers a file that has been read, for reloading and for metrics of its state.</summary>
    public static void AddWatchedFile<T>(this IServiceCollection services, WatchedFile<T> file)
        where T : class
    {
        services.AddSingleton(file);
        services.AddSingleton<IWatchedFile>(file);
        services.AddSingleton<IReloaded>(file);
    }
}

/// <summary>
/// The content of files: read at the start, and again when their bytes change (<see cref="FileReloader"/>). Bytes are compared, because
/// Kubernetes changes a mounted secret by changing a link, which leaves no trace at the file itself.
/// </summary>
internal sealed partial class WatchedFile<T> : IWatchedFile
    where T : class
{
    // Far more than keys, certificates and lists of callers need.
    private const int MaxBytes = 16 << 20;

    private readonly (string Variable, string Path)[] _files;
    private readonly Func<T> _read;
    private byte[] _hash;
    private volatile T _current;
    private volatile int _version;
    private volatile string? _problem;

    /// <param name="files">
    /// The file, and those that are read with it, each with the setting that names it in errors; null for one that is not configured.
    /// </param>
    /// <param name="read">Reads the files.</param>
    /// <exception cref="SettingException">A file cannot be read or used.</exception>
    public WatchedFile((string Variable, string? Path)[] files, Func<T> read)
    {
        _files = [.. from file in files where file.Path is not null select (file.Variable, file.Path)];
        _read = read;
        (_hash, _current) = (Hash(), OrRefuse(_files[0], _read));
    }

    public string Setting => _files[0].Variable;

    public bool IsStale => _problem is not null;

    public T Current => _current;

    /// <summary>Grows with each change of <see cref="Current"/>.</summary>
    public int Version => _version;

    public void Reload(ILogger logger)
    {
        try
        {
            var hash = Hash();
            if (!hash.AsSpan().SequenceEqual(_hash))
            {
                _current = OrRefuse(_files[0], _read);
                _hash = hash;
                _version++;
                Log.Reloaded(logger, _files[0].Path);
            }

            _problem = null;
        }
        catch (SettingException e)
        {
            if (!string.Equals(e.Message, _problem, StringComparison.Ordinal))
            {
                _problem = e.Message;
                Log.NotReloaded(logger, e.Message);
            }
        }
    }

    private byte[] Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in _files)
        {
            hash.AppendData(OrRefuse(file, () => ReadAll(file.Path)));
        }

        return hash.GetHashAndReset();
    }

    private static byte[] ReadAll(string path)
    {
        if (string.IsNullOrWhiteSpace(path))
        {
            throw new FormatException("expected the path of a file.");
        }

        if (Directory.Exists(path))
        {
            throw new FormatException("it is a folder; expected a file.");
        }

        // The length is checked before the file is opened: a pipe would wait for its other end, and a device may be endless.
        var entry = new FileInfo(path);
        return ((FileInfo)(entry.ResolveLinkTarget(returnFinalTarget: true) ?? entry)).Length switch
        {
            0 => throw new FormatException("it is empty, or no regular file."),
            > MaxBytes and var length => throw new FormatException($"it has {length} bytes; expected at most {MaxBytes}."),
            _ => File.ReadAllBytes(path),
        };
    }

    private static TResult OrRefuse<TResult>((string Variable, string Path) file, Func<TResult> read)
    {
        try
        {
            return read();
        }
        catch (Exception e)
            when (e is CryptographicException or IOException or UnauthorizedAccessException or ArgumentException or FormatException)
        {
            throw new SettingException($"{file.Variable} is '{file.Path}', which cannot be used: {e.Message.ReplaceLineEndings(" ")}");
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Path} has changed and is in use.")]
        public static partial void Reloaded(ILogger logger, string path);

        [LoggerMessage(2, LogLevel.Error, "{Problem} Keeping the previous version.")]
        public static partial void NotReloaded(ILogger logger, string problem);
    }
}
