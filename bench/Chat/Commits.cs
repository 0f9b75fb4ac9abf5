using Microsoft.Data.Sqlite;
using Npgsql;

namespace RouteService.Chat.Bench;

/// <summary>The peer of the group commits: a table like the log's, with a commit for each note.</summary>
internal static class Commits
{
    private const string Table = "CREATE TABLE IF NOT EXISTS lone_note (sequence INTEGER PRIMARY KEY, latitude INTEGER, longitude INTEGER, message TEXT)";

    /// <param name="database">A file of SQLite, or a connection string of PostgreSQL.</param>
    /// <param name="writers">Number of connections that insert at once.</param>
    /// <param name="time">Duration.</param>
    public static async Task<string> RunAsync(string database, int writers, TimeSpan time)
    {
        var committed = database.Contains("Host=", StringComparison.Ordinal) ? await PostgresAsync(database, writers, time) : Sqlite(database, time);
        return FormattableString.Invariant($"notes_s={committed / time.TotalSeconds:F0}");
    }

    private static async Task<long> PostgresAsync(string connectionString, int writers, TimeSpan time)
    {
        await using var source = NpgsqlDataSource.Create($"{connectionString};Maximum Pool Size={writers};Max Auto Prepare=10;Auto Prepare Min Usages=1");
        await using (var create = source.CreateCommand(
            "CREATE TABLE IF NOT EXISTS lone_note (sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, latitude int, longitude int, message text)"))
        {
            await create.ExecuteNonQueryAsync();
        }

        var started = TimeProvider.System.GetTimestamp();
        var counts = await Task.WhenAll(Enumerable.Range(0, writers).Select(async i =>
        {
            await using var connection = await source.OpenConnectionAsync();
            var count = 0L;
            while (TimeProvider.System.GetElapsedTime(started) < time)
            {
                await using var insert = new NpgsqlCommand("INSERT INTO lone_note (latitude, longitude, message) VALUES ($1, $2, $3)", connection)
                {
                    Parameters = { new() { Value = i }, new() { Value = i }, new() { Value = "A note of some words." } },
                };
                await insert.ExecuteNonQueryAsync();
                count++;
            }

            return count;
        }));
        return counts.Sum();
    }

    // One connection, because SQLite has one writer.
    private static long Sqlite(string file, TimeSpan time)
    {
        using var connection = new SqliteConnection($"Data Source={file}");
        connection.Open();
        using (var create = connection.CreateCommand())
        {
            create.CommandText = $"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; {Table}";
            create.ExecuteNonQuery();
        }

        using var insert = connection.CreateCommand();
        insert.CommandText = "INSERT INTO lone_note (latitude, longitude, message) VALUES (1, 2, 'A note of some words.')";
        var started = TimeProvider.System.GetTimestamp();
        var count = 0L;
        while (TimeProvider.System.GetElapsedTime(started) < time)
        {
            insert.ExecuteNonQuery();
            count++;
        }

        return count;
    }
}
