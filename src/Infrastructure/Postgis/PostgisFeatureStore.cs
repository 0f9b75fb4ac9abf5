using Microsoft.EntityFrameworkCore;
using Npgsql;
using NpgsqlTypes;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Features in PostGIS. A connection is held while a query is read and never while a client is written to, so the pool bounds concurrent
/// queries, not calls. Rectangles are in PostgisFeatureStore.Area.cs, import and export in PostgisFeatureStore.Import.cs and .Export.cs.
/// </summary>
public sealed partial class PostgisFeatureStore : IFeatureStore, IAsyncDisposable
{
    // LIMIT 1 changes nothing for a primary key, but makes the look-up of each place one descent of the index: without it the planner may
    // read a whole table that it takes for small.
    internal const string LookUpSql = """
        SELECT place.i, f.name
        FROM unnest($1, $2) WITH ORDINALITY AS place (latitude, longitude, i)
        CROSS JOIN LATERAL (
            SELECT name FROM feature WHERE latitude = place.latitude AND longitude = place.longitude LIMIT 1) AS f
        """;

    internal const string CountAtSql = """
        SELECT count(*)
        FROM unnest($1, $2) AS place (latitude, longitude)
        CROSS JOIN LATERAL (
            SELECT 1 FROM feature WHERE latitude = place.latitude AND longitude = place.longitude LIMIT 1) AS f
        """;

    private readonly PostgisDatabase _database;
    private readonly CoalescedLookUps _lookUps;

    public PostgisFeatureStore(PostgisDatabase database, PostgresOptions options)
    {
        _database = database;
        _lookUps = new CoalescedLookUps(LookUpAsync, options.MaxLookUpBatch);
    }

    public async ValueTask<Feature?> FindAsync(Coordinate location, CancellationToken cancellationToken) =>
        await _lookUps.FindAsync(location, cancellationToken) is { } name ? new Feature(location, name) : null;

    public async ValueTask<int> CountAtAsync(ReadOnlyMemory<Coordinate> locations, CancellationToken cancellationToken)
    {
        if (locations.IsEmpty)
        {
            return 0;
        }

        StoreTelemetry.LooksUpForRecordRoute(locations.Length);
        return (int)await _database.ReadAsync(
            async (connection, token) =>
            {
                await using var command = PlacesCommand(connection, CountAtSql, locations.Span);
                return (long)(await command.ExecuteScalarAsync(token))!;
            },
            cancellationToken);
    }

    public async ValueTask<long> CountAsync(CancellationToken cancellationToken) => await _database.ReadAsync(
        static async (connection, token) =>
        {
            await using var context = new RouteDbContext(connection);
            return await context.Features.LongCountAsync(token);
        },
        cancellationToken);

    /// <summary>Ends the look-ups; the caller disposes of the database.</summary>
    public ValueTask DisposeAsync()
    {
        _imports.Dispose();
        return _lookUps.DisposeAsync();
    }

    /// <summary>The names at these places, in their order; null where there is no feature.</summary>
    private Task<string?[]> LookUpAsync(ReadOnlyMemory<Coordinate> locations) => _database.ReadAsync(
        async (connection, token) =>
        {
            var names = new string?[locations.Length];
            await using var command = PlacesCommand(connection, LookUpSql, locations.Span);
            await using var reader = await command.ExecuteReaderAsync(token);
            while (await reader.ReadAsync(token))
            {
                names[reader.GetInt64(0) - 1] = reader.GetString(1);
            }

            return names;
        },
        CancellationToken.None);

    private static NpgsqlCommand PlacesCommand(NpgsqlConnection connection, string sql, ReadOnlySpan<Coordinate> locations)
    {
        var latitudes = new int[locations.Length];
        var longitudes = new int[locations.Length];
        for (var i = 0; i < locations.Length; i++)
        {
            latitudes[i] = locations[i].LatitudeE7;
            longitudes[i] = locations[i].LongitudeE7;
        }

        const NpgsqlDbType Integers = NpgsqlDbType.Array | NpgsqlDbType.Integer;
        return new NpgsqlCommand(sql, connection)
        {
            Parameters =
            {
                new NpgsqlParameter<int[]> { TypedValue = latitudes, NpgsqlDbType = Integers },
                new NpgsqlParameter<int[]> { TypedValue = longitudes, NpgsqlDbType = Integers },
            },
        };
    }
}
