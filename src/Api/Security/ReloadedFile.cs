using System.Security.Cryptography;
using RouteService.Api.Errors;

namespace RouteService.Api.Security;

/// <summary>A file, or a few that belong together, whose content is used anew when it changes.</summary>
internal interface IReloadedFile
{
    string Path { get; }

    /// <summary>Looks whether the content is another, and takes it.</summary>
    /// <returns>Whether it was another.</returns>
    /// <exception cref="SettingException">It is another and cannot be used; what was there before stays in use. Thrown once for each content.</exception>
    bool Reload();
}

/// <summary>
/// What stands in files: read at the start, and again when their bytes change. By their bytes, because Kubernetes changes a mounted secret by
/// changing a link, which leaves no trace at the file itself.
/// </summary>
internal sealed class ReloadedFile<T> : IReloadedFile
    where T : class
{
    private readonly string _variable;
    private readonly string[] _paths;
    private readonly Func<T> _read;
    private byte[] _hash;
    private volatile T _current;

    /// <summary>Reads for the first time.</summary>
    /// <param name="variable">The setting that names the file, for the errors.</param>
    /// <param name="paths">The file, and those that are read with it; null for one that there is not.</param>
    /// <param name="read">Makes of them what is used.</param>
    /// <exception cref="SettingException">They cannot be read or used.</exception>
    public ReloadedFile(string variable, string?[] paths, Func<T> read)
    {
        _variable = variable;
        _paths = [.. paths.OfType<string>()];
        _read = read;
        (_hash, _current) = OrRefuse(() => (Hash(), _read()));
    }

    public string Path => _paths[0];

    public T Current => _current;

    public bool Reload()
    {
        var hash = OrRefuse(Hash);
        if (hash.AsSpan().SequenceEqual(_hash))
        {
            return false;
        }

        _hash = hash;
        _current = OrRefuse(_read);
        return true;
    }

    private byte[] Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var path in _paths)
        {
            hash.AppendData(File.ReadAllBytes(path));
        }

        return hash.GetHashAndReset();
    }

    private TResult OrRefuse<TResult>(Func<TResult> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException or ArgumentException or FormatException)
        {
            throw new SettingException($"{_variable} is '{Path}', which cannot be used: {e.Message.ReplaceLineEndings(" ")}");
        }
    }
}

/// <summary>Opens files whose content is used again when it changes, and reloads them.</summary>
internal sealed partial class FileReloader(TimeProvider clock, ILogger<FileReloader> logger) : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    private readonly List<IReloadedFile> _files = [];

    /// <inheritdoc cref="ReloadedFile{T}(string, string[], Func{T})"/>
    public ReloadedFile<T> Open<T>(string variable, string?[] paths, Func<T> read)
        where T : class
    {
        var file = new ReloadedFile<T>(variable, paths, read);
        _files.Add(file);
        return file;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // A file that cannot be read stays so for a while; it is said once.
        var said = new Dictionary<IReloadedFile, string>();
        using var timer = new PeriodicTimer(Period, clock);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            foreach (var file in _files)
            {
                try
                {
                    if (file.Reload())
                    {
                        Log.Reloaded(logger, file.Path);
                    }

                    said.Remove(file);
                }
                catch (SettingException e)
                {
                    if (!said.TryGetValue(file, out var last) || !string.Equals(last, e.Message, StringComparison.Ordinal))
                    {
                        Log.NotReloaded(logger, e.Message);
                        said[file] = e.Message;
                    }
                }
            }
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
