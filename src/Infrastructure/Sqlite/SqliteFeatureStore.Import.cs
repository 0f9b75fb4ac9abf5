using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>
/// Import: the records go into a temporary table on disk, which holds up nobody and is gone if we are; then one short transaction merges them, in
/// the order of the key.
/// </summary>
public sealed partial class SqliteFeatureStore
{
    public async ValueTask<ImportSummary> ImportAsync(IAsyncEnumerable<Feature> features, bool replace, CancellationToken cancellationToken)
    {
        try
        {
            using var connection = Connect(_path);
            var read = await StageAsync(connection, features, cancellationToken);
            var staged = Scalar(connection, "SELECT count(*) FROM temp.import");
            cancellationToken.ThrowIfCancellationRequested();

            Execute(connection, "BEGIN IMMEDIATE");
            if (replace)
            {
                Execute(connection, "DELETE FROM feature");
            }

            var overwritten = Scalar(connection, "SELECT count(*) FROM temp.import JOIN feature USING (place)");
            Execute(connection, """
                INSERT INTO feature (place, name) SELECT place, name FROM temp.import WHERE true ORDER BY place
                ON CONFLICT (place) DO UPDATE SET name = excluded.name
                """);
            var total = Scalar(connection, "SELECT count(*) FROM feature");
            Execute(connection, "COMMIT");
            Interlocked.Increment(ref _imports);
            return new ImportSummary(read, read - staged, overwritten, total);
        }
        catch (SqliteException e)
        {
            throw SqliteErrors.Unavailable(_path, e);
        }
    }

    private static async Task<long> StageAsync(SqliteConnection connection, IAsyncEnumerable<Feature> features, CancellationToken cancellationToken)
    {
        Execute(connection, "CREATE TEMP TABLE import (place INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT");
        using var transaction = connection.BeginTransaction(deferred: true);
        using var insert = connection.CreateCommand();
        insert.Transaction = transaction;
        insert.CommandText = "INSERT INTO temp.import (place, name) VALUES ($place, $name) ON CONFLICT (place) DO UPDATE SET name = excluded.name";
        var place = insert.Parameters.Add("$place", SqliteType.Integer);
        var name = insert.Parameters.Add("$name", SqliteType.Text);
        long read = 0;
        await foreach (var feature in features.WithCancellation(cancellationToken))
        {
            place.Value = ZOrder.Encode(feature.Location);
            name.Value = feature.Name;
            insert.ExecuteNonQuery();
            read++;
        }

        transaction.Commit();
        return read;
    }
}
