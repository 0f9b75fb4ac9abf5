using System.Diagnostics;
using Npgsql;
using RouteService.Domain.Geography;

namespace RouteService.Postgis.Tests;

/// <summary>What a test sees of the service's sessions from within PostgreSQL, and does to them.</summary>
internal static class Sessions
{
    /// <summary>The service's, as a condition on pg_stat_activity.</summary>
    public const string OfService = "datname = current_database() AND application_name = 'route-service'";

    public const string Waiting = $"{OfService} AND wait_event_type = 'Lock'";

    /// <summary>Those that wait with a listing; a health check, which looks up a place, may wait beside them.</summary>
    public const string Listing = $"{Waiting} AND query LIKE '%location &&%'";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    public static async Task<long> CountAsync(this TestDatabase database, string condition) => (long)(await database.ExecuteAsync(CountSql(condition)))!;

    /// <summary>Waits until so many sessions are in a state.</summary>
    /// <returns>How long that took.</returns>
    public static async Task<TimeSpan> UntilAsync(this TestDatabase database, string condition, Func<long, bool> isEnough)
    {
        var clock = Stopwatch.StartNew();
        await using var connection = await database.OpenAsync();
        await using var command = new NpgsqlCommand(CountSql(condition), connection);
        while (true)
        {
            var count = (long)(await command.ExecuteScalarAsync())!;
            if (isEnough(count))
            {
                return clock.Elapsed;
            }

            Assert.True(clock.Elapsed < Patience, $"There are {count} sessions of which {condition}.");
            await Task.Delay(20);
        }
    }

    /// <summary>Waits until no session of the service has done anything for a moment: all calls stand still, waiting for their clients.</summary>
    public static Task UntilQuietAsync(this TestDatabase database) =>
        database.UntilAsync($"{OfService} AND (state <> 'idle' OR state_change > clock_timestamp() - interval '0.7 s')", static count => count == 0);

    /// <summary>Ends the service's sessions, as an administrator does, and waits for their end.</summary>
    public static Task TerminateAsync(this TestDatabase database, string condition = OfService) =>
        database.ExecuteAsync($"SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE {condition}");

    /// <summary>Makes every query of features wait until the lock is disposed of.</summary>
    public static Task<IAsyncDisposable> LockFeaturesAsync(this TestDatabase database) => database.LockAsync("feature");

    /// <summary>Makes every query of a table wait until the lock is disposed of.</summary>
    public static Task<IAsyncDisposable> LockAsync(this TestDatabase database, string table) =>
        database.HoldAsync($"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");

    /// <summary>Makes every write of a feature wait until the lock is disposed of.</summary>
    public static Task<IAsyncDisposable> LockAsync(this TestDatabase database, Coordinate place) => database.HoldAsync(
        $"SELECT FROM feature WHERE latitude = {place.LatitudeE7} AND longitude = {place.LongitudeE7} FOR UPDATE");

    private static async Task<IAsyncDisposable> HoldAsync(this TestDatabase database, string sql)
    {
        var connection = await database.OpenAsync();
        await using var command = new NpgsqlCommand($"BEGIN; {sql}", connection);
        await command.ExecuteNonQueryAsync();
        return connection;
    }

    private static async Task<NpgsqlConnection> OpenAsync(this TestDatabase database)
    {
        // A limit that a test gives to the database is for the service's sessions.
        var connection = new NpgsqlConnection($"{database.ConnectionString};Pooling=false;Options=-c idle_session_timeout=0");
        await connection.OpenAsync();
        return connection;
    }

    private static string CountSql(string condition) => $"SELECT count(*) FROM pg_stat_activity WHERE {condition}";

    /// <summary>Puts features on a line from the equator to the north-west: the first is "place 1 …" at 800, -1500, all in E7.</summary>
    public static Task FillAsync(this TestDatabase database, int count) => database.ExecuteAsync($"""
        INSERT INTO feature (latitude, longitude, name)
        SELECT i * 800, i * -1500, rpad('place ' || i || ' ', 100, '.') FROM generate_series(1, {count}) AS i;
        ANALYZE feature
        """);
}
