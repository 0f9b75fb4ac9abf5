using System.Data;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using NpgsqlTypes;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using static RouteService.Infrastructure.Postgis.PostgisParameters;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Notes in PostgreSQL, for any number of replicas. The table is the truth. A commit notifies with the sequence it has reached; the
/// notification is only a hint, and a lost one delays readers by <see cref="Patience"/> at most. All reads go to the primary, because a
/// standby may lag.
/// </summary>
public sealed class PostgisNoteLog(PostgisDatabase database) : INoteLog
{
    private const string Channel = "route_note";

    // The row lock on note_head is held until the commit, so batches of all replicas commit one after the other, in the order of their
    // sequences. A note whose id is in the log already returns no row.
    private const string AppendSql = """
        WITH head AS (UPDATE note_head SET sequence = sequence + $6 RETURNING sequence - $6 AS base)
        INSERT INTO note (sequence, latitude, longitude, message, author, note_id)
        SELECT head.base + n.i, n.latitude, n.longitude, n.message, n.author, n.note_id
        FROM head, unnest($1, $2, $3, $4, $5) WITH ORDINALITY AS n (latitude, longitude, message, author, note_id, i)
        ORDER BY n.i
        ON CONFLICT (note_id) DO NOTHING
        RETURNING sequence, (SELECT base FROM head)
        """;

    private const string NotifySql = $"SELECT pg_notify('{Channel}', sequence::text) FROM note_head";

    private const string HasHeadSql =
        "SELECT EXISTS (SELECT FROM note_head WHERE sequence >= coalesce((SELECT max(sequence) FROM note), 0))";

    private const string MayMendSql = """
        SELECT pg_has_role(relowner, 'USAGE') AND NOT current_setting('transaction_read_only')::boolean
        FROM pg_class WHERE oid = 'note_head'::regclass
        """;

    private const string MendHeadSql = """
        INSERT INTO note_head AS head (only_row, sequence) SELECT true, coalesce(max(sequence), 0) FROM note
        ON CONFLICT (only_row) DO UPDATE SET sequence = excluded.sequence WHERE head.sequence < excluded.sequence
        """;

    private const string Columns = "SELECT n.sequence, n.latitude, n.longitude, n.message, n.author, n.note_id";

    private const string FindSql = $"{Columns} FROM note AS n WHERE n.note_id = ANY ($1)";

    private const string AfterSql = $"{Columns} FROM note AS n WHERE n.sequence > $1 ORDER BY n.sequence LIMIT $2";

    // One scan of each location's part of the index, up to the limit.
    private const string AfterAtSql = $"""
        {Columns} FROM unnest($3, $4) AS location (latitude, longitude)
        CROSS JOIN LATERAL (
            SELECT * FROM note WHERE latitude = location.latitude AND longitude = location.longitude AND sequence > $1
            ORDER BY sequence LIMIT $2) AS n
        ORDER BY n.sequence LIMIT $2
        """;

    private const string BeforeAtSql = $"""
        SELECT * FROM (
            {Columns} FROM unnest($3, $4) AS location (latitude, longitude)
            CROSS JOIN LATERAL (
                SELECT * FROM note WHERE latitude = location.latitude AND longitude = location.longitude AND sequence < $1
                ORDER BY sequence DESC LIMIT $2) AS n
            ORDER BY n.sequence DESC LIMIT $2) AS newest
        ORDER BY sequence
        """;

    private static readonly NewNote Probe = new(default, new RouteNote(default, ""), Id: null);

    // Whether the last write has failed, as for want of a right, of room on the disk, or of a lock that another holds. Then nothing but a
    // write shows that it can be done.
    private bool _hasFailed;

    /// <summary>How long a lost notification can delay the notes of other replicas.</summary>
    internal TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// A batch whose connection was lost is sent again if all of its notes have ids, since such a note is kept once.
    /// </summary>
    public async Task<IReadOnlyList<LoggedNote>> AppendAsync(IReadOnlyList<NewNote> notes, CancellationToken cancellationToken)
    {
        try
        {
            var logged = await database.WriteAsync(
                async (connection, token) =>
                {
                    var kept = await InsertAsync(connection, notes, "COMMIT", token);
                    if (kept.Any(static note => note.Sequence == 0))
                    {
                        await FindAsync(connection, notes, kept, token);
                    }

                    return kept;
                },
                mayRepeat: notes.All(static note => note.Id is not null),
                cancellationToken);
            Volatile.Write(ref _hasFailed, false);
            return logged;
        }
        catch (StoreUnavailableException e) when (e.Failure is StoreFailure.Unreachable or StoreFailure.TooSlow)
        {
            Volatile.Write(ref _hasFailed, true);
            throw;
        }
    }

    public Task<long> ReadHeadAsync(CancellationToken cancellationToken) => database.ReadPrimaryAsync(
        static async (connection, token) =>
        {
            await using var context = new RouteDbContext(connection);
            return await context.NoteHeads.Select(static head => (long?)head.Sequence).SingleOrDefaultAsync(token)
                ?? throw PostgisErrors.NoHead();
        },
        cancellationToken);

    public Task<IReadOnlyList<LoggedNote>> ReadAfterAsync(long after, int limit, CancellationToken cancellationToken) =>
        ReadAsync(AfterSql, locations: null, after, limit, cancellationToken);

    public Task<IReadOnlyList<LoggedNote>> ReadAfterAsync(
        IReadOnlyCollection<Coordinate> locations, long after, int limit, CancellationToken cancellationToken) =>
        ReadAsync(AfterAtSql, locations, after, limit, cancellationToken);

    public Task<IReadOnlyList<LoggedNote>> ReadBeforeAsync(
        IReadOnlyCollection<Coordinate> locations, long before, int limit, CancellationToken cancellationToken) =>
        ReadAsync(BeforeAtSql, locations, before, limit, cancellationToken);

    public Task<int> RemoveAsync(TimeSpan age, int limit, CancellationToken cancellationToken) => database.WriteAsync(
        async (connection, token) =>
        {
            await using var context = new RouteDbContext(connection);
            await using var transaction = await context.Database.BeginTransactionAsync(IsolationLevel.ReadCommitted, token);

            // Looks at the oldest notes only: the table has no index by time, because sequence and time ascend together.
            var before = await context.NowAsync(token) - age;
            var old = context.Notes.OrderBy(static note => note.Sequence).Take(limit).Where(note => note.PostedAt < before);
            var removed = await context.Notes
                .Where(note => old.Select(static other => other.Sequence).Contains(note.Sequence))
                .ExecuteDeleteAsync(token);
            await transaction.CommitAsync(token);
            return removed;
        },
        mayRepeat: true,
        cancellationToken);

    /// <summary>Writes nothing unless the last write has failed, and then takes it back.</summary>
    public async Task CheckWritableAsync(CancellationToken cancellationToken)
    {
        await database.CheckWritableAsync(cancellationToken);
        if (!await database.ReadPrimaryAsync(HasHeadAsync, cancellationToken))
        {
            throw PostgisErrors.NoHead();
        }

        if (Volatile.Read(ref _hasFailed))
        {
            await database.WriteAsync(
                static (connection, token) => InsertAsync(connection, [Probe], "ROLLBACK", token),
                mayRepeat: true,
                cancellationToken);
            Volatile.Write(ref _hasFailed, false);
        }
    }

    public IAsyncEnumerable<bool> ListenAsync(CancellationToken cancellationToken) =>
        database.ListenAsync(Channel, Patience, cancellationToken);

    /// <summary>
    /// Makes the row of note_head if it is missing, and raises it to the newest note if it is behind, as after a restore of some tables.
    /// </summary>
    internal static async Task MendHeadAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // Only the owner of the tables: others need no right on them to migrate, and a standby gets it from its primary.
        if (await IsTrueAsync(connection, MayMendSql, cancellationToken) && !await HasHeadAsync(connection, cancellationToken))
        {
            await using var mend = new NpgsqlCommand(MendHeadSql, connection);
            await mend.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    private static Task<bool> HasHeadAsync(NpgsqlConnection connection, CancellationToken cancellationToken) =>
        IsTrueAsync(connection, HasHeadSql, cancellationToken);

    private static async Task<bool> IsTrueAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    /// <summary>Makes a transaction with these notes, and ends it with COMMIT or ROLLBACK.</summary>
    /// <returns>Each note with its sequence; 0 if the log has a note with its id already, or the database drops it.</returns>
    private static async Task<LoggedNote[]> InsertAsync(
        NpgsqlConnection connection, IReadOnlyList<NewNote> notes, string end, CancellationToken cancellationToken)
    {
        // One round trip, because the row of note_head is locked until its end. The isolation level is set because a role may have another
        // by default, and then batches of two replicas would end each other with 40001.
        await using var batch = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new NpgsqlBatchCommand("BEGIN ISOLATION LEVEL READ COMMITTED"),
                new NpgsqlBatchCommand(AppendSql)
                {
                    Parameters =
                    {
                        Array(NpgsqlDbType.Integer, notes.Select(static note => note.Note.Location.LatitudeE7)),
                        Array(NpgsqlDbType.Integer, notes.Select(static note => note.Note.Location.LongitudeE7)),
                        Array(NpgsqlDbType.Text, notes.Select(static note => note.Note.Message)),
                        Array(NpgsqlDbType.Uuid, notes.Select(static note => note.Author)),
                        Array(NpgsqlDbType.Text, notes.Select(static note => note.Id)),
                        new NpgsqlParameter<long> { TypedValue = notes.Count },
                    },
                },
                new NpgsqlBatchCommand(NotifySql),
                new NpgsqlBatchCommand(end),
            },
        };
        var kept = new LoggedNote[notes.Count];
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var sequence = reader.GetInt64(0);
            var i = (int)(sequence - reader.GetInt64(1) - 1);
            kept[i] = new LoggedNote(sequence, notes[i].Author, notes[i].Note, notes[i].Id);
        }

        // Read to the end, where an error of the commit is reported. The notification has a row if note_head has.
        var hasHead = false;
        while (await reader.NextResultAsync(cancellationToken))
        {
            hasHead |= await reader.ReadAsync(cancellationToken);
        }

        return hasHead ? kept : throw PostgisErrors.NoHead();
    }

    /// <summary>Finds the notes that have the ids of the notes that were not kept.</summary>
    private static async Task FindAsync(
        NpgsqlConnection connection, IReadOnlyList<NewNote> notes, LoggedNote[] kept, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(FindSql, connection);
        command.Parameters.Add(Array(NpgsqlDbType.Text, notes.Where((_, i) => kept[i].Sequence == 0).Select(static note => note.Id)));
        var found = (await ReadAsync(command, cancellationToken)).ToDictionary(static note => note.Id!, StringComparer.Ordinal);
        for (var i = 0; i < kept.Length; i++)
        {
            if (kept[i].Sequence == 0)
            {
                kept[i] = notes[i].Id is { } id ? found.GetValueOrDefault(id) : default;
            }
        }
    }

    private Task<IReadOnlyList<LoggedNote>> ReadAsync(
        string sql, IReadOnlyCollection<Coordinate>? locations, long bound, int limit, CancellationToken cancellationToken) =>
        database.ReadPrimaryAsync<IReadOnlyList<LoggedNote>>(
            async (connection, token) =>
            {
                await using var command = new NpgsqlCommand(sql, connection);
                command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = bound });
                command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
                if (locations is not null)
                {
                    command.Parameters.Add(Array(NpgsqlDbType.Integer, locations.Select(static location => location.LatitudeE7)));
                    command.Parameters.Add(Array(NpgsqlDbType.Integer, locations.Select(static location => location.LongitudeE7)));
                }

                return await ReadAsync(command, token);
            },
            cancellationToken);

    private static async Task<List<LoggedNote>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        var notes = new List<LoggedNote>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            notes.Add(new LoggedNote(
                reader.GetInt64(0),
                reader.GetGuid(4),
                new RouteNote(new Coordinate(reader.GetInt32(1), reader.GetInt32(2)), reader.GetString(3)),
                reader.GetValue(5) as string));
        }

        return notes;
    }
}
