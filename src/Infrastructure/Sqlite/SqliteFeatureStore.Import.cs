using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using SQLitePCL;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>
/// Import. The records are appended to a temporary table on disk, which blocks no other connection and vanishes if the process dies. One
/// transaction then sorts them by the key and merges them, so that the file is written from front to back; other writers wait for that.
/// </summary>
public sealed partial class SqliteFeatureStore
{
    // In KiB: the memory that sorting and writing may use before they spill to disk.
    private const int ImportCache = 64 * 1024;

    // How often a long statement checks for cancellation, in steps of SQLite's machine: about a millisecond.
    private const int StepsPerLook = 50_000;

    // Made by the first import with an id. Earlier programs do not know it, and need not.
    private const string RequestTableSql = """
        CREATE TABLE IF NOT EXISTS feature_import
        (
            request_id  BLOB PRIMARY KEY, -- Of feature_request.
            read        INTEGER NOT NULL,
            superseded  INTEGER NOT NULL,
            overwritten INTEGER NOT NULL,
            total       INTEGER NOT NULL
        ) STRICT
        """;

    public async ValueTask<ImportSummary> ImportAsync(
        IAsyncEnumerable<FeatureContent> features, FeatureImport import, CancellationToken cancellationToken)
    {
        try
        {
            using var connection = Connect();
            var staged = await StageAsync(connection, features, cancellationToken);
            await _writing.WaitAsync(cancellationToken);
            try
            {
                Execute(connection, $"PRAGMA cache_size = -{ImportCache}");
                var summary = Merge(connection, staged, import, _clock.GetUtcNow(), cancellationToken);
                Committed();
                ShortenLog(connection);
                return summary;
            }
            finally
            {
                _writing.Release();
            }
        }
        catch (SqliteException e) when (e.SqliteErrorCode == raw.SQLITE_INTERRUPT && cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException("The import was cancelled.", e, cancellationToken);
        }
        catch (SqliteException e)
        {
            throw WriteFailed(e);
        }
    }

    private static async Task<StagedRecords> StageAsync(
        SqliteConnection connection, IAsyncEnumerable<FeatureContent> features, CancellationToken cancellationToken)
    {
        Execute(connection, """
            CREATE TEMP TABLE import (record INTEGER PRIMARY KEY, place INTEGER NOT NULL, name TEXT NOT NULL, properties TEXT) STRICT
            """);
        using var transaction = connection.BeginTransaction(deferred: true);
        using var insert = connection.CreateCommand();
        insert.Transaction = transaction;
        insert.CommandText = "INSERT INTO temp.import (place, name, properties) VALUES ($place, $name, $properties)";
        var place = insert.Parameters.Add("$place", SqliteType.Integer);
        var name = insert.Parameters.Add("$name", SqliteType.Text);
        var properties = insert.Parameters.Add("$properties", SqliteType.Text);
        properties.Value = DBNull.Value;
        long read = 0;
        var haveProperties = false;
        await foreach (var feature in features.WithCancellation(cancellationToken))
        {
            place.Value = ZOrder.Encode(feature.Location);
            name.Value = feature.Name;
            var hasProperties = feature.Properties.Members.Count > 0;
            properties.Value = hasProperties ? feature.Properties.Json : DBNull.Value;
            haveProperties |= hasProperties;
            insert.ExecuteNonQuery();
            read++;
        }

        transaction.Commit();
        return new StagedRecords(read, haveProperties);
    }

    private static ImportSummary Merge(
        SqliteConnection connection, StagedRecords staged, FeatureImport import, DateTimeOffset now, CancellationToken cancellationToken)
    {
        raw.sqlite3_progress_handler(
            connection.Handle, StepsPerLook, static token => ((CancellationToken)token).IsCancellationRequested ? 1 : 0, cancellationToken);
        Execute(connection, "BEGIN IMMEDIATE");
        if (import.RequestId is { } id && RepeatedFingerprint(connection, id) is { } fingerprint)
        {
            import.CheckRepeat(fingerprint);
            var first = Repeated(connection, id);
            Execute(connection, "ROLLBACK");
            return first;
        }

        if (import.Replace)
        {
            LogReset(connection, now);
            Execute(connection, "DELETE FROM feature; DELETE FROM feature_properties");
        }

        var before = Scalar(connection, "SELECT count(*) FROM feature");
        var overwritten = before == 0
            ? 0
            : Scalar(connection, "SELECT count(*) FROM feature WHERE place IN (SELECT place FROM temp.import)");
        var revision = Scalar(connection, NextRevisionSql);
        Execute(connection, $"""
            INSERT INTO feature (place, name, revision, created_at)
            SELECT place, name, {revision}, {now.ToUnixTimeMilliseconds()} FROM temp.import WHERE true ORDER BY place, record
            ON CONFLICT (place) DO UPDATE SET name = excluded.name, revision = excluded.revision, updated_at = excluded.created_at
            WHERE excluded.name <> feature.name
            """);
        if (staged.HaveProperties || Scalar(connection, "SELECT EXISTS (SELECT 1 FROM feature_properties)") == 1)
        {
            MergeProperties(connection, revision, now);
        }

        if (!import.Replace)
        {
            LogRevision(connection, revision, now);
        }

        var total = Scalar(connection, "SELECT count(*) FROM feature");
        var added = total - before;
        var summary = new ImportSummary(staged.Count, Superseded: staged.Count - added - overwritten, overwritten, total);
        if (import.RequestId is { } newId)
        {
            Keep(connection, newId, import.Fingerprint, summary, now);
        }

        cancellationToken.ThrowIfCancellationRequested();
        raw.sqlite3_progress_handler(connection.Handle, 0, null, null);
        Execute(connection, "COMMIT");
        return summary;
    }

    /// <summary>Writes the properties of the last record at each place. A feature that differs in them alone gets the revision.</summary>
    private static void MergeProperties(SqliteConnection connection, long revision, DateTimeOffset now) => Execute(connection, $"""
        CREATE TEMP TABLE changed AS
        SELECT last.place, last.properties FROM (SELECT place, properties, max(record) FROM temp.import GROUP BY place) AS last
        LEFT JOIN feature_properties AS p ON p.place = last.place
        WHERE last.properties IS NOT p.properties;
        UPDATE feature SET revision = {revision}, updated_at = {now.ToUnixTimeMilliseconds()}
        WHERE place IN (SELECT place FROM temp.changed) AND revision <> {revision};
        DELETE FROM feature_properties WHERE place IN (SELECT place FROM temp.changed WHERE properties IS NULL);
        INSERT OR REPLACE INTO feature_properties (place, properties)
        SELECT place, properties FROM temp.changed WHERE properties IS NOT NULL ORDER BY place
        """);

    private static ImportSummary Repeated(SqliteConnection connection, Guid id)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT read, superseded, overwritten, total FROM feature_import WHERE request_id = $id";
        command.Parameters.AddWithValue("$id", id.ToByteArray());
        using var reader = command.ExecuteReader();
        reader.Read();
        return new ImportSummary(reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3));
    }

    private static void Keep(SqliteConnection connection, Guid id, uint fingerprint, ImportSummary summary, DateTimeOffset now)
    {
        KeepRequest(connection, id, fingerprint, now);
        Execute(connection, RequestTableSql);
        Run(
            connection,
            """
            INSERT INTO feature_import VALUES ($id, $read, $superseded, $overwritten, $total);
            DELETE FROM feature_import WHERE request_id NOT IN (SELECT request_id FROM feature_request)
            """,
            ("$id", id.ToByteArray()),
            ("$read", summary.Read),
            ("$superseded", summary.Superseded),
            ("$overwritten", summary.Overwritten),
            ("$total", summary.Total));
    }

    /// <summary>Checkpoints the import into the file, so that the write-ahead log does not stay as long as the largest import.</summary>
    private void ShortenLog(SqliteConnection connection)
    {
        EndIdleReads();
        try
        {
            // Without waiting: if a reader is in the way, this checkpoint does what it can and the next one the rest.
            Execute(connection, "PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE)");
        }
        catch (SqliteException)
        {
            // The import stays committed; the next call that needs the file reports what is wrong with it.
        }
    }

    /// <summary>The records in the temporary table.</summary>
    private readonly record struct StagedRecords(long Count, bool HaveProperties);
}
