using System.Data;
using Npgsql;
using NpgsqlTypes;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using static RouteService.Infrastructure.Postgis.PostgisParameters;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Candidates by the indexes of texts and properties. Each query reads one index and ends at its limit, so it has one good plan; what two
/// conditions have in common is left to the filter.
/// </summary>
public sealed partial class PostgisFeatureCatalog
{
    // Not for the session, and a shorter limit of the role stays. Sequential scans are off because the planner trusts its statistics, and
    // compilation and parallel workers because they take longer than such a query.
    internal const string FindSettingsSql = """
        SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true),
            set_config('max_parallel_workers_per_gather', '0', true),
            set_config('statement_timeout', CASE
                WHEN current_setting('statement_timeout')::interval BETWEEN '1 ms' AND '1 s' THEN current_setting('statement_timeout')
                ELSE '1s' END, true)
        """;

    // The sum of CatalogFeature.Length that is kept of candidates: ten thousand of them with 1.6 kB each.
    private const int MaxFoundLength = 16 * 1024 * 1024;

    // In the order in which an import drops the indexes of an empty store; the query by properties would begin with the other table.
    private const string FindLockSql = "LOCK TABLE feature IN ACCESS SHARE MODE";

    // A row with whether these are all, then the features in the boxes. They are not where the index is missing or being built.
    internal const string FindByTextSql = $"""
        WITH index AS MATERIALIZED (
            SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('{PostgisIndexes.Texts}') AND indisvalid) AS is_valid),
        found AS MATERIALIZED (
            SELECT {Stored} FROM feature
            WHERE search_key(name) LIKE $7 AND (SELECT is_valid FROM index) LIMIT $5),
        size AS MATERIALIZED (SELECT count(*) < $5 AND (SELECT is_valid FROM index) AS is_all FROM found)
        SELECT is_all, f.*, CASE WHEN $6 THEN (
            SELECT p.properties FROM feature_properties AS p WHERE p.latitude = f.latitude AND p.longitude = f.longitude LIMIT 1) END
        FROM size LEFT JOIN found AS f ON is_all AND {InBoxes}
        """;

    internal const string FindByPropertiesSql = $"""
        WITH index AS MATERIALIZED (
            SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('{PostgisIndexes.Properties}') AND indisvalid) AS is_valid),
        found AS MATERIALIZED (
            SELECT latitude, longitude, properties FROM feature_properties
            WHERE properties @> $7 AND (SELECT is_valid FROM index) LIMIT $5),
        size AS MATERIALIZED (SELECT count(*) < $5 AND (SELECT is_valid FROM index) AS is_all FROM found)
        SELECT is_all, described.*
        FROM size LEFT JOIN (
            SELECT feature.*, CASE WHEN $6 THEN f.properties END
            FROM found AS f CROSS JOIN LATERAL (
                SELECT {Stored} FROM feature
                WHERE latitude = f.latitude AND longitude = f.longitude LIMIT 1) AS feature
            WHERE (SELECT is_all FROM size) AND {InBoxes}) AS described ON true
        """;

    private const string InBoxes = """
        EXISTS (
            SELECT FROM unnest($1, $2, $3, $4) AS box (south, west, north, east)
            WHERE f.latitude BETWEEN south AND north AND f.longitude BETWEEN west AND east)
        """;

    public async Task<IReadOnlyList<CatalogFeature>?> FindAsync(
        FeatureFilter filter, int limit, bool withProperties, CancellationToken cancellationToken)
    {
        if (filter.Properties.Members.Count > 0)
        {
            var values = new NpgsqlParameter<string> { TypedValue = filter.Properties.Json, NpgsqlDbType = NpgsqlDbType.Jsonb };
            if (await FindAsync(FindByPropertiesSql, values, filter.Area, limit, withProperties, cancellationToken) is { } found)
            {
                return found;
            }
        }

        return SearchKey.Pattern(filter.FoldedText) is not { } pattern ? null : await FindAsync(
            FindByTextSql, new NpgsqlParameter<string> { TypedValue = pattern }, filter.Area, limit, withProperties, cancellationToken);
    }

    /// <returns>Null where there are more, where they are long, where the index is missing, and where it takes too long.</returns>
    private async Task<IReadOnlyList<CatalogFeature>?> FindAsync(
        string sql, NpgsqlParameter condition, Area? area, int limit, bool withProperties, CancellationToken cancellationToken)
    {
        var boxes = area?.Boxes ?? [BoundingBox.World];
        try
        {
            return await _database.ReadAsync(
                async (connection, token) =>
                {
                    await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.ReadCommitted, token);
                    await using var batch = new NpgsqlBatch(connection)
                    {
                        BatchCommands =
                        {
                            new NpgsqlBatchCommand(FindSettingsSql),
                            new NpgsqlBatchCommand(FindLockSql),
                            new NpgsqlBatchCommand(sql)
                            {
                                Parameters =
                                {
                                    Array(NpgsqlDbType.Integer, boxes.Select(static box => box.SouthWest.LatitudeE7)),
                                    Array(NpgsqlDbType.Integer, boxes.Select(static box => box.SouthWest.LongitudeE7)),
                                    Array(NpgsqlDbType.Integer, boxes.Select(static box => box.NorthEast.LatitudeE7)),
                                    Array(NpgsqlDbType.Integer, boxes.Select(static box => box.NorthEast.LongitudeE7)),
                                    new NpgsqlParameter<long> { TypedValue = limit + 1L },
                                    new NpgsqlParameter<bool> { TypedValue = withProperties },
                                    condition.Clone(),
                                },
                            },
                        },
                    };
                    var found = await ReadFoundAsync(batch, token);
                    await transaction.CommitAsync(token);
                    return found;
                },
                cancellationToken);
        }
        catch (StoreUnavailableException e) when (e.InnerException is PostgresException { SqlState: PostgresErrorCodes.QueryCanceled })
        {
            return null;
        }
    }

    private static async Task<List<CatalogFeature>?> ReadFoundAsync(NpgsqlBatch batch, CancellationToken cancellationToken)
    {
        var found = new List<CatalogFeature>();
        var length = 0;
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        await reader.NextResultAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            if (!reader.GetBoolean(0))
            {
                return null;
            }

            if (FoundFeature(reader) is { } feature)
            {
                found.Add(feature);
                length += feature.Length;
                if (length > MaxFoundLength)
                {
                    return null;
                }
            }
        }

        return found;
    }

    private static CatalogFeature? FoundFeature(NpgsqlDataReader reader) =>
        reader.IsDBNull(1) ? null : Feature(reader, ReadProperties(reader, 7, first: 1), first: 1);
}
