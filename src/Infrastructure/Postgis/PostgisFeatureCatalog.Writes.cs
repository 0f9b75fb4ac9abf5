using System.Data;
using Npgsql;
using NpgsqlTypes;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using static RouteService.Infrastructure.Postgis.PostgisParameters;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Writing. A transaction locks the rows of its features in the order of their keys, so that two transactions never wait for each other,
/// reads them, lets the domain decide, and writes what it says.
/// </summary>
public sealed partial class PostgisFeatureCatalog
{
    // Before the locks of rows: an import, which locks the table, would else wait for a row of ours while we wait for its table.
    private const string LockTableSql = "LOCK TABLE feature IN ROW EXCLUSIVE MODE";

    private const string RequestsSql = "SELECT request_id, fingerprint FROM feature_request WHERE request_id = ANY ($1)";

    internal const string KeepSql = """
        INSERT INTO feature_request (request_id, fingerprint) SELECT * FROM unnest($1, $2) ON CONFLICT (request_id) DO NOTHING
        """;

    // In the order of the arrays. LIMIT 1 makes it one descent of the index a place, whatever the planner thinks of the table.
    internal const string LockRowsSql = $"""
        SELECT f.* FROM unnest($1, $2) WITH ORDINALITY AS place (latitude, longitude, i)
        CROSS JOIN LATERAL (
            SELECT {Stored} FROM feature
            WHERE latitude = place.latitude AND longitude = place.longitude LIMIT 1 FOR UPDATE) AS f
        """;

    // Separate, because the statement above sees properties from before its wait for the rows.
    private const string PropertiesSql = """
        SELECT p.* FROM unnest($1, $2) AS place (latitude, longitude)
        CROSS JOIN LATERAL (
            SELECT latitude, longitude, properties FROM feature_properties
            WHERE latitude = place.latitude AND longitude = place.longitude LIMIT 1) AS p
        """;

    // Not now(), which may precede the write that this one has waited for.
    private const string RevisionsSql = $"SELECT nextval('{RouteDbContext.Revisions}'), clock_timestamp() FROM generate_series(1, $1)";

    private const string InsertSql = """
        INSERT INTO feature (latitude, longitude, name, revision, created_at)
        SELECT latitude, longitude, name, revision, $5 FROM unnest($1, $2, $3, $4) AS written (latitude, longitude, name, revision)
        ON CONFLICT DO NOTHING
        """;

    // One that was deleted and created again by the same group was created now.
    private const string UpdateSql = """
        UPDATE feature SET name = written.name, revision = written.revision, created_at = written.created_at, updated_at = $5
        FROM unnest($1, $2, $3, $4, $6) AS written (latitude, longitude, name, revision, created_at)
        WHERE feature.latitude = written.latitude AND feature.longitude = written.longitude
        """;

    private const string PutPropertiesSql = """
        INSERT INTO feature_properties (latitude, longitude, properties) SELECT * FROM unnest($1, $2, $3)
        ON CONFLICT (latitude, longitude) DO UPDATE SET properties = excluded.properties
        """;

    private const string DropPropertiesSql = """
        DELETE FROM feature_properties USING unnest($1, $2) AS bare (latitude, longitude)
        WHERE feature_properties.latitude = bare.latitude AND feature_properties.longitude = bare.longitude
        """;

    // A trigger deletes the properties.
    private const string DeleteSql = """
        DELETE FROM feature USING unnest($1, $2) AS gone (latitude, longitude)
        WHERE feature.latitude = gone.latitude AND feature.longitude = gone.longitude
        """;

    // Each id that is kept removes up to two that are too old, so that they do not grow in number.
    internal const string ForgetSql = """
        DELETE FROM feature_request WHERE request_id IN (
            SELECT request_id FROM feature_request WHERE requested_at < now() - $1
            ORDER BY requested_at LIMIT 2 * $2 FOR UPDATE SKIP LOCKED)
        """;

    // How long a group waits for another transaction before its writes are made one by one.
    private const string Hurry = "SET LOCAL lock_timeout = 100";

    // Others can create the same features meanwhile again and again, but not so often.
    private const int MaxAttempts = 20;

    private Task<IReadOnlyList<WriteOutcome>> WriteAllAsync(
        IReadOnlyList<FeatureWrite> writes, bool isHurried, bool mayRepeat, CancellationToken cancellationToken) => _database.WriteAsync(
        async (connection, token) =>
        {
            for (var attempt = 1; attempt <= MaxAttempts; attempt++)
            {
                if (await TryWriteAsync(connection, writes, isHurried, token) is { } outcomes)
                {
                    return outcomes;
                }
            }

            throw PostgisErrors.NotKept();
        },
        mayRepeat,
        cancellationToken);

    /// <returns>Null where another has meanwhile created a feature or made a request of these writes: nothing was written.</returns>
    private static async Task<IReadOnlyList<WriteOutcome>?> TryWriteAsync(
        NpgsqlConnection connection, IReadOnlyList<FeatureWrite> writes, bool isHurried, CancellationToken cancellationToken)
    {
        // The isolation level is set because a role may have another by default. What is not committed is rolled back.
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancellationToken);
        var group = await LockAsync(connection, writes, isHurried, cancellationToken);
        var outcomes = group.Apply(writes);
        await using var batch = Save(connection, group, out var added);
        if (batch.BatchCommands.Count == 0)
        {
            return outcomes;
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
        for (var i = 0; i < added.Count; i++)
        {
            if (batch.BatchCommands[i].RecordsAffected != added[i])
            {
                return null;
            }
        }

        await transaction.CommitAsync(cancellationToken);
        return outcomes;
    }

    private static async Task<WriteGroup> LockAsync(
        NpgsqlConnection connection, IReadOnlyList<FeatureWrite> writes, bool isHurried, CancellationToken cancellationToken)
    {
        var places = writes.SelectMany(static write => write.Changes).Select(static change => change.Location).Distinct()
            .OrderBy(WriteGroup.KeyOf).ToList();
        await using var batch = new NpgsqlBatch(connection);
        if (isHurried)
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand(Hurry));
        }

        // Requests before rows: what a request that is found has written is found too. One that is committed in between is made again, and
        // cannot be kept.
        batch.BatchCommands.Add(new NpgsqlBatchCommand(LockTableSql));
        batch.BatchCommands.Add(new NpgsqlBatchCommand(RequestsSql)
        {
            Parameters = { Array(NpgsqlDbType.Uuid, writes.Select(static write => write.RequestId).OfType<Guid>()) },
        });
        batch.BatchCommands.Add(Command(LockRowsSql, places));
        batch.BatchCommands.Add(Command(PropertiesSql, places));
        batch.BatchCommands.Add(new NpgsqlBatchCommand(RevisionsSql)
        {
            Parameters = { new NpgsqlParameter<int> { TypedValue = writes.Count } },
        });

        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        var requests = new Dictionary<Guid, uint>();
        while (await reader.ReadAsync(cancellationToken))
        {
            requests.Add(reader.GetGuid(0), (uint)reader.GetInt64(1));
        }

        await reader.NextResultAsync(cancellationToken);
        var features = new Dictionary<Coordinate, CatalogFeature>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var feature = Feature(reader, Properties.Empty);
            features.Add(feature.Location, feature);
        }

        await reader.NextResultAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var place = new Coordinate(reader.GetInt32(0), reader.GetInt32(1));

            // One that is not locked was created since: its creation fails, and the writes begin again.
            if (features.TryGetValue(place, out var feature))
            {
                features[place] = feature with { Properties = ReadProperties(reader, 2) };
            }
        }

        await reader.NextResultAsync(cancellationToken);
        var etags = new List<Etag>();
        var now = default(DateTimeOffset);
        while (await reader.ReadAsync(cancellationToken))
        {
            etags.Add(new Etag(reader.GetInt64(0)));
            now = await reader.GetFieldValueAsync<DateTimeOffset>(1, cancellationToken);
        }

        return new WriteGroup(features, requests, etags, now);
    }

    /// <summary>The statements that store what a group has changed; none where it has changed nothing.</summary>
    /// <param name="connection">The connection.</param>
    /// <param name="group">The group.</param>
    /// <param name="added">The rows that the first statements have to add.</param>
    private static NpgsqlBatch Save(NpgsqlConnection connection, WriteGroup group, out List<int> added)
    {
        var batch = new NpgsqlBatch(connection);
        var (made, created, updated, deleted) = (group.Made, group.Created, group.Updated, group.Deleted);
        var changed = group.WithOtherProperties;
        var (bare, put) = (changed.FindAll(HasNone), changed.FindAll(static feature => !HasNone(feature)));
        added = [];
        if (made.Count > 0)
        {
            added.Add(made.Count);
            batch.BatchCommands.Add(new NpgsqlBatchCommand(KeepSql)
            {
                Parameters =
                {
                    Array(NpgsqlDbType.Uuid, made.Select(static request => request.Id)),
                    Array(NpgsqlDbType.Bigint, made.Select(static request => (long)request.Fingerprint)),
                },
            });
        }

        if (created.Count > 0)
        {
            added.Add(created.Count);
            batch.BatchCommands.Add(Versioned(InsertSql, created));
        }

        if (updated.Count > 0)
        {
            var createdAt = Array(NpgsqlDbType.TimestampTz, updated.Select(static feature => feature.CreatedAt.UtcDateTime));
            batch.BatchCommands.Add(Versioned(UpdateSql, updated, createdAt));
        }

        if (put.Count > 0)
        {
            batch.BatchCommands.Add(Command(
                PutPropertiesSql, Places(put), Array(NpgsqlDbType.Jsonb, put.Select(static feature => feature.Properties.Json))));
        }

        if (bare.Count > 0)
        {
            batch.BatchCommands.Add(Command(DropPropertiesSql, Places(bare)));
        }

        if (deleted.Count > 0)
        {
            batch.BatchCommands.Add(Command(DeleteSql, deleted));
        }

        if (made.Count > 0)
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand(ForgetSql)
            {
                Parameters =
                {
                    new NpgsqlParameter<TimeSpan> { TypedValue = FeatureWrite.RequestRetention },
                    new NpgsqlParameter<int> { TypedValue = made.Count },
                },
            });
        }

        return batch;

        NpgsqlBatchCommand Versioned(string sql, List<CatalogFeature> features, params ReadOnlySpan<NpgsqlParameter> others) => Command(
            sql,
            Places(features),
            [
                Array(NpgsqlDbType.Text, features.Select(static feature => feature.Name)),
                Array(NpgsqlDbType.Bigint, features.Select(static feature => feature.Etag.Revision)),
                new NpgsqlParameter<DateTimeOffset> { TypedValue = group.Now },
                .. others,
            ]);
    }

    private static NpgsqlBatchCommand Command(string sql, List<Coordinate> places, params ReadOnlySpan<NpgsqlParameter> others)
    {
        var command = new NpgsqlBatchCommand(sql);
        command.Parameters.Add(Array(NpgsqlDbType.Integer, places.Select(static place => place.LatitudeE7)));
        command.Parameters.Add(Array(NpgsqlDbType.Integer, places.Select(static place => place.LongitudeE7)));
        foreach (var other in others)
        {
            command.Parameters.Add(other);
        }

        return command;
    }

    private static List<Coordinate> Places(List<CatalogFeature> features) => features.ConvertAll(static feature => feature.Location);

    private static bool HasNone(CatalogFeature feature) => feature.Properties.Members.Count == 0;
}
