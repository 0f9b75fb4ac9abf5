using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>Export: one query on a connection of its own, read as it is written out.</summary>
public sealed partial class SqliteFeatureStore
{
    private const string ReadAllSql =
        "SELECT f.place, f.name, p.properties FROM feature AS f LEFT JOIN feature_properties AS p ON p.place = f.place ORDER BY f.place";

    public async IAsyncEnumerable<FeatureContent> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Required by the compiler (CS1998): the reads are synchronous.
        await Task.CompletedTask;
        using var connection = Answer(Connect);
        using var command = connection.CreateCommand();
        command.CommandText = ReadAllSql;
        using var reader = Answer(command.ExecuteReader);
        while (Answer(reader.Read))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var place = ZOrder.Decode(reader.GetInt64(0));
            yield return new FeatureContent(
                place,
                reader.GetString(1),
                StoredProperties.Read(reader.IsDBNull(2) ? [] : Encoding.UTF8.GetBytes(reader.GetString(2)), place));
        }

        static T Answer<T>(Func<T> ask)
        {
            try
            {
                return ask();
            }
            catch (SqliteException e)
            {
                throw SqliteErrors.Unavailable(e);
            }
        }
    }
}
