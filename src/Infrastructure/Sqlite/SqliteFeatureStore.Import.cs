using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using SQLitePCL;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>
/// Import. The records are appended to a temporary table on disk, which blocks no other connection and vanishes if the process dies. One
/// transaction then sorts them by the key and merges them, so that the file is written from front to back.
/// </summary>
public sealed partial class SqliteFeatureStore
{
    // In KiB: the memory that sorting and writing may use before they spill to disk.
    private const int ImportCache = 64 * 1024;

    // How often a long statement checks for cancellation, in steps of SQLite's machine: about a millisecond.
    private const int StepsPerLook = 50_000;

    public async ValueTask<ImportSummary> ImportAsync(IAsyncEnumerable<Feature> features, bool replace, CancellationToken cancellationToken)
    {
        try
        {
            using var connection = Connect(_path);
            Execute(connection, $"PRAGMA cache_size = -{ImportCache}");
            var read = await StageAsync(connection, features, cancellationToken);
            var summary = Merge(connection, read, replace, _clock.GetUtcNow(), cancellationToken);
            Interlocked.Increment(ref _commits);
            ShortenLog(connection);
            return summary;
        }
        catch (SqliteException e) when (e.SqliteErrorCode == raw.SQLITE_INTERRUPT && cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException("The import was cancelled.", e, cancellationToken);
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unavailable(e);
        }
    }

    private static async Task<long> StageAsync(
        SqliteConnection connection, IAsyncEnumerable<Feature> features, CancellationToken cancellationToken)
    {
        Execute(connection, "CREATE TEMP TABLE import (record INTEGER PRIMARY KEY, place INTEGER NOT NULL, name TEXT NOT NULL) STRICT");
        using var transaction = connection.BeginTransaction(deferred: true);
        using var insert = connection.CreateCommand();
        insert.Transaction = transaction;
        insert.CommandText = "INSERT INTO temp.import (place, name) VALUES ($place, $name)";
        var place = insert.Parameters.Add("$place", SqliteType.Integer);
        var name = insert.Parameters.Add("$name", SqliteType.Text);
        long read = 0;
        await foreach (var feature in features.WithCancellation(cancellationToken))
        {
            place.Value = ZOrder.Encode(feature.Location);
            name.Value = feature.Name;
            insert.ExecuteNonQuery();
            read++;
        }

        transaction.Commit();
        return read;
    }

    private static ImportSummary Merge(
        SqliteConnection connection, long read, bool replace, DateTimeOffset now, CancellationToken cancellationToken)
    {
        raw.sqlite3_progress_handler(
            connection.Handle, StepsPerLook, static token => ((CancellationToken)token).IsCancellationRequested ? 1 : 0, cancellationToken);
        Execute(connection, "BEGIN IMMEDIATE");
        if (replace)
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
            WHERE excluded.name <> feature.name OR EXISTS (SELECT 1 FROM feature_properties AS p WHERE p.place = feature.place)
            """);
        if (Scalar(connection, "SELECT EXISTS (SELECT 1 FROM feature_properties)") == 1)
        {
            // A record has no properties.
            Execute(connection, "DELETE FROM feature_properties WHERE place IN (SELECT place FROM temp.import)");
        }

        if (!replace)
        {
            LogRevision(connection, revision, now);
        }

        var total = Scalar(connection, "SELECT count(*) FROM feature");
        cancellationToken.ThrowIfCancellationRequested();
        raw.sqlite3_progress_handler(connection.Handle, 0, null, null);
        Execute(connection, "COMMIT");
        var added = total - before;
        return new ImportSummary(read, Superseded: read - added - overwritten, overwritten, total);
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
}
