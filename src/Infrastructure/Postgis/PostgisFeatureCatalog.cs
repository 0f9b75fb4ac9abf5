using System.Data;
using System.Text;
using Npgsql;
using NpgsqlTypes;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using static RouteService.Infrastructure.Postgis.PostgisParameters;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Features with all that is kept of them. A write locks the rows of its features in the order of their keys, so that two writes never wait
/// for each other, reads them, lets the domain decide, and writes what it says.
/// </summary>
public sealed partial class PostgisFeatureCatalog(PostgisDatabase database) : IFeatureCatalog
{
    private const string GetSql = """
        SELECT latitude, longitude, name, revision, created_at, updated_at, properties
        FROM feature LEFT JOIN feature_properties USING (latitude, longitude) WHERE latitude = $1 AND longitude = $2
        """;

    // Before the locks of rows: an import, which locks the table, would else wait for a row of ours while we wait for its table.
    private const string LockTableSql = "LOCK TABLE feature IN ROW EXCLUSIVE MODE";

    internal const string RequestSql = """
        INSERT INTO feature_request (request_id, fingerprint) VALUES ($1, $2) ON CONFLICT (request_id) DO NOTHING RETURNING request_id
        """;

    private const string FingerprintSql = "SELECT fingerprint FROM feature_request WHERE request_id = $1";

    // In the order of the arrays. LIMIT 1 makes it one descent of the index a place, whatever the planner thinks of the table.
    internal const string LockRowsSql = """
        SELECT f.* FROM unnest($1, $2) WITH ORDINALITY AS place (latitude, longitude, i)
        CROSS JOIN LATERAL (
            SELECT latitude, longitude, name, revision, created_at, updated_at FROM feature
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
    private const string RevisionSql = $"SELECT nextval('{RouteDbContext.Revisions}'), clock_timestamp()";

    private const string InsertSql = """
        INSERT INTO feature (latitude, longitude, name, revision, created_at)
        SELECT latitude, longitude, name, $4, $5 FROM unnest($1, $2, $3) AS written (latitude, longitude, name)
        ON CONFLICT DO NOTHING
        """;

    private const string UpdateSql = """
        UPDATE feature SET name = written.name, revision = $4, updated_at = $5
        FROM unnest($1, $2, $3) AS written (latitude, longitude, name)
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

    // Each write with an id removes up to two that are too old, so that they do not grow in number.
    internal const string ForgetSql = """
        DELETE FROM feature_request WHERE request_id IN (
            SELECT request_id FROM feature_request WHERE requested_at < $1 ORDER BY requested_at LIMIT 2 FOR UPDATE SKIP LOCKED)
        """;

    public async ValueTask<CatalogFeature?> GetAsync(Coordinate location, CancellationToken cancellationToken) => await database.ReadAsync(
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

    public Task<IReadOnlyList<CatalogFeature?>> WriteAsync(FeatureWrite write, CancellationToken cancellationToken) => database.WriteAsync(
        async (connection, token) =>
        {
            IReadOnlyList<CatalogFeature?>? features;
            do
            {
                features = await TryWriteAsync(connection, write, token);
            }
            while (features is null);
            return features;
        },
        mayRepeat: write.RequestId is not null,
        cancellationToken);

    /// <returns>Null where another has meanwhile created a feature that was missing: nothing was written.</returns>
    private static async Task<IReadOnlyList<CatalogFeature?>?> TryWriteAsync(
        NpgsqlConnection connection, FeatureWrite write, CancellationToken cancellationToken)
    {
        // The isolation level is set because a role may have another by default. What is not committed is rolled back.
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancellationToken);
        var locked = await LockAsync(connection, write, cancellationToken);
        if (locked.IsRepeat)
        {
            var command = new NpgsqlCommand(FingerprintSql, connection)
            {
                Parameters = { new NpgsqlParameter<Guid> { TypedValue = write.RequestId!.Value } },
            };
            await using (command)
            {
                var fingerprint = (long)(await command.ExecuteScalarAsync(cancellationToken))!;
                return write.Repeat((uint)fingerprint, locked.Features);
            }
        }

        var features = write.Apply(locked.Features, locked.Etag, locked.Now);
        if (!await TryApplyAsync(connection, write, locked, features, cancellationToken))
        {
            return null;
        }

        await transaction.CommitAsync(cancellationToken);
        return features;
    }

    private static async Task<LockedFeatures> LockAsync(
        NpgsqlConnection connection, FeatureWrite write, CancellationToken cancellationToken)
    {
        var places = write.Changes.Select(static change => change.Location)
            .OrderBy(static place => place.LatitudeE7).ThenBy(static place => place.LongitudeE7).ToList();
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(new NpgsqlBatchCommand(LockTableSql));
        if (write.RequestId is { } id)
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand(RequestSql)
            {
                Parameters =
                {
                    new NpgsqlParameter<Guid> { TypedValue = id },
                    new NpgsqlParameter<long> { TypedValue = write.Fingerprint },
                },
            });
        }

        batch.BatchCommands.Add(Command(LockRowsSql, places));
        batch.BatchCommands.Add(Command(PropertiesSql, places));
        batch.BatchCommands.Add(new NpgsqlBatchCommand(RevisionSql));

        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        var isRepeat = false;
        if (write.RequestId is not null)
        {
            isRepeat = !await reader.ReadAsync(cancellationToken);
            await reader.NextResultAsync(cancellationToken);
        }

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

            // One that is not locked was created since: its creation fails, and the write begins again.
            if (features.TryGetValue(place, out var feature))
            {
                features[place] = feature with { Properties = ReadProperties(reader, 2) };
            }
        }

        await reader.NextResultAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        var now = await reader.GetFieldValueAsync<DateTimeOffset>(1, cancellationToken);
        return new LockedFeatures(features, new Etag(reader.GetInt64(0)), now, isRepeat);
    }

    /// <returns>False where a feature exists that was missing before.</returns>
    private static async Task<bool> TryApplyAsync(
        NpgsqlConnection connection,
        FeatureWrite write,
        LockedFeatures before,
        IReadOnlyList<CatalogFeature?> after,
        CancellationToken cancellationToken)
    {
        var written = after.OfType<CatalogFeature>().ToList();
        var created = written.FindAll(feature => !before.Features.ContainsKey(feature.Location));
        var deleted = write.Changes.Where((change, i) => after[i] is null && before.Features.ContainsKey(change.Location));
        var changed = written.FindAll(feature => !feature.Properties.Equals(before.PropertiesAt(feature.Location)));
        var (bare, put) = (changed.FindAll(HasNone), changed.FindAll(static feature => !HasNone(feature)));

        await using var batch = new NpgsqlBatch(connection);
        Add(created, features => Versioned(InsertSql, features));
        Add(written.FindAll(feature => before.Features.ContainsKey(feature.Location)), features => Versioned(UpdateSql, features));
        Add(put, static features => Command(
            PutPropertiesSql, Places(features), Array(NpgsqlDbType.Jsonb, features.Select(static feature => feature.Properties.Json))));
        Add(bare, static features => Command(DropPropertiesSql, Places(features)));
        Add(deleted.ToList(), static changes => Command(DeleteSql, changes.ConvertAll(static change => change.Location)));
        if (write.RequestId is not null)
        {
            var oldest = new NpgsqlParameter<DateTimeOffset> { TypedValue = before.Now - FeatureWrite.RequestRetention };
            batch.BatchCommands.Add(new NpgsqlBatchCommand(ForgetSql) { Parameters = { oldest } });
        }

        if (batch.BatchCommands.Count > 0)
        {
            await batch.ExecuteNonQueryAsync(cancellationToken);
        }

        return created.Count == 0 || batch.BatchCommands[0].RecordsAffected == created.Count;

        void Add<T>(List<T> rows, Func<List<T>, NpgsqlBatchCommand> command)
        {
            if (rows.Count > 0)
            {
                batch.BatchCommands.Add(command(rows));
            }
        }

        NpgsqlBatchCommand Versioned(string sql, List<CatalogFeature> features) => Command(
            sql,
            Places(features),
            Array(NpgsqlDbType.Text, features.Select(static feature => feature.Name)),
            new NpgsqlParameter<long> { TypedValue = before.Etag.Revision },
            new NpgsqlParameter<DateTimeOffset> { TypedValue = before.Now });
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

    internal static Properties ReadProperties(NpgsqlDataReader reader, int column) => reader.IsDBNull(column)
        ? Properties.Empty
        : Properties.FromStore(Encoding.UTF8.GetBytes(reader.GetString(column)));

    /// <summary>The features of a write as they are under its locks, and what the write is.</summary>
    private sealed record LockedFeatures(
        Dictionary<Coordinate, CatalogFeature> Features, Etag Etag, DateTimeOffset Now, bool IsRepeat)
    {
        public Properties PropertiesAt(Coordinate place) => Features.GetValueOrDefault(place)?.Properties ?? Properties.Empty;
    }
}
