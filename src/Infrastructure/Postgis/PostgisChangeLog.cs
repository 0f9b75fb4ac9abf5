using System.Data;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using NpgsqlTypes;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Domain.Watch;
using static RouteService.Infrastructure.Postgis.PostgisParameters;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// The change log of features in PostgreSQL. Triggers write it in each transaction that changes features, and give sequences when it
/// commits. A commit notifies; the notification is only a hint, and a lost one delays readers by <see cref="Patience"/> at most. All reads
/// go to the primary, because a standby may lag.
/// </summary>
public sealed class PostgisChangeLog(PostgisDatabase database) : IChangeLog
{
    private const string Channel = "feature_change";

    private const string FromSql = """
        SELECT sequence, kind, latitude, longitude, coalesce(north, latitude), coalesce(east, longitude), changed_at
        FROM feature_change WHERE sequence >= $1 ORDER BY sequence LIMIT $2
        """;

    // LIMIT 1 makes it one descent of each index a place, whatever the planner thinks of the tables.
    private const string FeaturesSql = $"""
        SELECT f.latitude, f.longitude, f.name, f.revision, f.created_at, f.updated_at, (
            SELECT p.properties FROM feature_properties AS p WHERE p.latitude = f.latitude AND p.longitude = f.longitude LIMIT 1)
        FROM unnest($1, $2) AS place (latitude, longitude)
        CROSS JOIN LATERAL (
            SELECT {PostgisFeatureCatalog.Stored} FROM feature
            WHERE latitude = place.latitude AND longitude = place.longitude LIMIT 1) AS f
        """;

    /// <summary>How long a lost notification can delay changes.</summary>
    internal TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(1);

    public Task<long> ReadHeadAsync(CancellationToken cancellationToken) => database.ReadPrimaryAsync(
        static async (connection, token) =>
        {
            await using var context = new RouteDbContext(connection);
            return await context.FeatureChanges.MaxAsync(static change => (long?)change.Sequence, token) ?? 0;
        },
        cancellationToken);

    public Task<IReadOnlyList<LoggedChange>> ReadFromAsync(long sequence, int limit, CancellationToken cancellationToken) =>
        database.ReadPrimaryAsync<IReadOnlyList<LoggedChange>>(
            async (connection, token) =>
            {
                await using var command = new NpgsqlCommand(FromSql, connection)
                {
                    Parameters =
                    {
                        new NpgsqlParameter<long> { TypedValue = sequence },
                        new NpgsqlParameter<int> { TypedValue = limit },
                    },
                };
                var changes = new List<LoggedChange>();
                await using var reader = await command.ExecuteReaderAsync(token);
                while (await reader.ReadAsync(token))
                {
                    changes.Add(new LoggedChange(
                        reader.GetInt64(0),
                        (ChangeKind)reader.GetInt16(1),
                        new BoundingBox(
                            new Coordinate(reader.GetInt32(2), reader.GetInt32(3)), new Coordinate(reader.GetInt32(4), reader.GetInt32(5))),
                        await reader.GetFieldValueAsync<DateTimeOffset>(6, token)));
                }

                return changes;
            },
            cancellationToken);

    public Task<IReadOnlyList<CatalogFeature>> ReadFeaturesAsync(
        IReadOnlyCollection<Coordinate> places, CancellationToken cancellationToken) =>
        database.ReadPrimaryAsync<IReadOnlyList<CatalogFeature>>(
            async (connection, token) =>
            {
                await using var command = new NpgsqlCommand(FeaturesSql, connection)
                {
                    Parameters =
                    {
                        Array(NpgsqlDbType.Integer, places.Select(static place => place.LatitudeE7)),
                        Array(NpgsqlDbType.Integer, places.Select(static place => place.LongitudeE7)),
                    },
                };
                var features = new List<CatalogFeature>();
                await using var reader = await command.ExecuteReaderAsync(token);
                while (await reader.ReadAsync(token))
                {
                    features.Add(PostgisFeatureCatalog.Feature(reader, PostgisFeatureCatalog.ReadProperties(reader, 6)));
                }

                return features;
            },
            cancellationToken);

    public Task<int> RemoveAsync(TimeSpan age, long keep, int limit, CancellationToken cancellationToken) => database.WriteAsync(
        async (connection, token) =>
        {
            await using var context = new RouteDbContext(connection);
            await using var transaction = await context.Database.BeginTransactionAsync(IsolationLevel.ReadCommitted, token);

            // Looks at the oldest changes only: the table has no index by time, because sequence and time ascend together.
            var time = await context.NowAsync(token) - age;
            var head = await context.FeatureChanges.MaxAsync(static change => (long?)change.Sequence, token) ?? 0;
            var old = context.FeatureChanges.OrderBy(static change => change.Sequence).Take(limit)
                .Where(change => (change.ChangedAt < time || change.Sequence <= head - keep) && change.Sequence < head);
            var removed = await context.FeatureChanges
                .Where(change => old.Select(static other => other.Sequence).Contains(change.Sequence))
                .ExecuteDeleteAsync(token);
            await transaction.CommitAsync(token);
            return removed;
        },
        mayRepeat: true,
        cancellationToken);

    public IAsyncEnumerable<bool> ListenAsync(CancellationToken cancellationToken) =>
        database.ListenAsync(Channel, Patience, cancellationToken);
}
