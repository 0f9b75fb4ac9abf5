using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>
/// Notes in one SQLite file. The features have a file of their own, because an import locks its file for seconds and notes
/// must not wait for it. The calls are synchronous inside: a commit takes one sync of the disk.
/// </summary>
public sealed class SqliteNoteLog : INoteLog, IDisposable
{
    private const int SchemaVersion = 1;

    // AUTOINCREMENT: the number of a removed note is not given again.
    private const string Schema = """
        CREATE TABLE note
        (
            sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
            place     INTEGER NOT NULL, -- The Z-order code of latitude and longitude in E7.
            message   TEXT NOT NULL,
            author    BLOB NOT NULL,    -- The stream that posted it.
            note_id   TEXT UNIQUE,      -- Its author's own name for it.
            posted_at INTEGER NOT NULL  -- Milliseconds since 1970.
        ) STRICT;
        CREATE INDEX note_place ON note (place, sequence);
        """;

    private const string PathVariable = "RouteService__Sqlite__NotesPath";

    private const string Content = "notes";

    // Interval at which the notes of other processes are looked for, and their longest delay.
    private static readonly TimeSpan LookPeriod = TimeSpan.FromMilliseconds(50);

    private const string Columns = "SELECT sequence, place, message, author, note_id FROM note";

    private readonly string _path;
    private readonly TimeProvider _clock;
    private readonly Lock _writing = new();
    private readonly SqliteConnection _writer;

    // Used by checks alone, which must not wait for a commit.
    private readonly SqliteConnection _file;
    private readonly SqliteCommand _insert;

    // Whether the last write has failed. Then nothing but a write shows that there is room again.
    private bool _hasFailed;

    private SqliteNoteLog(string path, TimeProvider clock)
    {
        _path = path;
        _clock = clock;
        _writer = Connect(path, SqliteOpenMode.ReadWriteCreate);
        _file = Connect(path, SqliteOpenMode.ReadWrite);
        _insert = _writer.CreateCommand();
        _insert.CommandText = """
            INSERT INTO note (place, message, author, note_id, posted_at) VALUES ($place, $message, $author, $id, $time)
            ON CONFLICT (note_id) DO NOTHING RETURNING sequence
            """;
        foreach (var name in (string[])["$place", "$message", "$author", "$id", "$time"])
        {
            _insert.Parameters.Add(new SqliteParameter { ParameterName = name });
        }
    }

    /// <summary>Opens the log, and creates it if the file is missing.</summary>
    /// <exception cref="StoreUnavailableException">The file cannot be created, read or understood; the message says what to do.</exception>
    public static SqliteNoteLog Open(SqliteOptions options, TimeProvider clock)
    {
        var path = Path.GetFullPath(options.NotesPath);
        SqliteFile.CheckLink(path, PathVariable);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            var log = new SqliteNoteLog(path, clock);
            try
            {
                log.CheckFile();
                return log;
            }
            catch
            {
                log.Dispose();
                throw;
            }
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unusable(path, PathVariable, e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StoreUnavailableException(
                $"The database '{path}' cannot be created: {e.Message} "
                + $"Set {PathVariable} to a writable path.", e);
        }
    }

    public Task<IReadOnlyList<LoggedNote>> AppendAsync(IReadOnlyList<NewNote> notes, CancellationToken cancellationToken)
    {
        try
        {
            lock (_writing)
            {
                using var transaction = _writer.BeginTransaction();
                var kept = new LoggedNote[notes.Count];
                for (var i = 0; i < kept.Length; i++)
                {
                    kept[i] = InsertNeedsLock(notes[i], transaction);
                }

                transaction.Commit();
                _hasFailed = false;

                // After the commit: what is acknowledged was in the file at its path.
                _file.CheckInPlace(Content);
                return Task.FromResult<IReadOnlyList<LoggedNote>>(kept);
            }
        }
        catch (SqliteException e)
        {
            Volatile.Write(ref _hasFailed, true);
            throw SqliteErrors.Unavailable(e);
        }
    }

    /// <summary>Writes nothing unless the last write has failed.</summary>
    public Task CheckWritableAsync(CancellationToken cancellationToken)
    {
        try
        {
            lock (_writing)
            {
                _file.CheckInPlace(Content);
                _writer.CheckWritable(SchemaVersion, _hasFailed);
                _hasFailed = false;
                return Task.CompletedTask;
            }
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unavailable(e);
        }
    }

    public Task<long> ReadHeadAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var connection = ConnectReader();
            using var command = connection.CreateCommand();
            command.CommandText = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'note'";
            return Task.FromResult((long)command.ExecuteScalar()!);
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unavailable(e);
        }
    }

    public Task<IReadOnlyList<LoggedNote>> ReadAfterAsync(long after, int limit, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<LoggedNote>>(Read(
            $"{Columns} WHERE sequence > $bound ORDER BY sequence LIMIT $limit", locations: null, after, limit));

    public Task<IReadOnlyList<LoggedNote>> ReadAfterAsync(
        IReadOnlyCollection<Coordinate> locations, long after, int limit, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<LoggedNote>>(Read(
            $"{Columns} WHERE place IN (SELECT value FROM json_each($locations)) AND sequence > $bound ORDER BY sequence LIMIT $limit",
            locations,
            after,
            limit));

    public Task<IReadOnlyList<LoggedNote>> ReadBeforeAsync(
        IReadOnlyCollection<Coordinate> locations, long before, int limit, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<LoggedNote>>(Read(
            $"""
            SELECT * FROM (
                {Columns} WHERE place IN (SELECT value FROM json_each($locations)) AND sequence < $bound
                ORDER BY sequence DESC LIMIT $limit)
            ORDER BY sequence
            """,
            locations,
            before,
            limit));

    public Task<int> RemoveAsync(TimeSpan age, int limit, CancellationToken cancellationToken)
    {
        try
        {
            lock (_writing)
            {
                using var command = _writer.CreateCommand();
                command.CommandText = """
                    DELETE FROM note WHERE sequence IN (
                        SELECT sequence FROM (SELECT sequence, posted_at FROM note ORDER BY sequence LIMIT $limit) WHERE posted_at < $time)
                    """;
                command.Parameters.AddWithValue("$limit", limit);
                command.Parameters.AddWithValue("$time", (_clock.GetUtcNow() - age).ToUnixTimeMilliseconds());
                return Task.FromResult(command.ExecuteNonQuery());
            }
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unavailable(e);
        }
    }

    /// <inheritdoc/>
    /// <remarks>Two processes have the file during a rolling update.</remarks>
    public async IAsyncEnumerable<bool> ListenAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(LookPeriod, _clock);
        var seen = 0L;
        do
        {
            if (DataVersion() is { } version && version != seen)
            {
                seen = version;
                yield return true;
            }
        }
        while (await timer.WaitForNextTickAsync(cancellationToken));
    }

    public void Dispose()
    {
        lock (_writing)
        {
            _insert.Dispose();
            _writer.Dispose();
            _file.Dispose();
        }
    }

    /// <summary>
    /// Another number after each commit of another process: all of this one are the writer's own. Null while the writer is busy.
    /// </summary>
    private long? DataVersion()
    {
        if (!_writing.TryEnter())
        {
            return null;
        }

        try
        {
            using var command = _writer.CreateCommand();
            command.CommandText = "PRAGMA data_version";
            return (long)command.ExecuteScalar()!;
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unavailable(e);
        }
        finally
        {
            _writing.Exit();
        }
    }

    private LoggedNote InsertNeedsLock(NewNote note, SqliteTransaction transaction)
    {
        _insert.Transaction = transaction;
        _insert.Parameters[0].Value = ZOrder.Encode(note.Note.Location);
        _insert.Parameters[1].Value = note.Note.Message;
        _insert.Parameters[2].Value = note.Author.ToByteArray();
        _insert.Parameters[3].Value = note.Id ?? (object)DBNull.Value;
        _insert.Parameters[4].Value = _clock.GetUtcNow().ToUnixTimeMilliseconds();
        if (_insert.ExecuteScalar() is long sequence)
        {
            return new LoggedNote(sequence, note.Author, note.Note, note.Id);
        }

        using var find = _writer.CreateCommand();
        find.Transaction = transaction;
        find.CommandText = $"{Columns} WHERE note_id = $id";
        find.Parameters.AddWithValue("$id", note.Id);
        return Read(find).Single();
    }

    private List<LoggedNote> Read(string sql, IReadOnlyCollection<Coordinate>? locations, long bound, int limit)
    {
        try
        {
            using var connection = ConnectReader();
            using var command = connection.CreateCommand();
            command.CommandText = sql;
            command.Parameters.AddWithValue("$bound", bound);
            command.Parameters.AddWithValue("$limit", limit);
            if (locations is not null)
            {
                command.Parameters.AddWithValue("$locations", JsonSerializer.Serialize(locations.Select(ZOrder.Encode)));
            }

            return Read(command);
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unavailable(e);
        }
    }

    private static List<LoggedNote> Read(SqliteCommand command)
    {
        var notes = new List<LoggedNote>();
        using var reader = command.ExecuteReader();
        while (reader.Read())
        {
            notes.Add(new LoggedNote(
                reader.GetInt64(0),
                reader.GetGuid(3),
                new RouteNote(ZOrder.Decode(reader.GetInt64(1)), reader.GetString(2)),
                reader.IsDBNull(4) ? null : reader.GetString(4)));
        }

        return notes;
    }

    private void CheckFile()
    {
        using var command = _writer.CreateCommand();
        command.CommandText = "PRAGMA user_version";
        var version = (long)command.ExecuteScalar()!;
        command.CommandText = "SELECT count(*) FROM sqlite_schema";
        if (version == 0 && (long)command.ExecuteScalar()! == 0)
        {
            command.CommandText = $"BEGIN IMMEDIATE; {Schema} PRAGMA user_version = {SchemaVersion}; COMMIT";
            command.ExecuteNonQuery();
            return;
        }

        // The features' own file, too, where both settings name it.
        command.CommandText = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'note'";
        if (version == 0 || (long)command.ExecuteScalar()! == 0)
        {
            throw new StoreUnavailableException(
                $"The file '{_path}' has no table of notes: it is that of features, or of another program. "
                + $"Set {PathVariable} to another file.");
        }

        if (version > SchemaVersion)
        {
            throw SqliteErrors.Newer(_path, version, SchemaVersion);
        }
    }

    /// <summary>A connection of the pool for a read; reads are few, because the cache answers most.</summary>
    private SqliteConnection ConnectReader()
    {
        _file.CheckInPlace(Content);
        return Connect(_path, SqliteOpenMode.ReadWrite);
    }

    private static SqliteConnection Connect(string path, SqliteOpenMode mode)
    {
        var connection = new SqliteConnection(
            new SqliteConnectionStringBuilder { DataSource = path, Mode = mode, DefaultTimeout = 10 }.ToString());
        try
        {
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL";
            command.ExecuteNonQuery();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }
}
