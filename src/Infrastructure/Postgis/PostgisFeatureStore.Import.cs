using Npgsql;
using NpgsqlTypes;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Import: the records are copied into a temporary table, which holds up nobody and is gone if we are; then one transaction makes of the features
/// what they say, and touches only what differs. Readers go on throughout; other imports wait.
/// </summary>
public sealed partial class PostgisFeatureStore
{
    private const string StageSql = "CREATE TEMP TABLE import (latitude integer NOT NULL, longitude integer NOT NULL, name text NOT NULL, record bigint NOT NULL)";

    private const string CopySql = "COPY import (latitude, longitude, name, record) FROM STDIN (FORMAT BINARY)";

    private const string SupersedeSql = """
        DELETE FROM import USING (
            SELECT latitude, longitude, max(record) AS last FROM import GROUP BY latitude, longitude HAVING count(*) > 1) AS place
        WHERE import.latitude = place.latitude AND import.longitude = place.longitude AND import.record < place.last
        """;

    // One import at a time; readers do not care.
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

    // Neighbours on the Hilbert curve, which is how PostGIS orders geometries, become neighbours on disk: rectangles then read a third of the pages.
    private const string InsertSql = """
        INSERT INTO feature (latitude, longitude, name)
        SELECT latitude, longitude, name FROM import
        WHERE NOT EXISTS (SELECT FROM feature WHERE import.latitude = feature.latitude AND import.longitude = feature.longitude)
        ORDER BY ST_SetSRID(ST_MakePoint(longitude / 1e7::float8, latitude / 1e7::float8), 4326)
        """;

    public async ValueTask<ImportSummary> ImportAsync(IAsyncEnumerable<Feature> features, bool replace, CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = await _database.Writes.OpenConnectionAsync(cancellationToken);
            await ExecuteAsync(connection, "DROP TABLE IF EXISTS pg_temp.import", cancellationToken);
            await ExecuteAsync(connection, StageSql, cancellationToken);
            var read = await StageAsync(connection, features, cancellationToken);
            var summary = await MergeAsync(connection, read, replace, cancellationToken);

            // For the planner, and for the sizes of tiles. Where the role may not, PostgreSQL warns, and its own autovacuum comes later.
            await ExecuteAsync(connection, "ANALYZE feature", CancellationToken.None);
            await ExecuteAsync(connection, "DROP TABLE import", CancellationToken.None);
            return summary;
        }
        catch (NpgsqlException e)
        {
            throw PostgisErrors.Unavailable(e);
        }
    }

    private static async Task<long> StageAsync(NpgsqlConnection connection, IAsyncEnumerable<Feature> features, CancellationToken cancellationToken)
    {
        long read = 0;

        // One that is disposed before it is completed leaves nothing.
        await using var copy = await connection.BeginBinaryImportAsync(CopySql, cancellationToken);
        await foreach (var feature in features.WithCancellation(cancellationToken))
        {
            await copy.StartRowAsync(cancellationToken);
            await copy.WriteAsync(feature.Location.LatitudeE7, NpgsqlDbType.Integer, cancellationToken);
            await copy.WriteAsync(feature.Location.LongitudeE7, NpgsqlDbType.Integer, cancellationToken);
            await copy.WriteAsync(feature.Name, NpgsqlDbType.Text, cancellationToken);
            await copy.WriteAsync(read++, NpgsqlDbType.Bigint, cancellationToken);
        }

        await copy.CompleteAsync(cancellationToken);
        return read;
    }

    private static async Task<ImportSummary> MergeAsync(NpgsqlConnection connection, long read, bool replace, CancellationToken cancellationToken)
    {
        var superseded = await ExecuteAsync(connection, SupersedeSql, cancellationToken);
        await ExecuteAsync(connection, "ANALYZE import", cancellationToken);

        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await ExecuteAsync(connection, LockSql, cancellationToken);
        if (replace)
        {
            await ExecuteAsync(connection, DeleteSql, cancellationToken);
        }

        var overwritten = replace ? 0 : await CountAsync(connection, OverwrittenSql, cancellationToken);
        await ExecuteAsync(connection, UpdateSql, cancellationToken);
        await ExecuteAsync(connection, InsertSql, cancellationToken);
        var total = await CountAsync(connection, "SELECT count(*) FROM feature", cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return new ImportSummary(read, superseded, overwritten, total);
    }

    private static async Task<int> ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = Unhurried(connection, sql);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<long> CountAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = Unhurried(connection, sql);
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>A command that takes as long as it takes: an import has no caller that waits.</summary>
    private static NpgsqlCommand Unhurried(NpgsqlConnection connection, string sql) => new(sql, connection) { CommandTimeout = 0 };
}
