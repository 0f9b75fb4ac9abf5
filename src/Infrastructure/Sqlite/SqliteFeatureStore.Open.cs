using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>The file: made whole or not at all, and checked when it is opened.</summary>
public sealed partial class SqliteFeatureStore
{
    private const int SchemaVersion = 1;

    // A file up to this size is checked in full when it is opened; damage in a larger one shows when a read meets it.
    private const long CheckedWhole = 64 * 1024 * 1024;

    // How long another program's write is waited for.
    private const int BusyTimeoutMilliseconds = 10_000;

    private const string PathVariable = "RouteService__Sqlite__Path";

    private const string Schema = """
        CREATE TABLE feature
        (
            place INTEGER PRIMARY KEY, -- The Z-order code of latitude and longitude in E7.
            name  TEXT NOT NULL
        ) STRICT;
        """;

    /// <summary>Opens the store, and makes it where the file is missing.</summary>
    /// <param name="options">Where.</param>
    /// <param name="seed">What a new store starts with; null for nothing.</param>
    /// <param name="clock">For the age of snapshots.</param>
    /// <param name="cancellationToken">Leaves no file.</param>
    /// <exception cref="StoreUnavailableException">The file cannot be made, read or understood; says why and what to do.</exception>
    public static async Task<SqliteFeatureStore> OpenAsync(
        SqliteOptions options, IAsyncEnumerable<Feature>? seed, TimeProvider clock, CancellationToken cancellationToken)
    {
        var path = Path.GetFullPath(options.Path);
        MakeFolder(path);
        if (!File.Exists(path))
        {
            await MakeFileAsync(path, seed, clock, cancellationToken);
        }

        try
        {
            using var connection = Connect(path);
            CheckFile(connection, path);
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unusable(path, PathVariable, e);
        }

        return new SqliteFeatureStore(path, clock);
    }

    private static void MakeFolder(string path)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StoreUnavailableException(
                $"The folder of the database '{path}' cannot be made: {e.Message} "
                + $"Set {PathVariable} to a place that can be written.", e);
        }
    }

    /// <summary>Makes the file under another name first, so that a file with the real name is complete even after a crash.</summary>
    private static async Task MakeFileAsync(
        string path, IAsyncEnumerable<Feature>? seed, TimeProvider clock, CancellationToken cancellationToken)
    {
        var draft = $"{path}.{Guid.NewGuid():N}.new";
        try
        {
            using (var connection = Connect(draft))
            {
                Execute(connection, $"{Schema} PRAGMA user_version = {SchemaVersion};");
            }

            if (seed is not null)
            {
                using var store = new SqliteFeatureStore(draft, clock);
                await store.ImportAsync(seed, replace: false, cancellationToken);
            }

            // The last connection to close has brought the write-ahead log into the file.
            DeleteOrphanedLog(path);
            File.Move(draft, path, overwrite: false);
        }
        catch (IOException) when (File.Exists(path))
        {
            // Another process started at the same time and was first.
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unusable(path, PathVariable, e);
        }
        catch (StoreUnavailableException e) when (e.InnerException is SqliteException cause)
        {
            // From the import of the seed.
            throw SqliteErrors.Unusable(path, PathVariable, cause);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StoreUnavailableException(
                $"The database '{path}' cannot be made: {e.Message} Set {PathVariable} to a place that can be written.", e);
        }
        finally
        {
            DeleteFile(draft);
        }
    }

    /// <summary>
    /// Deletes an orphaned WAL: SQLite would replay it into the new file. The log is looked for before the file, because a live log implies
    /// its file.
    /// </summary>
    private static void DeleteOrphanedLog(string path)
    {
        if ((File.Exists(path + "-wal") || File.Exists(path + "-shm")) && !File.Exists(path))
        {
            File.Delete(path + "-wal");
            File.Delete(path + "-shm");
        }
    }

    private static void DeleteFile(string path)
    {
        foreach (var suffix in (string[])["", "-wal", "-shm"])
        {
            try
            {
                File.Delete(path + suffix);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Where a file cannot be deleted it could not be made, which is told.
            }
        }
    }

    private static void CheckFile(SqliteConnection connection, string path)
    {
        var version = Scalar(connection, "PRAGMA user_version");
        var tables = Scalar(connection, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'");
        if (version == 0 && tables == 0)
        {
            // An empty file, as a mount or a touch makes it.
            Execute(connection, $"BEGIN IMMEDIATE; {Schema} PRAGMA user_version = {SchemaVersion}; COMMIT;");
            version = SchemaVersion;
        }

        if (version > SchemaVersion)
        {
            throw new StoreUnavailableException(
                $"The database '{path}' has schema version {version}, and this program knows up to {SchemaVersion}. "
                + "Run a newer version of it.");
        }

        if (version == 0 || Scalar(connection, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'feature'") == 0)
        {
            throw new StoreUnavailableException(
                $"The file '{path}' is a database of another program. Set {PathVariable} to another file.");
        }

        if (new FileInfo(path).Length <= CheckedWhole)
        {
            using var check = connection.CreateCommand();
            check.CommandText = "PRAGMA quick_check(1)";
            if (check.ExecuteScalar() is not "ok")
            {
                throw new StoreUnavailableException(SqliteErrors.Damaged(path));
            }
        }
    }

    /// <summary>
    /// Opens a connection with our settings. In WAL mode readers and one writer do not wait for each other, and a killed process loses
    /// nothing it has committed; FULL extends that to a power cut, at one sync for each import.
    /// </summary>
    private static SqliteConnection Connect(string path)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Pooling = false, // The readers are our pool.
            DefaultTimeout = BusyTimeoutMilliseconds / 1_000,
        }.ToString());
        try
        {
            connection.Open();
            Execute(connection, $"PRAGMA busy_timeout = {BusyTimeoutMilliseconds}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static long Scalar(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return (long)command.ExecuteScalar()!;
    }
}
