using Npgsql;
using NpgsqlTypes;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using static RouteService.Infrastructure.Postgis.PostgisParameters;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Reading in the order of Z-order codes, which no index has. The world is halved along the curve into cells, each a rectangle that the
/// spatial index finds: cells are in order, and one with few features is read whole and sorted here. One with too many is cut into 64.
/// </summary>
public sealed partial class PostgisFeatureCatalog
{
    // Cells of one query. After a page the next one begins in the middle of a cell, which leaves up to 63 smaller ones.
    private const int MaxCells = 64;

    // A cell with too many features is halved so often: a query reads 64 cells nearly as fast as two.
    private const int Halvings = 6;

    // Nearer to a pole than 75 degrees an ellipse is too long to be read.
    private const double MaxStretch = 4;

    // The fewest features that a query reads beyond those that are needed.
    private const int MinSpare = 16;

    // In the order of the cells. && alone may find what is a metre outside; the sums keep the planner from reading latitudes by the key.
    internal const string CellsSql = """
        SELECT f.latitude, f.longitude, f.name, f.revision, f.created_at, f.updated_at, CASE WHEN $6 THEN (
            SELECT p.properties FROM feature_properties AS p WHERE p.latitude = f.latitude AND p.longitude = f.longitude) END,
            cell.i::integer
        FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS cell (south, west, north, east, i)
        CROSS JOIN LATERAL (
            SELECT latitude, longitude, name, revision, created_at, updated_at FROM feature
            WHERE location && ST_MakeEnvelope(
                    cell.west / 1e7::float8, cell.south / 1e7::float8, cell.east / 1e7::float8, cell.north / 1e7::float8, 4326)
                AND latitude + 0 BETWEEN cell.south AND cell.north AND longitude + 0 BETWEEN cell.west AND cell.east
            LIMIT $5) AS f
        LIMIT $5
        """;

    // The nearest by degrees, which are not the nearest by metres.
    internal const string NearbySql = """
        SELECT f.latitude, f.longitude, f.name, f.revision, f.created_at, f.updated_at, CASE WHEN $4 THEN (
            SELECT p.properties FROM feature_properties AS p WHERE p.latitude = f.latitude AND p.longitude = f.longitude) END
        FROM feature AS f
        ORDER BY f.location <-> ST_SetSRID(ST_MakePoint($2 / 1e7::float8, $1 / 1e7::float8), 4326) LIMIT $3
        """;

    public Task<NearbyFeatures> ReadNearbyAsync(
        Coordinate near, int count, bool withProperties, CancellationToken cancellationToken)
    {
        // The nearest by metres lie in an ellipse of degrees; its circle is larger by this.
        var wanted = (count * Math.Min(1.2 / Math.Cos(near.LatitudeE7 / Coordinate.E7 * Math.PI / 180), MaxStretch)) + MinSpare;
        return ReadNearbyAsync(near, (long)wanted, withProperties, cancellationToken);
    }

    public Task<IReadOnlyList<CatalogFeature>> ReadAsync(
        IReadOnlyList<BoundingBox> boxes, long from, int limit, bool withProperties, CancellationToken cancellationToken) =>
        _database.ReadAsync<IReadOnlyList<CatalogFeature>>(
            async (connection, token) =>
            {
                var found = new List<CatalogFeature>();
                var cells = new Stack<ZOrderRange>([ZOrder.World]);
                while (found.Count < limit && TakeCells(cells, boxes, from) is { Count: > 0 } taken)
                {
                    // A surplus: with the number that is needed, the limit would usually cut the last cell off.
                    var rows = limit - found.Count + Math.Max(limit / 2, MinSpare);
                    await ReadCellsAsync(connection, taken, cells, found, rows, withProperties, token);
                }

                return found.Count > limit ? found[..limit] : found;
            },
            cancellationToken);

    private Task<NearbyFeatures> ReadNearbyAsync(
        Coordinate near, long limit, bool withProperties, CancellationToken cancellationToken) => _database.ReadAsync(
        async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(NearbySql, connection)
            {
                Parameters =
                {
                    new NpgsqlParameter<int> { TypedValue = near.LatitudeE7 },
                    new NpgsqlParameter<int> { TypedValue = near.LongitudeE7 },
                    new NpgsqlParameter<long> { TypedValue = limit },
                    new NpgsqlParameter<bool> { TypedValue = withProperties },
                },
            };
            var features = new List<CatalogFeature>();
            await using var reader = await command.ExecuteReaderAsync(token);
            while (await reader.ReadAsync(token))
            {
                features.Add(Feature(reader, ReadProperties(reader, 6)));
            }

            return new NearbyFeatures(
                features, features.Count < limit ? Circle.MaxRadiusMeters : Haversine.LeastMeters(near, features[^1].Location));
        },
        cancellationToken);

    /// <summary>The next cells in order, each with the part of a box that is in it; a cell of two boxes comes twice.</summary>
    private static List<(ZOrderRange Cell, BoundingBox Part)> TakeCells(
        Stack<ZOrderRange> cells, IReadOnlyList<BoundingBox> boxes, long from)
    {
        var taken = new List<(ZOrderRange, BoundingBox)>();
        while (taken.Count < MaxCells && cells.TryPop(out var cell))
        {
            var rectangle = new BoundingBox(ZOrder.Decode(cell.First), ZOrder.Decode(cell.Last));
            var parts = boxes.Select(box => box.Intersect(rectangle)).OfType<BoundingBox>().ToList();
            if (cell.Last < from || parts.Count == 0)
            {
                continue;
            }

            if (cell.First < from)
            {
                Cut(cell, halvings: 1, cells);
                continue;
            }

            taken.AddRange(parts.Select(part => (cell, part)));
        }

        return taken;
    }

    /// <summary>Adds the features of the cells up to the first with too many, and puts that and the ones behind it back.</summary>
    private static async Task ReadCellsAsync(
        NpgsqlConnection connection,
        List<(ZOrderRange Cell, BoundingBox Part)> taken,
        Stack<ZOrderRange> cells,
        List<CatalogFeature> found,
        int limit,
        bool withProperties,
        CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(CellsSql, connection)
        {
            Parameters =
            {
                Array(NpgsqlDbType.Integer, taken.Select(static cell => cell.Part.SouthWest.LatitudeE7)),
                Array(NpgsqlDbType.Integer, taken.Select(static cell => cell.Part.SouthWest.LongitudeE7)),
                Array(NpgsqlDbType.Integer, taken.Select(static cell => cell.Part.NorthEast.LatitudeE7)),
                Array(NpgsqlDbType.Integer, taken.Select(static cell => cell.Part.NorthEast.LongitudeE7)),
                new NpgsqlParameter<int> { TypedValue = limit },
                new NpgsqlParameter<bool> { TypedValue = withProperties },
            },
        };
        var rows = new List<(CatalogFeature Feature, ZOrderRange Cell)>();
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                rows.Add((Feature(reader, ReadProperties(reader, 6)), taken[reader.GetInt32(7) - 1].Cell));
            }
        }

        if (rows.Count == limit)
        {
            var full = rows[^1].Cell;
            foreach (var (cell, _) in taken.Where(cell => cell.Cell.First > full.First).DistinctBy(static cell => cell.Cell).Reverse())
            {
                cells.Push(cell);
            }

            if (full.First < full.Last)
            {
                // It may have more.
                rows.RemoveAll(row => row.Cell == full);
                Cut(full, Halvings, cells);
            }
        }

        found.AddRange(rows.Select(static row => row.Feature).OrderBy(static feature => ZOrder.Encode(feature.Location)));
    }

    /// <summary>Halves a cell, and its halves, so often; the first part comes to lie on top.</summary>
    private static void Cut(ZOrderRange cell, int halvings, Stack<ZOrderRange> cells)
    {
        if (halvings == 0 || cell.First == cell.Last)
        {
            cells.Push(cell);
            return;
        }

        var (lower, upper) = ZOrder.Halve(cell);
        Cut(upper, halvings - 1, cells);
        Cut(lower, halvings - 1, cells);
    }
}
