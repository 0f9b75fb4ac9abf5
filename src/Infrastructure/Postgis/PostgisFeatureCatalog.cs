using System.Text;
using Npgsql;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Postgis;

/// <summary>Features with all that is kept of them.</summary>
public sealed partial class PostgisFeatureCatalog : IFeatureCatalog, IAsyncDisposable
{
    // What Feature reads, in its order.
    internal const string Stored = "latitude, longitude, name, revision, created_at, updated_at";

    private const string GetSql = $"""
        SELECT {Stored}, properties
        FROM feature LEFT JOIN feature_properties USING (latitude, longitude) WHERE latitude = $1 AND longitude = $2
        """;

    private readonly PostgisDatabase _database;

    // A group with a write that must not be made twice is not repeated after a lost connection, so those are separate.
    private readonly GroupedWrites _writes;
    private readonly GroupedWrites _writesWithIds;

    public PostgisFeatureCatalog(PostgisDatabase database)
    {
        _database = database;
        _writes = new GroupedWrites((writes, isHurried, token) => WriteAllAsync(writes, isHurried, mayRepeat: false, token));
        _writesWithIds = new GroupedWrites((writes, isHurried, token) => WriteAllAsync(writes, isHurried, mayRepeat: true, token));
    }

    public async ValueTask<CatalogFeature?> GetAsync(Coordinate location, CancellationToken cancellationToken) => await _database.ReadAsync(
        async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(GetSql, connection)
            {
                Parameters =
                {
                    new NpgsqlParameter<int> { TypedValue = location.LatitudeE7 },
                    new NpgsqlParameter<int> { TypedValue = location.LongitudeE7 },
                },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            return await reader.ReadAsync(token) ? Feature(reader, ReadProperties(reader, 6)) : null;
        },
        cancellationToken);

    public Task<IReadOnlyList<CatalogFeature?>> WriteAsync(FeatureWrite write, CancellationToken cancellationToken) =>
        (write.RequestId is null ? _writes : _writesWithIds).WriteAsync(write, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _writes.DisposeAsync();
        await _writesWithIds.DisposeAsync();
    }

    /// <param name="reader">At a row with latitude, longitude, name, revision, time of creation and time of the last write.</param>
    /// <param name="properties">The feature's.</param>
    /// <param name="first">Column of the latitude.</param>
    internal static CatalogFeature Feature(NpgsqlDataReader reader, Properties properties, int first = 0)
    {
        var created = reader.GetFieldValue<DateTimeOffset>(first + 4);
        return new CatalogFeature(
            new Coordinate(reader.GetInt32(first), reader.GetInt32(first + 1)),
            reader.GetString(first + 2),
            properties,
            new Etag(reader.GetInt64(first + 3)),
            created,
            reader.IsDBNull(first + 5) ? created : reader.GetFieldValue<DateTimeOffset>(first + 5));
    }

    /// <param name="reader">At a row with latitude and longitude.</param>
    /// <param name="column">Column of the properties.</param>
    /// <param name="first">Column of the latitude.</param>
    internal static Properties ReadProperties(NpgsqlDataReader reader, int column, int first = 0) => StoredProperties.Read(
        reader.IsDBNull(column) ? [] : Encoding.UTF8.GetBytes(reader.GetString(column)),
        new Coordinate(reader.GetInt32(first), reader.GetInt32(first + 1)));
}
