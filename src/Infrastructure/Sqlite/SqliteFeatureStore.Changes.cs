using System.Runtime.CompilerServices;
using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Domain.Watch;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>The change log. A write logs its changes itself: the only writers are this program and its commands.</summary>
public sealed partial class SqliteFeatureStore : IChangeLog
{
    // Above this number of changes, an import is one reset.
    private const int MaxListed = 10_000;

    // Interval at which the file is looked at: a few microseconds, and the longest delay of a change.
    private static readonly TimeSpan LookPeriod = TimeSpan.FromMilliseconds(50);

    public Task<long> ReadHeadAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var connection = Connect();
            return Task.FromResult(Scalar(connection, "SELECT coalesce(max(sequence), 0) FROM feature_change"));
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unavailable(e);
        }
    }

    public Task<IReadOnlyList<LoggedChange>> ReadFromAsync(long sequence, int limit, CancellationToken cancellationToken)
    {
        try
        {
            using var connection = Connect();
            using var command = connection.CreateCommand();
            command.CommandText = """
                SELECT sequence, kind, place, changed_at FROM feature_change WHERE sequence >= $from ORDER BY sequence LIMIT $limit
                """;
            command.Parameters.AddWithValue("$from", sequence);
            command.Parameters.AddWithValue("$limit", limit);
            using var reader = command.ExecuteReader();
            var changes = new List<LoggedChange>();
            while (reader.Read())
            {
                var (kind, place) = ((ChangeKind)reader.GetInt64(1), ZOrder.Decode(reader.GetInt64(2)));
                changes.Add(new LoggedChange(
                    reader.GetInt64(0),
                    kind,
                    kind is ChangeKind.Reset ? BoundingBox.World : new BoundingBox(place, place),
                    DateTimeOffset.FromUnixTimeMilliseconds(reader.GetInt64(3))));
            }

            return Task.FromResult<IReadOnlyList<LoggedChange>>(changes);
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unavailable(e);
        }
    }

    public Task<IReadOnlyList<CatalogFeature>> ReadFeaturesAsync(
        IReadOnlyCollection<Coordinate> places, CancellationToken cancellationToken)
    {
        var reader = Rent(isNew: true);
        try
        {
            return Task.FromResult<IReadOnlyList<CatalogFeature>>([.. places.Select(reader.Get).OfType<CatalogFeature>()]);
        }
        finally
        {
            Return(reader);
        }
    }

    public async Task<int> RemoveAsync(TimeSpan age, long keep, int limit, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            using var connection = Connect();
            using var command = connection.CreateCommand();
            command.CommandText = """
                DELETE FROM feature_change
                WHERE sequence IN (SELECT sequence FROM feature_change ORDER BY sequence LIMIT $limit)
                    AND (changed_at < $before OR sequence <= (SELECT max(sequence) FROM feature_change) - $keep)
                    AND sequence < (SELECT max(sequence) FROM feature_change)
                """;
            command.Parameters.AddWithValue("$limit", limit);
            command.Parameters.AddWithValue("$before", (_clock.GetUtcNow() - age).ToUnixTimeMilliseconds());
            command.Parameters.AddWithValue("$keep", keep);
            return command.ExecuteNonQuery();
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

    public async IAsyncEnumerable<bool> ListenAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var connection = ConnectListener();
        using var timer = new PeriodicTimer(LookPeriod, _clock);
        var seen = 0L;
        do
        {
            // Another number after each commit of another connection, of this process or of another.
            var version = DataVersion(connection);
            if (version != seen)
            {
                seen = version;
                yield return true;
            }
        }
        while (await timer.WaitForNextTickAsync(cancellationToken));
    }

    /// <summary>Logs what a write has done to a feature.</summary>
    private static void LogChange(SqliteConnection connection, Coordinate location, bool existed, bool exists, DateTimeOffset now)
    {
        if (existed || exists)
        {
            var kind = !exists ? ChangeKind.Deleted : existed ? ChangeKind.Updated : ChangeKind.Created;
            Run(
                connection,
                "INSERT INTO feature_change (changed_at, kind, place) VALUES ($now, $kind, $place)",
                ("$now", now.ToUnixTimeMilliseconds()),
                ("$kind", (long)kind),
                ("$place", ZOrder.Encode(location)));
        }
    }

    private static void LogReset(SqliteConnection connection, DateTimeOffset now) => Run(
        connection,
        "INSERT INTO feature_change (changed_at, kind, place) VALUES ($now, $kind, 0)",
        ("$now", now.ToUnixTimeMilliseconds()),
        ("$kind", (long)ChangeKind.Reset));

    /// <summary>Logs what an import has written under a revision.</summary>
    private static void LogRevision(SqliteConnection connection, long revision, DateTimeOffset now)
    {
        var written = Scalar(
            connection, $"SELECT count(*) FROM (SELECT 1 FROM feature WHERE revision = {revision} LIMIT {MaxListed + 1})");
        if (written > MaxListed)
        {
            LogReset(connection, now);
        }
        else if (written > 0)
        {
            Run(
                connection,
                """
                INSERT INTO feature_change (changed_at, kind, place)
                SELECT $now, CASE WHEN updated_at IS NULL THEN $created ELSE $updated END, place FROM feature WHERE revision = $revision
                """,
                ("$now", now.ToUnixTimeMilliseconds()),
                ("$created", (long)ChangeKind.Created),
                ("$updated", (long)ChangeKind.Updated),
                ("$revision", revision));
        }
    }

    private SqliteConnection ConnectListener()
    {
        try
        {
            return Connect();
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unavailable(e);
        }
    }

    private static long DataVersion(SqliteConnection connection)
    {
        try
        {
            return Scalar(connection, "PRAGMA data_version");
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unavailable(e);
        }
    }
}
