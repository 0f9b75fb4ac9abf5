using System.Data;
using Npgsql;
using NpgsqlTypes;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Import. The records are copied into a temporary table, which blocks no other session and vanishes if the process dies. One transaction
/// then merges them into the features and touches only rows that differ. Readers continue throughout; other imports wait.
/// </summary>
public sealed partial class PostgisFeatureStore
{
    // The place is the position of the location on a Hilbert curve: one number to compare and to sort by.
    private const string StageSql = """
        CREATE TEMP TABLE import (
            place bigint NOT NULL, latitude integer NOT NULL, longitude integer NOT NULL, name text NOT NULL, record bigint NOT NULL)
        """;

    private const string CopySql = "COPY import (place, latitude, longitude, name, record) FROM STDIN (FORMAT BINARY)";

    private const string SupersedeSql = """
        DELETE FROM import WHERE EXISTS (
            SELECT FROM import AS later WHERE later.place = import.place AND later.record > import.record)
        """;

    // For sorting and for the tables of keys; PostgreSQL's default of 4 MB is meant for many small queries at once.
    private const string WorkMemorySql = "SET LOCAL work_mem = '128MB'";

    // One import at a time; readers are not blocked.
    private const string LockSql = "LOCK TABLE feature IN SHARE ROW EXCLUSIVE MODE";

    private const string DeleteSql = """
        DELETE FROM feature WHERE NOT EXISTS (
            SELECT FROM import WHERE import.latitude = feature.latitude AND import.longitude = feature.longitude)
        """;

    private const string OverwrittenSql = "SELECT count(*) FROM feature JOIN import USING (latitude, longitude)";

    private const string UpdateSql = """
        UPDATE feature SET name = import.name FROM import
        WHERE import.latitude = feature.latitude AND import.longitude = feature.longitude AND import.name <> feature.name
        """;

    // A record has no properties. A feature that loses its properties needs another revision, which a trigger gives to any update.
    private const string PropertiesSql = """
        WITH bare AS (
            DELETE FROM feature_properties AS p USING import WHERE p.latitude = import.latitude AND p.longitude = import.longitude
            RETURNING p.latitude, p.longitude)
        UPDATE feature SET name = feature.name FROM bare WHERE feature.latitude = bare.latitude AND feature.longitude = bare.longitude
        """;

    // Along the curve neighbours become neighbours on disk, and rectangles read a third of the pages. All have one revision.
    private const string InsertSql = """
        INSERT INTO feature (latitude, longitude, name, revision)
        SELECT DISTINCT ON (place) latitude, longitude, name, (SELECT nextval('feature_revision')) FROM import
        WHERE NOT EXISTS (SELECT FROM feature WHERE import.latitude = feature.latitude AND import.longitude = feature.longitude)
        ORDER BY place, record DESC
        """;

    private const string IsEmptySql = "SELECT NOT EXISTS (SELECT FROM feature)";

    // For an empty table, building the spatial index at the end is faster and makes a smaller index. It is dropped before the merge
    // transaction, because dropping it inside would block readers, and built again inside, which blocks none. After a failure it is built
    // on a connection of its own; after a crash of this process, by `migrate` or the next import. Only the owner of the table may do this;
    // other roles import with the index in place.
    private const string MayBuildIndexSql = """
        SELECT pg_has_role(relowner, 'USAGE') AND NOT EXISTS (SELECT FROM feature) FROM pg_class WHERE oid = 'feature'::regclass
        """;

    private const string DropIndexSql = "DROP INDEX IF EXISTS feature_location";

    internal const string BuildIndexSql = "CREATE INDEX IF NOT EXISTS feature_location ON feature USING gist (location)";

    // A database that restarts, so that the import fails, is not back at once.
    private const int RestoreAttempts = 5;
    private static readonly TimeSpan RestorePause = TimeSpan.FromSeconds(1);

    public async ValueTask<ImportSummary> ImportAsync(IAsyncEnumerable<Feature> features, bool replace, CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = await _database.OpenUnhurriedAsync(cancellationToken);
            await ExecuteAsync(connection, StageSql, cancellationToken);
            var read = await StageAsync(connection, features, cancellationToken);
            var summary = (bool)await ScalarAsync(connection, MayBuildIndexSql, cancellationToken)
                ? await MergeAndIndexAsync(connection, read, replace, cancellationToken)
                : await MergeAsync(connection, read, replace, buildIndex: false, cancellationToken);

            // For the planner, and for the sizes of tiles. Without the privilege PostgreSQL only warns, and autovacuum analyzes later.
            await ExecuteAsync(connection, "ANALYZE feature", CancellationToken.None);
            return summary;
        }
        catch (NpgsqlException e)
        {
            throw PostgisErrors.Unavailable(e);
        }
    }

    private async Task<ImportSummary> MergeAndIndexAsync(
        NpgsqlConnection connection, long read, bool replace, CancellationToken cancellationToken)
    {
        try
        {
            await ExecuteAsync(connection, DropIndexSql, cancellationToken);
            return await MergeAsync(connection, read, replace, buildIndex: true, cancellationToken);
        }
        catch (Exception e)
        {
            await RestoreIndexAsync(e);
            throw;
        }
    }

    /// <summary>Builds the spatial index where a failed merge has left none.</summary>
    /// <exception cref="StoreUnavailableException">It cannot be built; says what to do.</exception>
    private async Task RestoreIndexAsync(Exception cause)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await using var connection = await _database.OpenUnhurriedAsync(CancellationToken.None);
                await ExecuteAsync(connection, BuildIndexSql, CancellationToken.None);
                return;
            }
            catch (Exception e) when (e is NpgsqlException or StoreUnavailableException && attempt < RestoreAttempts)
            {
                await Task.Delay(RestorePause, TimeProvider.System, CancellationToken.None);
            }
            catch (Exception e) when (e is NpgsqlException or StoreUnavailableException)
            {
                throw new StoreUnavailableException(
                    "The database failed during the import, which has changed nothing but this: "
                    + "the spatial index feature_location is missing. Run 'migrate' when the database is available.",
                    cause);
            }
        }
    }

    private static async Task<long> StageAsync(
        NpgsqlConnection connection, IAsyncEnumerable<Feature> features, CancellationToken cancellationToken)
    {
        long read = 0;

        // One that is disposed before it is completed leaves nothing.
        await using var copy = await connection.BeginBinaryImportAsync(CopySql, cancellationToken);
        await foreach (var feature in features.WithCancellation(cancellationToken))
        {
            await copy.StartRowAsync(cancellationToken);
            await copy.WriteAsync(HilbertCurve.Position(feature.Location), NpgsqlDbType.Bigint, cancellationToken);
            await copy.WriteAsync(feature.Location.LatitudeE7, NpgsqlDbType.Integer, cancellationToken);
            await copy.WriteAsync(feature.Location.LongitudeE7, NpgsqlDbType.Integer, cancellationToken);
            await copy.WriteAsync(feature.Name, NpgsqlDbType.Text, cancellationToken);
            await copy.WriteAsync(read++, NpgsqlDbType.Bigint, cancellationToken);
        }

        await copy.CompleteAsync(cancellationToken);
        return read;
    }

    private static async Task<ImportSummary> MergeAsync(
        NpgsqlConnection connection, long read, bool replace, bool buildIndex, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancellationToken);
        await ExecuteAsync(connection, $"{WorkMemorySql}; {LockSql}", cancellationToken);
        var summary = (bool)await ScalarAsync(connection, IsEmptySql, cancellationToken)
            ? await FillAsync(connection, read, cancellationToken)
            : await MergeRowsAsync(connection, read, replace, cancellationToken);
        if (buildIndex)
        {
            await ExecuteAsync(connection, BuildIndexSql, cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        return summary;
    }

    private static async Task<ImportSummary> FillAsync(NpgsqlConnection connection, long read, CancellationToken cancellationToken)
    {
        var total = await ExecuteAsync(connection, InsertSql, cancellationToken);
        return new ImportSummary(read, Superseded: read - total, Overwritten: 0, total);
    }

    private static async Task<ImportSummary> MergeRowsAsync(
        NpgsqlConnection connection, long read, bool replace, CancellationToken cancellationToken)
    {
        var superseded = await ExecuteAsync(connection, SupersedeSql, cancellationToken);
        await ExecuteAsync(connection, "ANALYZE import", cancellationToken);
        if (replace)
        {
            await ExecuteAsync(connection, DeleteSql, cancellationToken);
        }

        var overwritten = replace ? 0 : (long)await ScalarAsync(connection, OverwrittenSql, cancellationToken);
        await ExecuteAsync(connection, PropertiesSql, cancellationToken);
        await ExecuteAsync(connection, UpdateSql, cancellationToken);
        await ExecuteAsync(connection, InsertSql, cancellationToken);
        var total = (long)await ScalarAsync(connection, "SELECT count(*) FROM feature", cancellationToken);
        return new ImportSummary(read, superseded, overwritten, total);
    }

    private static async Task<int> ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = Unhurried(connection, sql);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<object> ScalarAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = Unhurried(connection, sql);
        return (await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>A command that takes as long as it takes: an import has no caller that waits.</summary>
    private static NpgsqlCommand Unhurried(NpgsqlConnection connection, string sql) => new(sql, connection) { CommandTimeout = 0 };
}
