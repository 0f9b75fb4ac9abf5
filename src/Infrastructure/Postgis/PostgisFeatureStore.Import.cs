using System.Data;
using Npgsql;
using NpgsqlTypes;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Import. The records are copied into a temporary table, which blocks no other session and vanishes with the transaction. The transaction
/// then merges them into the features (PostgisFeatureStore.Merge.cs).
/// </summary>
public sealed partial class PostgisFeatureStore
{
    // Each has a connection outside of the pool; further ones wait for their turn.
    private const int MaxImports = 4;

    // The place is the position of the location on a Hilbert curve: one number to compare and to sort by.
    private const string StageSql = """
        CREATE TEMP TABLE import (
            place bigint NOT NULL,
            latitude integer NOT NULL,
            longitude integer NOT NULL,
            name text NOT NULL,
            properties jsonb,
            record bigint NOT NULL) ON COMMIT DROP
        """;

    private const string CopySql = "COPY import (place, latitude, longitude, name, properties, record) FROM STDIN (FORMAT BINARY)";

    // For an empty table, building the indexes at the end is faster and makes smaller ones. They are dropped before the merge, by another
    // transaction, because dropping them inside would block readers, and built again inside, which blocks none. After a failure they are
    // built on a connection of their own; after a crash of this process, by `migrate` or the next import. Only the owner of the table may
    // do this; other roles import with the indexes in place.
    private const string MayBuildIndexesSql = """
        SELECT pg_has_role(relowner, 'USAGE') AND NOT EXISTS (SELECT FROM feature) FROM pg_class WHERE oid = 'feature'::regclass
        """;

    private const string LockOutSql = "SET LOCAL lock_timeout = 100; LOCK TABLE feature IN ACCESS EXCLUSIVE MODE";

    // A database that restarts, so that the import fails, is not back at once; and of several hosts Npgsql does not try one that has failed
    // for ten seconds (Host Recheck Seconds).
    private const int RestoreAttempts = 15;
    private static readonly TimeSpan RestorePause = TimeSpan.FromSeconds(1);

    // Autovacuum analyzes after a tenth of a table has changed; an import that changes more need not wait for it.
    private const int AnalyzedShare = 10;

    private readonly SemaphoreSlim _imports = new(MaxImports);

    public async ValueTask<ImportSummary> ImportAsync(
        IAsyncEnumerable<FeatureContent> features, FeatureImport import, CancellationToken cancellationToken)
    {
        await _imports.WaitAsync(cancellationToken);
        try
        {
            await using var connection = await _database.OpenUnpooledAsync(cancellationToken);
            var summary = await StageAndMergeAsync(connection, features, import, cancellationToken);
            if (summary.Read >= summary.Total / AnalyzedShare)
            {
                await AnalyzeAsync(connection);
            }

            return summary;
        }
        catch (NpgsqlException e)
        {
            throw PostgisErrors.Unavailable(e);
        }
        finally
        {
            _imports.Release();
        }
    }

    /// <summary>
    /// For the planner, and for the sizes of tiles. Without the privilege PostgreSQL only warns, and while a vacuum, or a build of an
    /// index, holds the table, it skips it. Autovacuum analyzes later, so nothing that fails here is a failure of the import.
    /// </summary>
    private static async Task AnalyzeAsync(NpgsqlConnection connection)
    {
        try
        {
            await using var transaction = await PostgisDatabase.BeginUnhurriedAsync(
                connection, IsolationLevel.ReadCommitted, CancellationToken.None);
            await ExecuteAsync(connection, "ANALYZE (SKIP_LOCKED) feature", CancellationToken.None);
            await transaction.CommitAsync(CancellationToken.None);
        }
        catch (NpgsqlException)
        {
            // The import is committed.
        }
    }

    private async Task<ImportSummary> StageAndMergeAsync(
        NpgsqlConnection connection, IAsyncEnumerable<FeatureContent> features, FeatureImport import, CancellationToken cancellationToken)
    {
        // What is not committed is rolled back, the temporary table included.
        await using var transaction = await PostgisDatabase.BeginUnhurriedAsync(
            connection, IsolationLevel.ReadCommitted, cancellationToken);
        await ExecuteAsync(connection, StageSql, cancellationToken);
        var staged = await StageAsync(connection, features, cancellationToken);
        var isWithoutIndexes = await TryDropIndexesAsync(cancellationToken);
        try
        {
            var summary = await MergeAsync(transaction, staged, import, isWithoutIndexes, cancellationToken);

            // Whether a commit that is cancelled was made is not known.
            cancellationToken.ThrowIfCancellationRequested();
            await transaction.CommitAsync(CancellationToken.None);
            return summary;
        }
        catch (Exception e) when (isWithoutIndexes)
        {
            // First its locks.
            await transaction.DisposeAsync();
            await RestoreIndexesAsync(e);
            throw;
        }
    }

    /// <summary>Drops the indexes of an empty table, if this role may build them again.</summary>
    private async Task<bool> TryDropIndexesAsync(CancellationToken cancellationToken)
    {
        await using var connection = await _database.OpenUnpooledAsync(cancellationToken);
        await using (await PostgisDatabase.BeginUnhurriedAsync(connection, IsolationLevel.ReadCommitted, cancellationToken))
        {
            if (!(bool)await ScalarAsync(connection, MayBuildIndexesSql, cancellationToken))
            {
                return false;
            }
        }

        // Another import may have filled the table meanwhile. Locked first: two that had looked at it would wait for each other.
        await using var transaction = await PostgisDatabase.BeginUnhurriedAsync(
            connection, IsolationLevel.ReadCommitted, cancellationToken);
        try
        {
            await ExecuteAsync(connection, LockOutSql, cancellationToken);
        }
        catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.LockNotAvailable)
        {
            // Somebody reads the table, as pg_dump does, and who reads it next would wait behind this lock. It takes longer with indexes.
            return false;
        }

        if (!(bool)await ScalarAsync(connection, MayBuildIndexesSql, cancellationToken))
        {
            return false;
        }

        await ExecuteAsync(connection, PostgisIndexes.DropSql, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return true;
    }

    /// <summary>Builds the indexes where a failed merge has left none.</summary>
    /// <exception cref="StoreUnavailableException">They cannot be built; says what to do.</exception>
    private async Task RestoreIndexesAsync(Exception cause)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await using var connection = await _database.OpenUnpooledAsync(CancellationToken.None);
                await using var transaction = await PostgisDatabase.BeginUnhurriedAsync(
                    connection, IsolationLevel.ReadCommitted, CancellationToken.None);
                await ExecuteAsync(connection, PostgisIndexes.BuildSql, CancellationToken.None);
                await transaction.CommitAsync(CancellationToken.None);
                return;
            }
            catch (Exception e) when (e is NpgsqlException or StoreUnavailableException && attempt < RestoreAttempts)
            {
                await Task.Delay(RestorePause, TimeProvider.System, CancellationToken.None);
            }
            catch (Exception e) when (e is NpgsqlException or StoreUnavailableException)
            {
                throw new StoreUnavailableException(
                    "The database failed during the import, which has changed nothing but this: "
                    + "the indexes of the features are missing. Run 'migrate' when the database is available.",
                    cause);
            }
        }
    }

    private static async Task<StagedRecords> StageAsync(
        NpgsqlConnection connection, IAsyncEnumerable<FeatureContent> features, CancellationToken cancellationToken)
    {
        long read = 0;
        var haveProperties = false;

        // One that is disposed before it is completed leaves nothing.
        await using var copy = await connection.BeginBinaryImportAsync(CopySql, cancellationToken);
        await foreach (var feature in features.WithCancellation(cancellationToken))
        {
            await copy.StartRowAsync(cancellationToken);
            await copy.WriteAsync(HilbertCurve.Position(feature.Location), NpgsqlDbType.Bigint, cancellationToken);
            await copy.WriteAsync(feature.Location.LatitudeE7, NpgsqlDbType.Integer, cancellationToken);
            await copy.WriteAsync(feature.Location.LongitudeE7, NpgsqlDbType.Integer, cancellationToken);
            await copy.WriteAsync(feature.Name, NpgsqlDbType.Text, cancellationToken);
            if (feature.Properties.Members.Count > 0)
            {
                haveProperties = true;
                await copy.WriteAsync(feature.Properties.Json, NpgsqlDbType.Jsonb, cancellationToken);
            }
            else
            {
                await copy.WriteNullAsync(cancellationToken);
            }

            await copy.WriteAsync(read++, NpgsqlDbType.Bigint, cancellationToken);
        }

        await copy.CompleteAsync(cancellationToken);
        return new StagedRecords(read, haveProperties);
    }

    private static async Task<int> ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = Unhurried(connection, sql);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<object> ScalarAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = Unhurried(connection, sql);
        return (await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>A command that takes as long as it takes.</summary>
    private static NpgsqlCommand Unhurried(NpgsqlConnection connection, string sql) => new(sql, connection) { CommandTimeout = 0 };

    /// <summary>The records in the temporary table.</summary>
    private readonly record struct StagedRecords(long Count, bool HaveProperties);
}
