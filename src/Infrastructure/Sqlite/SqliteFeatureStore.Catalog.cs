using System.Text;
using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>
/// Features with all that is kept of them, and single writes. Writers of this process wait for each other without a thread; those of
/// another one, and for an import, as long as SQLite is told to.
/// </summary>
public sealed partial class SqliteFeatureStore : IFeatureCatalog
{
    private readonly SemaphoreSlim _writing = new(1);

    // Of the last write; null if it has succeeded.
    private StoreUnavailableException? _writeFailure;

    public ValueTask<CatalogFeature?> GetAsync(Coordinate location, CancellationToken cancellationToken)
    {
        var reader = Rent();
        try
        {
            return ValueTask.FromResult(reader.Get(location));
        }
        finally
        {
            Return(reader);
        }
    }

    public Task<CatalogPage> ReadAsync(
        IReadOnlyList<BoundingBox> boxes, long from, int limit, bool withProperties, CancellationToken cancellationToken)
    {
        var reader = Rent();
        try
        {
            return Task.FromResult(reader.Read(boxes, from, limit, withProperties, cancellationToken));
        }
        finally
        {
            Return(reader);
        }
    }

    // Boxes are as fast as anything here.
    public Task<NearbyFeatures> ReadNearbyAsync(
        Coordinate near, int count, bool withProperties, CancellationToken cancellationToken) =>
        Task.FromResult(new NearbyFeatures([], Meters: -1));

    // No index: a scan reads a million names in less time than one takes to be made, and the file stays small.
    public Task<IReadOnlyList<CatalogFeature>?> FindAsync(
        FeatureFilter filter, int limit, bool withProperties, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<CatalogFeature>?>(null);

    public async Task<IReadOnlyList<CatalogFeature?>> WriteAsync(FeatureWrite write, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            using var connection = Connect();
            var features = Write(connection, write);
            Committed();
            return features;
        }
        catch (SqliteException e)
        {
            throw WriteFailed(e);
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Writes nothing unless the last write has failed.</summary>
    public async Task CheckWritableAsync(CancellationToken cancellationToken)
    {
        _file.CheckInPlace(Content);
        if (!await _writing.WaitAsync(TimeSpan.Zero, cancellationToken))
        {
            // A write of this process is under way, for seconds if it is an import; the last one that ended tells.
            if (Volatile.Read(ref _writeFailure) is { } failure)
            {
                throw StoreUnavailableException.ForOneOfMany(failure);
            }

            return;
        }

        try
        {
            _file.CheckWritable(SchemaVersion, _writeFailure is not null);
            _writeFailure = null;
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unavailable(e);
        }
        finally
        {
            _writing.Release();
        }
    }

    private void Committed()
    {
        Interlocked.Increment(ref _commits);
        Volatile.Write(ref _writeFailure, null);

        // After the commit: what is acknowledged was in the file at its path.
        _file.CheckInPlace(Content);
    }

    private StoreUnavailableException WriteFailed(SqliteException cause)
    {
        var failure = SqliteErrors.Unavailable(cause);
        Volatile.Write(ref _writeFailure, failure);
        return failure;
    }

    private IReadOnlyList<CatalogFeature?> Write(SqliteConnection connection, FeatureWrite write)
    {
        // What is not committed is rolled back.
        using var transaction = connection.BeginTransaction();
        var now = DateTimeOffset.FromUnixTimeMilliseconds(_clock.GetUtcNow().ToUnixTimeMilliseconds());
        var before = write.Changes.Select(change => Get(connection, change.Location)).OfType<CatalogFeature>()
            .ToDictionary(static feature => feature.Location);
        if (write.RequestId is { } id && RepeatedFingerprint(connection, id) is { } fingerprint)
        {
            return write.Repeat(fingerprint, before);
        }

        var revision = Scalar(connection, NextRevisionSql);
        var after = write.Apply(before, new Etag(revision), now);
        for (var i = 0; i < after.Count; i++)
        {
            var (location, exists) = (write.Changes[i].Location, before.ContainsKey(write.Changes[i].Location));
            Put(connection, location, after[i], exists);
            LogChange(connection, location, exists, after[i] is not null, now);
        }

        if (write.RequestId is { } newId)
        {
            KeepRequest(connection, newId, write.Fingerprint, now);
        }

        transaction.Commit();
        return after;
    }

    private static uint? RepeatedFingerprint(SqliteConnection connection, Guid requestId)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT fingerprint FROM feature_request WHERE request_id = $id";
        command.Parameters.AddWithValue("$id", requestId.ToByteArray());
        return (uint?)(long?)command.ExecuteScalar();
    }

    // Each write with an id removes up to two that are too old, so that they do not grow in number.
    private static void KeepRequest(SqliteConnection connection, Guid requestId, uint fingerprint, DateTimeOffset now) => Run(
        connection,
        """
        INSERT INTO feature_request (request_id, fingerprint, requested_at) VALUES ($id, $fingerprint, $now);
        DELETE FROM feature_request WHERE request_id IN (
            SELECT request_id FROM feature_request WHERE requested_at < $oldest ORDER BY requested_at LIMIT 2)
        """,
        ("$id", requestId.ToByteArray()),
        ("$fingerprint", (long)fingerprint),
        ("$now", now.ToUnixTimeMilliseconds()),
        ("$oldest", (now - FeatureWrite.RequestRetention).ToUnixTimeMilliseconds()));

    private static CatalogFeature? Get(SqliteConnection connection, Coordinate location)
    {
        using var command = connection.CreateCommand();
        command.CommandText = SqliteReader.GetSql;
        command.Parameters.AddWithValue("$place", ZOrder.Encode(location));
        using var reader = command.ExecuteReader();
        return !reader.Read() ? null : Feature(
            location,
            reader.GetString(0),
            reader.IsDBNull(1) ? [] : Encoding.UTF8.GetBytes(reader.GetString(1)),
            reader.GetInt64(2),
            reader.GetInt64(3),
            reader.IsDBNull(4) ? null : reader.GetInt64(4));
    }

    internal static CatalogFeature Feature(
        Coordinate location, string name, ReadOnlySpan<byte> properties, long revision, long createdAt, long? updatedAt) => new(
        location,
        name,
        StoredProperties.Read(properties, location),
        new Etag(revision),
        DateTimeOffset.FromUnixTimeMilliseconds(createdAt),
        DateTimeOffset.FromUnixTimeMilliseconds(updatedAt ?? createdAt));

    /// <summary>Writes what is at a place after a change.</summary>
    private static void Put(SqliteConnection connection, Coordinate location, CatalogFeature? feature, bool exists)
    {
        var place = ("$place", (object)ZOrder.Encode(location));
        if (feature is null)
        {
            Run(connection, "DELETE FROM feature WHERE place = $place; DELETE FROM feature_properties WHERE place = $place", place);
            return;
        }

        Run(
            connection,
            exists
                ? "UPDATE feature SET name = $name, revision = $revision, updated_at = $time WHERE place = $place"
                : "INSERT INTO feature (place, name, revision, created_at) VALUES ($place, $name, $revision, $time)",
            place,
            ("$name", feature.Name),
            ("$revision", feature.Etag.Revision),
            ("$time", feature.UpdatedAt.ToUnixTimeMilliseconds()));
        if (feature.Properties.Members.Count > 0)
        {
            const string PutSql = "INSERT OR REPLACE INTO feature_properties (place, properties) VALUES ($place, $properties)";
            Run(connection, PutSql, place, ("$properties", feature.Properties.Json));
        }
        else if (exists)
        {
            Run(connection, "DELETE FROM feature_properties WHERE place = $place", place);
        }
    }

    private static void Run(SqliteConnection connection, string sql, params ReadOnlySpan<(string Name, object Value)> parameters)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        foreach (var (name, value) in parameters)
        {
            command.Parameters.AddWithValue(name, value);
        }

        command.ExecuteNonQuery();
    }
}
