using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>The file: created whole or not at all, and checked when it is opened.</summary>
public sealed partial class SqliteFeatureStore
{
    private const int SchemaVersion = 3;

    // A file up to this size is checked in full when it is opened; damage in a larger one shows when a read meets it.
    private const long CheckedWhole = 64 * 1024 * 1024;

    // Longest wait for another program's write.
    private const int BusyTimeoutMilliseconds = 10_000;

    /// <summary>Longest wait of a write for that of another program.</summary>
    public static readonly TimeSpan BusyTimeout = TimeSpan.FromMilliseconds(BusyTimeoutMilliseconds);

    private const string PathVariable = "RouteService__Sqlite__Path";

    private const string Schema = """
        CREATE TABLE feature
        (
            place INTEGER PRIMARY KEY, -- The Z-order code of latitude and longitude in E7.
            name  TEXT NOT NULL
        ) STRICT;
        """;

    // What makes a file of the third version out of one of the second.
    private static readonly string ChangesUpgrade = $"""
        CREATE TABLE feature_change
        (
            sequence   INTEGER PRIMARY KEY, -- The last one stays, because the next is one above.
            changed_at INTEGER NOT NULL,
            kind       INTEGER NOT NULL, -- 1 created, 2 updated, 3 deleted, 4 reset: anything may have changed.
            place      INTEGER NOT NULL
        ) STRICT;
        PRAGMA user_version = {SchemaVersion};
        """;

    private const string NextRevisionSql = "UPDATE feature_revision SET revision = revision + 1 RETURNING revision";

    /// <summary>Opens the store, and creates it if the file is missing.</summary>
    /// <param name="options">Path of the file.</param>
    /// <param name="seed">Features of a new store; null for none.</param>
    /// <param name="clock">Measures the age of snapshots.</param>
    /// <param name="cancellationToken">Leaves no file.</param>
    /// <exception cref="StoreUnavailableException">The file cannot be created, read or understood; the message says what to do.</exception>
    public static async Task<SqliteFeatureStore> OpenAsync(
        SqliteOptions options, IAsyncEnumerable<Feature>? seed, TimeProvider clock, CancellationToken cancellationToken)
    {
        var path = Path.GetFullPath(options.Path);
        SqliteFile.CheckLink(path, PathVariable);
        MakeFolder(path);
        if (!File.Exists(path))
        {
            await MakeFileAsync(path, seed, clock, cancellationToken);
        }

        try
        {
            var file = Connect(path, SqliteOpenMode.ReadWrite);
            try
            {
                CheckFile(file, path, clock);
                return new SqliteFeatureStore(path, file, clock);
            }
            catch
            {
                await file.DisposeAsync();
                throw;
            }
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unusable(path, PathVariable, e);
        }
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
                $"The folder of the database '{path}' cannot be created: {e.Message} "
                + $"Set {PathVariable} to a writable path.", e);
        }
    }

    /// <summary>Makes the file under another name first, so that a file with the real name is complete even after a crash.</summary>
    private static async Task MakeFileAsync(
        string path, IAsyncEnumerable<Feature>? seed, TimeProvider clock, CancellationToken cancellationToken)
    {
        var draft = $"{path}.{Guid.NewGuid():N}.new";
        try
        {
            using (var connection = Connect(draft, SqliteOpenMode.ReadWriteCreate))
            {
                Execute(connection, $"BEGIN; {Schema} {WritesUpgrade(clock)} {ChangesUpgrade} COMMIT;");
            }

            if (seed is not null)
            {
                using var store = new SqliteFeatureStore(draft, Connect(draft, SqliteOpenMode.ReadWrite), clock);
                await store.ImportAsync(
                    seed.Select(static feature => new FeatureContent(feature.Location, feature.Name, Properties.Empty)),
                    new FeatureImport(Replace: false),
                    cancellationToken);
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
                $"The database '{path}' cannot be created: {e.Message} Set {PathVariable} to a writable path.", e);
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

    /// <summary>
    /// What makes a file of the second version out of one of the first; its features have the revision 0 and this time. Properties are
    /// beside the features, whose rows stay as narrow as the classic calls read them.
    /// </summary>
    private static string WritesUpgrade(TimeProvider clock) => $"""
        ALTER TABLE feature ADD COLUMN revision INTEGER NOT NULL DEFAULT 0; -- Of the last write; the etag.
        ALTER TABLE feature ADD COLUMN created_at INTEGER NOT NULL DEFAULT {clock.GetUtcNow().ToUnixTimeMilliseconds()}; -- Since 1970.
        ALTER TABLE feature ADD COLUMN updated_at INTEGER; -- Null where the feature is as it was created.
        CREATE TABLE feature_properties (place INTEGER PRIMARY KEY, properties TEXT NOT NULL) STRICT;
        CREATE TABLE feature_revision (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), revision INTEGER NOT NULL) STRICT;
        INSERT INTO feature_revision VALUES (1, 0);
        CREATE TABLE feature_request
        (
            request_id   BLOB PRIMARY KEY, -- The caller's own name for a write.
            fingerprint  INTEGER NOT NULL, -- What the write was, so that another with the same id is refused.
            requested_at INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX feature_request_time ON feature_request (requested_at);
        """;

    private static void CheckFile(SqliteConnection connection, string path, TimeProvider clock)
    {
        var version = Scalar(connection, "PRAGMA user_version");
        var tables = Scalar(connection, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'");
        if (version == 0 && tables == 0)
        {
            // An empty file, as a mount or touch creates it.
            Execute(connection, $"BEGIN IMMEDIATE; {Schema} {WritesUpgrade(clock)} {ChangesUpgrade} COMMIT;");
            version = SchemaVersion;
        }

        if (version == 0 || Scalar(connection, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'feature'") == 0)
        {
            throw new StoreUnavailableException(
                $"The file '{path}' is a database of another program. Set {PathVariable} to another file.");
        }

        if (version > SchemaVersion)
        {
            throw SqliteErrors.Newer(path, version, SchemaVersion);
        }

        if (version < SchemaVersion)
        {
            Upgrade(connection, clock);
        }

        if (Scalar(connection, "SELECT count(*) FROM feature_revision") != 1)
        {
            throw new StoreUnavailableException(SqliteErrors.Damaged(path));
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

    /// <summary>Brings a file of an earlier version to this one, unless another process has just done so.</summary>
    private static void Upgrade(SqliteConnection connection, TimeProvider clock)
    {
        Execute(connection, "BEGIN IMMEDIATE");
        var version = Scalar(connection, "PRAGMA user_version");
        if (version == 1)
        {
            Execute(connection, WritesUpgrade(clock));
        }

        if (version < SchemaVersion)
        {
            Execute(connection, ChangesUpgrade);
        }

        Execute(connection, "COMMIT");
    }

    /// <exception cref="StoreUnavailableException">The store's path leads to another file than the open one, or to none.</exception>
    private SqliteConnection Connect()
    {
        _file.CheckInPlace(Content);
        return Connect(_path, SqliteOpenMode.ReadWrite);
    }

    /// <summary>
    /// Opens a connection with our settings. In WAL mode readers and one writer do not wait for each other, and a killed process loses
    /// nothing it has committed; FULL extends that to a power cut, at one sync for each import.
    /// </summary>
    private static SqliteConnection Connect(string path, SqliteOpenMode mode)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Mode = mode,
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
