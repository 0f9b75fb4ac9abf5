using Npgsql;
using NpgsqlTypes;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using static RouteService.Infrastructure.Postgis.PostgisParameters;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Reading in the order of Z-order codes. What the spatial index finds of boxes with few features is sorted here; else the boxes are cut
/// into ranges of codes, and the index of codes is read from where the last page ended. Rows in no box, which ranges have as well, are
/// passed over, and after many of them a read ends (docs/adr/0010-postgis-pages-by-code.md).
/// </summary>
public sealed partial class PostgisFeatureCatalog
{
    // Nearer to a pole than 75 degrees an ellipse is too long to be read.
    private const double MaxStretch = 4;

    // The fewest features that a query reads beyond those that are needed.
    private const int MinSpare = 16;

    // A box; && alone may find what is a metre outside.
    internal const string AreaSql = $"""
        SELECT {Columns} FROM feature AS f
        WHERE location && ST_MakeEnvelope($3 / 1e7::float8, $2 / 1e7::float8, $5 / 1e7::float8, $4 / 1e7::float8, 4326) LIMIT $6
        """;

    // In the order of the ranges.
    internal const string CodesSql = $"""
        SELECT {Columns} FROM unnest($2, $3) AS range (first, last)
        CROSS JOIN LATERAL (
            SELECT {Stored} FROM feature
            WHERE z_order(latitude, longitude) >= range.first AND z_order(latitude, longitude) <= range.last
            ORDER BY z_order(latitude, longitude) LIMIT $4) AS f
        LIMIT $4
        """;

    // The nearest by degrees, which are not the nearest by metres.
    internal const string NearbySql = $"""
        SELECT {Columns} FROM feature AS f
        ORDER BY f.location <-> ST_SetSRID(ST_MakePoint($3 / 1e7::float8, $2 / 1e7::float8), 4326) LIMIT $4
        """;

    // A table that has never had a row has no size, and then no row of it is looked for.
    private const string Columns = """
        f.latitude, f.longitude, f.name, f.revision, f.created_at, f.updated_at,
        CASE WHEN $1 AND (SELECT pg_relation_size('feature_properties') > 0) THEN (
            SELECT p.properties FROM feature_properties AS p WHERE p.latitude = f.latitude AND p.longitude = f.longitude) END
        """;

    public Task<NearbyFeatures> ReadNearbyAsync(
        Coordinate near, int count, bool withProperties, CancellationToken cancellationToken) => _database.ReadAsync(
        async (connection, token) =>
        {
            // The nearest by metres lie in an ellipse of degrees; its circle is larger by this.
            var stretch = Math.Min(1.2 / Math.Cos(near.LatitudeE7 / Coordinate.E7 * Math.PI / 180), MaxStretch);
            var limit = (int)(count * stretch) + MinSpare;
            await using var command = new NpgsqlCommand(NearbySql, connection)
            {
                Parameters =
                {
                    new NpgsqlParameter<bool> { TypedValue = withProperties },
                    new NpgsqlParameter<int> { TypedValue = near.LatitudeE7 },
                    new NpgsqlParameter<int> { TypedValue = near.LongitudeE7 },
                    new NpgsqlParameter<int> { TypedValue = limit },
                },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            var (features, isWhole) = await ReadRowsAsync(reader, limit, token);
            return new NearbyFeatures(
                features, isWhole ? Circle.MaxRadiusMeters : Haversine.LeastMeters(near, features[^1].Location));
        },
        cancellationToken);

    public Task<CatalogPage> ReadAsync(
        IReadOnlyList<BoundingBox> boxes, long from, int limit, bool withProperties, CancellationToken cancellationToken) =>
        _database.ReadAsync(
            async (connection, token) =>
                await TryReadWholeAsync(connection, boxes, from, limit, withProperties, token)
                    ?? await ReadByCodesAsync(connection, boxes, from, limit, withProperties, token),
            cancellationToken);

    /// <returns>All that the boxes have; null where that is more than the limit, or likely to be.</returns>
    private static async Task<CatalogPage?> TryReadWholeAsync(
        NpgsqlConnection connection,
        IReadOnlyList<BoundingBox> boxes,
        long from,
        int limit,
        bool withProperties,
        CancellationToken cancellationToken)
    {
        // Where there was a page before, there is likely to be one more than this.
        if (from > ZOrder.FirstInBoxes(0, boxes) || boxes[0] == BoundingBox.World)
        {
            return null;
        }

        await using var batch = new NpgsqlBatch(connection);
        foreach (var box in boxes)
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand(AreaSql)
            {
                Parameters =
                {
                    new NpgsqlParameter<bool> { TypedValue = withProperties },
                    new NpgsqlParameter<int> { TypedValue = box.SouthWest.LatitudeE7 },
                    new NpgsqlParameter<int> { TypedValue = box.SouthWest.LongitudeE7 },
                    new NpgsqlParameter<int> { TypedValue = box.NorthEast.LatitudeE7 },
                    new NpgsqlParameter<int> { TypedValue = box.NorthEast.LongitudeE7 },
                    new NpgsqlParameter<int> { TypedValue = limit + 1 },
                },
            });
        }

        var found = new List<CatalogFeature>();
        var isWhole = true;
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        foreach (var box in boxes)
        {
            var (rows, isRest) = await ReadRowsAsync(reader, limit + 1, cancellationToken);
            isWhole &= isRest;
            found.AddRange(rows.Where(row => box.Contains(row.Location)));
            await reader.NextResultAsync(cancellationToken);
        }

        found.Sort(static (a, b) => ZOrder.Encode(a.Location).CompareTo(ZOrder.Encode(b.Location)));
        return isWhole && found.Count <= limit ? new CatalogPage(found, GoesOnAfter: null) : null;
    }

    private static async Task<CatalogPage> ReadByCodesAsync(
        NpgsqlConnection connection,
        IReadOnlyList<BoundingBox> boxes,
        long from,
        int limit,
        bool withProperties,
        CancellationToken cancellationToken)
    {
        var ranges = ZOrder.Ranges(boxes);
        var found = new List<CatalogFeature>();
        var (length, passed) = (0, 0);

        // The ranges of a box usually have less than half as many rows again as the box.
        for (var size = ranges.Count == 1 ? limit : limit + (limit / 2) + MinSpare; ;)
        {
            // The gap that a read has ended in is left out.
            if (ZOrder.FirstInBoxes(from, boxes) is not { } first)
            {
                return new CatalogPage(found, GoesOnAfter: null);
            }

            var (rows, isRest) = await ReadRangesAsync(connection, ranges, first, size, withProperties, cancellationToken);
            foreach (var row in rows.Where(row => boxes.Any(box => box.Contains(row.Location))))
            {
                found.Add(row);
                length += row.Length;
                if (found.Count == limit || length >= CatalogPage.MaxLength)
                {
                    return new CatalogPage(found, row.Location);
                }
            }

            passed += rows.Count;
            if (isRest || passed >= CatalogPage.MaxPassed)
            {
                return new CatalogPage(found, isRest ? null : rows[^1].Location);
            }

            from = ZOrder.Encode(rows[^1].Location) + 1;
            size = rows.Count < size ? rows.Count : Math.Min(2 * size, CatalogPage.MaxPassed - passed);
        }
    }

    /// <summary>The first rows of the ranges from a code on, in its order.</summary>
    private static async Task<(List<CatalogFeature> Rows, bool IsRest)> ReadRangesAsync(
        NpgsqlConnection connection,
        IReadOnlyList<ZOrderRange> ranges,
        long from,
        int limit,
        bool withProperties,
        CancellationToken cancellationToken)
    {
        var rest = ranges.Where(range => range.Last >= from).ToList();
        await using var command = new NpgsqlCommand(CodesSql, connection)
        {
            Parameters =
            {
                new NpgsqlParameter<bool> { TypedValue = withProperties },
                Array(NpgsqlDbType.Bigint, rest.Select(range => Math.Max(range.First, from))),
                Array(NpgsqlDbType.Bigint, rest.Select(static range => range.Last)),
                new NpgsqlParameter<int> { TypedValue = limit },
            },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await ReadRowsAsync(reader, limit, cancellationToken);
    }

    /// <param name="reader">Before the first row of a query.</param>
    /// <param name="limit">Of the query.</param>
    /// <param name="cancellationToken">Ends the read.</param>
    /// <returns>The first rows, and whether there are no more: the query has fewer than its limit, and they are not too long.</returns>
    private static async Task<(List<CatalogFeature> Rows, bool IsRest)> ReadRowsAsync(
        NpgsqlDataReader reader, int limit, CancellationToken cancellationToken)
    {
        var rows = new List<CatalogFeature>();
        var length = 0;
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(Feature(reader, ReadProperties(reader, 6)));
            length += rows[^1].Length;
            if (length >= CatalogPage.MaxLength)
            {
                return (rows, IsRest: false);
            }
        }

        return (rows, rows.Count < limit);
    }
}
