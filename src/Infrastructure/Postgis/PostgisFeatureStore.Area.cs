using System.Runtime.CompilerServices;
using System.Text.Json;
using Npgsql;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Rectangles. A spatial index has no order by which a page could continue after the last one, so the rectangle is divided into tiles of
/// about a page, each read whole into memory by one query (docs/adr/0005-postgis-pages-are-tiles.md).
/// </summary>
public sealed partial class PostgisFeatureStore
{
    // && compares boxes in single precision: it finds everything inside and possibly a feature a metre outside, which the integers exclude.
    internal const string AreaSql = $"SELECT latitude, longitude, name FROM feature WHERE location && {Envelope} LIMIT $5";

    private const string EstimateSql = $"EXPLAIN (FORMAT JSON) SELECT 1 FROM feature WHERE location && {Envelope}";

    // The same division that made the geometry, so that the edges are the same numbers.
    private const string Envelope = "ST_MakeEnvelope($1 / 1e7::float8, $2 / 1e7::float8, $3 / 1e7::float8, $4 / 1e7::float8, 4326)";

    // A rectangle with no more features than this is one query. It is small, so that the first feature leaves soon.
    private const int FirstPage = 1_024;

    // Target size of a tile, and the most features read of one, because the expected count is an estimate.
    private const int TilePage = 8_192;
    private const int MaxTilePage = 4 * TilePage;

    public async IAsyncEnumerable<ReadOnlyMemory<Feature>> PagesInAreaAsync(
        BoundingBox area, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var tiles = new Tiles(_database, area);
        var reading = tiles.ReadNextAsync(ending.Token);
        try
        {
            while (await reading is { } page)
            {
                // One page ahead, and no further: the database works while the caller writes.
                reading = tiles.ReadNextAsync(ending.Token);
                yield return page;
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
        finally
        {
            // Cancel and await the prefetch, so that nothing of this call runs on; its outcome does not matter.
            await ending.CancelAsync();
            await ((Task)reading).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>The unread rest of a rectangle. For one reader at a time.</summary>
    private sealed class Tiles(PostgisDatabase database, BoundingBox area)
    {
        // Each with the estimate of the tile that it is half of.
        private readonly Stack<(BoundingBox Tile, double Whole)> _rest = new([(area, double.MaxValue)]);
        private bool _isLarge;

        /// <summary>The features of one more tile; null at the end.</summary>
        public async Task<Feature[]?> ReadNextAsync(CancellationToken cancellationToken)
        {
            while (_rest.TryPop(out var next))
            {
                var (page, estimate) = await database.ReadAsync(
                    (connection, token) => TryReadAsync(connection, next.Tile, next.Whole, token), cancellationToken);
                if (page is null)
                {
                    _isLarge = true;
                    Halve(next.Tile, estimate);
                }
                else if (page.Length > 0)
                {
                    return page;
                }
            }

            return null;
        }

        /// <returns>The features of the tile, or null where they are too many for a page; and how many were expected.</returns>
        private async Task<(Feature[]? Page, double Estimate)> TryReadAsync(
            NpgsqlConnection connection, BoundingBox tile, double whole, CancellationToken cancellationToken)
        {
            // The estimate costs a fraction of a millisecond. It is the planner's own, from the statistics that chose the index, and is
            // requested only after the rectangle has turned out to be large. An estimate not below the whole's says nothing: a table that
            // was never analyzed has the same for every tile.
            var isPoint = tile.SouthWest == tile.NorthEast;
            var estimate = _isLarge && !isPoint ? await EstimateAsync(connection, tile, cancellationToken) : whole;
            if (estimate > TilePage && estimate < whole)
            {
                return (null, estimate);
            }

            // A point cannot be split; extra rows are false positives of &&.
            var limit = isPoint ? int.MaxValue - 1 : _isLarge ? MaxTilePage : FirstPage;
            var page = new List<Feature>();
            var rows = 0;
            await using var command = AreaCommand(connection, AreaSql, tile);
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit + 1 });
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                if (++rows > limit)
                {
                    return (null, Math.Min(estimate, whole));
                }

                var location = new Coordinate(reader.GetInt32(0), reader.GetInt32(1));
                if (tile.Contains(location))
                {
                    page.Add(new Feature(location, reader.GetString(2)));
                }
            }

            return ([.. page], estimate);
        }

        /// <summary>Puts both halves of a tile in its place, divided across its longer side.</summary>
        private void Halve(BoundingBox tile, double estimate)
        {
            var (south, west) = (tile.SouthWest.LatitudeE7, tile.SouthWest.LongitudeE7);
            var (north, east) = (tile.NorthEast.LatitudeE7, tile.NorthEast.LongitudeE7);
            if ((long)north - south >= (long)east - west)
            {
                var middle = (int)(((long)south + north) >> 1);
                _rest.Push((new BoundingBox(new Coordinate(middle + 1, west), tile.NorthEast), estimate));
                _rest.Push((new BoundingBox(tile.SouthWest, new Coordinate(middle, east)), estimate));
            }
            else
            {
                var middle = (int)(((long)west + east) >> 1);
                _rest.Push((new BoundingBox(new Coordinate(south, middle + 1), tile.NorthEast), estimate));
                _rest.Push((new BoundingBox(tile.SouthWest, new Coordinate(north, middle)), estimate));
            }
        }

        private static async Task<double> EstimateAsync(NpgsqlConnection connection, BoundingBox tile, CancellationToken cancellationToken)
        {
            await using var command = AreaCommand(connection, EstimateSql, tile);
            using var plan = JsonDocument.Parse((string)(await command.ExecuteScalarAsync(cancellationToken))!);
            return plan.RootElement[0].GetProperty("Plan").GetProperty("Plan Rows").GetDouble();
        }

        private static NpgsqlCommand AreaCommand(NpgsqlConnection connection, string sql, BoundingBox tile) => new(sql, connection)
        {
            Parameters =
            {
                new NpgsqlParameter<int> { TypedValue = tile.SouthWest.LongitudeE7 },
                new NpgsqlParameter<int> { TypedValue = tile.SouthWest.LatitudeE7 },
                new NpgsqlParameter<int> { TypedValue = tile.NorthEast.LongitudeE7 },
                new NpgsqlParameter<int> { TypedValue = tile.NorthEast.LatitudeE7 },
            },
        };
    }
}
