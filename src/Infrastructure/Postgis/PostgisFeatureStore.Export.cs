using System.Data;
using System.Runtime.CompilerServices;
using Npgsql;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Postgis;

/// <summary>Export: one query on a connection outside of the pool, read as it is written out.</summary>
public sealed partial class PostgisFeatureStore
{
    // In an order, so that the same features make the same file.
    private const string ReadAllSql = """
        SELECT latitude, longitude, name, properties FROM feature LEFT JOIN feature_properties USING (latitude, longitude)
        ORDER BY latitude, longitude
        """;

    public async IAsyncEnumerable<FeatureContent> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var connection = await _database.OpenUnpooledAsync(cancellationToken);
        await using var transaction = await AnswerAsync(
            () => PostgisDatabase.BeginUnhurriedAsync(connection, IsolationLevel.RepeatableRead, cancellationToken));
        await using var command = Unhurried(connection, ReadAllSql);
        await using var reader = await AnswerAsync(() => command.ExecuteReaderAsync(cancellationToken));
        while (await AnswerAsync(() => reader.ReadAsync(cancellationToken)))
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return Content(reader);
        }

        static FeatureContent Content(NpgsqlDataReader reader) => new(
            new Coordinate(reader.GetInt32(0), reader.GetInt32(1)),
            reader.GetString(2),
            PostgisFeatureCatalog.ReadProperties(reader, 3));

        static async Task<T> AnswerAsync<T>(Func<Task<T>> ask)
        {
            try
            {
                return await ask();
            }
            catch (NpgsqlException e)
            {
                throw PostgisErrors.Unavailable(e);
            }
        }
    }
}
