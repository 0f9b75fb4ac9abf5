using Npgsql;
using NpgsqlTypes;
using RouteService.Domain.Features;
using static RouteService.Infrastructure.Postgis.PostgisParameters;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// The merge of an import's records into the features, which touches only rows that differ. Readers continue throughout; other imports
/// wait. Writers wait for the rows that differ, and for the whole table where it is empty or all other features are removed.
/// </summary>
public sealed partial class PostgisFeatureStore
{
    // A number that no other program locks: the letters "RouteImp".
    private const long ImportLock = 0x526F757465496D70;

    private const string SupersedeSql = """
        DELETE FROM import WHERE EXISTS (
            SELECT FROM import AS later WHERE later.place = import.place AND later.record > import.record)
        """;

    // The merge is repeated from here.
    private const string Savepoint = "merge";

    // For sorting and for the tables of keys; PostgreSQL's default of 4 MB is meant for many small queries at once.
    private const string WorkMemorySql = "SET LOCAL work_mem = '128MB'";

    // One import at a time.
    private static readonly string QueueSql = $"SELECT pg_advisory_xact_lock({ImportLock})";

    // No other writer; readers are not blocked.
    private const string LockSql = "LOCK TABLE feature IN SHARE ROW EXCLUSIVE MODE";

    private const string DeleteSql = """
        DELETE FROM feature WHERE NOT EXISTS (
            SELECT FROM import WHERE import.latitude = feature.latitude AND import.longitude = feature.longitude)
        """;

    private const string HasPropertiesSql = "SELECT EXISTS (SELECT FROM feature_properties)";

    private const string UpdateSql = """
        UPDATE feature SET name = import.name FROM import
        WHERE import.latitude = feature.latitude AND import.longitude = feature.longitude AND import.name <> feature.name
        """;

    // A feature whose properties alone differ needs another revision too, which a trigger gives to any update. Whoever writes properties
    // holds the lock of the feature's row, so one statement does both.
    private const string UpdateWithPropertiesSql = """
        WITH changed AS (
            UPDATE feature SET name = import.name
            FROM import LEFT JOIN feature_properties AS p ON p.latitude = import.latitude AND p.longitude = import.longitude
            WHERE import.latitude = feature.latitude AND import.longitude = feature.longitude
                AND (import.name <> feature.name OR import.properties IS DISTINCT FROM p.properties)
            RETURNING feature.latitude, feature.longitude, import.properties),
        bare AS (
            DELETE FROM feature_properties AS p USING changed
            WHERE p.latitude = changed.latitude AND p.longitude = changed.longitude AND changed.properties IS NULL)
        INSERT INTO feature_properties (latitude, longitude, properties)
        SELECT latitude, longitude, properties FROM changed WHERE properties IS NOT NULL
        ON CONFLICT (latitude, longitude) DO UPDATE SET properties = excluded.properties
        """;

    // Along the curve neighbours become neighbours on disk, and rectangles read a third of the pages. All have one revision.
    private const string InsertSql = """
        INSERT INTO feature (latitude, longitude, name, revision)
        SELECT DISTINCT ON (place) latitude, longitude, name, (SELECT nextval('feature_revision')) FROM import
        WHERE NOT EXISTS (SELECT FROM feature WHERE import.latitude = feature.latitude AND import.longitude = feature.longitude)
        ORDER BY place, record DESC
        """;

    // Others may create the same features meanwhile.
    private const string AddSql = $"{InsertSql} ON CONFLICT DO NOTHING";

    private const string AddWithPropertiesSql = $"""
        WITH added AS ({AddSql} RETURNING latitude, longitude),
        described AS (
            INSERT INTO feature_properties (latitude, longitude, properties)
            SELECT latitude, longitude, properties FROM added JOIN import USING (latitude, longitude) WHERE properties IS NOT NULL
            ON CONFLICT (latitude, longitude) DO UPDATE SET properties = excluded.properties)
        SELECT count(*) FROM added
        """;

    private const string FillPropertiesSql = """
        INSERT INTO feature_properties (latitude, longitude, properties)
        SELECT latitude, longitude, properties FROM (
            SELECT DISTINCT ON (place) latitude, longitude, properties FROM import ORDER BY place, record DESC) AS last
        WHERE properties IS NOT NULL
        """;

    private const string MergedSql = """
        SELECT count(*) FROM import JOIN feature USING (latitude, longitude) LEFT JOIN feature_properties AS p USING (latitude, longitude)
        WHERE import.name = feature.name AND import.properties IS NOT DISTINCT FROM p.properties
        """;

    private const string PresentSql = "SELECT count(*) FROM import JOIN feature USING (latitude, longitude)";

    private const string PlacesSql = "SELECT count(*) FROM (SELECT DISTINCT place FROM import) AS place";

    private const string IsEmptySql = "SELECT NOT EXISTS (SELECT FROM feature)";

    private const string RepeatedSql = "SELECT fingerprint, summary FROM feature_request WHERE request_id = $1";

    private const string SummarySql = "UPDATE feature_request SET summary = $2 WHERE request_id = $1";

    /// <summary>
    /// Merges beside other writers, and if one of them is in the way, again without them: one that has changed features of the import
    /// meanwhile, or that waits for some of them while the import waits for its own.
    /// </summary>
    private static async Task<ImportSummary> MergeAsync(
        NpgsqlTransaction transaction, StagedRecords staged, FeatureImport import, bool buildIndexes, CancellationToken cancellationToken)
    {
        for (var isAlone = import.Replace || buildIndexes; ; isAlone = true)
        {
            await transaction.SaveAsync(Savepoint, cancellationToken);
            try
            {
                if (await TryMergeAsync(transaction.Connection!, staged, import, isAlone, buildIndexes, cancellationToken) is { } summary)
                {
                    return summary;
                }
            }
            catch (PostgresException e) when (!isAlone && PostgisErrors.RemedyOf(e) is Remedy.Repeat)
            {
                // The savepoint undoes what was done.
            }

            await transaction.RollbackAsync(Savepoint, cancellationToken);
        }
    }

    /// <returns>Null where another writer has changed features of the import meanwhile; never if alone.</returns>
    private static async Task<ImportSummary?> TryMergeAsync(
        NpgsqlConnection connection,
        StagedRecords staged,
        FeatureImport import,
        bool isAlone,
        bool buildIndexes,
        CancellationToken cancellationToken)
    {
        await ExecuteAsync(connection, $"{WorkMemorySql}; {QueueSql}", cancellationToken);
        if (import.RequestId is { } id && await RepeatedAsync(connection, import, id, cancellationToken) is { } repeated)
        {
            return repeated;
        }

        if (isAlone || (bool)await ScalarAsync(connection, IsEmptySql, cancellationToken))
        {
            await ExecuteAsync(connection, LockSql, cancellationToken);
            isAlone = true;
        }

        var summary = isAlone && (bool)await ScalarAsync(connection, IsEmptySql, cancellationToken)
            ? await FillAsync(connection, staged, cancellationToken)
            : await TryMergeRowsAsync(connection, staged, import.Replace, isAlone, cancellationToken);
        if (buildIndexes)
        {
            await ExecuteAsync(connection, PostgisIndexes.BuildSql, cancellationToken);
        }

        if (import.RequestId is { } newId && summary is not null)
        {
            await KeepAsync(connection, newId, summary, cancellationToken);
        }

        return summary;
    }

    private static async Task<ImportSummary> FillAsync(
        NpgsqlConnection connection, StagedRecords staged, CancellationToken cancellationToken)
    {
        var total = await ExecuteAsync(connection, InsertSql, cancellationToken);
        if (total < staged.Count && total < (long)await ScalarAsync(connection, PlacesSql, cancellationToken))
        {
            throw PostgisErrors.NotKept();
        }

        if (staged.HaveProperties)
        {
            await ExecuteAsync(connection, FillPropertiesSql, cancellationToken);
        }

        return new ImportSummary(staged.Count, Superseded: staged.Count - total, Overwritten: 0, total);
    }

    private static async Task<ImportSummary?> TryMergeRowsAsync(
        NpgsqlConnection connection, StagedRecords staged, bool replace, bool isAlone, CancellationToken cancellationToken)
    {
        var superseded = await ExecuteAsync(connection, SupersedeSql, cancellationToken);
        var written = staged.Count - superseded;
        await ExecuteAsync(connection, "ANALYZE import", cancellationToken);
        if (replace)
        {
            await ExecuteAsync(connection, DeleteSql, cancellationToken);
        }

        var withProperties = staged.HaveProperties || (bool)await ScalarAsync(connection, HasPropertiesSql, cancellationToken);
        await ExecuteAsync(connection, withProperties ? UpdateWithPropertiesSql : UpdateSql, cancellationToken);
        var added = staged.HaveProperties
            ? (long)await ScalarAsync(connection, AddWithPropertiesSql, cancellationToken)
            : await ExecuteAsync(connection, AddSql, cancellationToken);

        // Rows that did not differ are not locked, so others may have changed them until here, or have created ones that were missing. What
        // they do after this look, they do after the import.
        if (!isAlone && (long)await ScalarAsync(connection, MergedSql, cancellationToken) < written)
        {
            return null;
        }

        var total = (long)await ScalarAsync(connection, "SELECT count(*) FROM feature", cancellationToken);
        if ((isAlone && (long)await ScalarAsync(connection, PresentSql, cancellationToken) < written) || (replace && total > written))
        {
            throw PostgisErrors.NotKept();
        }

        return new ImportSummary(staged.Count, superseded, Overwritten: replace ? 0 : written - added, total);
    }

    /// <summary>The summary of the import with this id; null where there was none, and the id is taken for this import.</summary>
    private static async Task<ImportSummary?> RepeatedAsync(
        NpgsqlConnection connection, FeatureImport import, Guid id, CancellationToken cancellationToken)
    {
        await using var take = Unhurried(connection, PostgisFeatureCatalog.KeepSql);
        take.Parameters.Add(Array(NpgsqlDbType.Uuid, [id]));
        take.Parameters.Add(Array(NpgsqlDbType.Bigint, [(long)import.Fingerprint]));
        if (await take.ExecuteNonQueryAsync(cancellationToken) > 0)
        {
            return null;
        }

        await using var look = Unhurried(connection, RepeatedSql);
        look.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = id });
        await using var reader = await look.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        import.CheckRepeat((uint)reader.GetInt64(0));
        return await reader.GetFieldValueAsync<long[]>(1, cancellationToken) is [var read, var superseded, var overwritten, var total]
            ? new ImportSummary(read, superseded, overwritten, total)
            : throw new InvalidOperationException("The summary of an import does not have four counts.");
    }

    private static async Task KeepAsync(NpgsqlConnection connection, Guid id, ImportSummary summary, CancellationToken cancellationToken)
    {
        await using var keep = Unhurried(connection, SummarySql);
        keep.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = id });
        keep.Parameters.Add(new NpgsqlParameter<long[]>
        {
            TypedValue = [summary.Read, summary.Superseded, summary.Overwritten, summary.Total],
        });
        await keep.ExecuteNonQueryAsync(cancellationToken);
        await using var forget = Unhurried(connection, PostgisFeatureCatalog.ForgetSql);
        forget.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = FeatureWrite.RequestRetention });
        forget.Parameters.Add(new NpgsqlParameter<int> { TypedValue = 1 });
        await forget.ExecuteNonQueryAsync(cancellationToken);
    }
}
