using Npgsql;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Postgis.Tests;

/// <summary>The indexes that are built after the migrations, beside those who read and write.</summary>
public sealed class IndexTests : ServiceTest
{
    private static readonly string[] Names = [.. PostgisIndexes.All.Select(static index => index.Name)];

    [Fact]
    public async Task A_table_with_data_gets_the_function_and_the_indexes()
    {
        await using var store = await FilledAsync();
        await store.Database.ExecuteAsync("""
            DROP FUNCTION z_order, search_key CASCADE; DROP INDEX feature_properties_values;
            DELETE FROM schema_migration WHERE "MigrationId" >= '0007_z_order'
            """);
        Assert.Equal(["feature_location"], await ValidAsync(store.Database));

        Assert.Equal(["0007_z_order", "0008_search"], await PostgisSchema.MigrateAsync(store.Connections, [], default));

        Assert.Equal(Names, await ValidAsync(store.Database));
    }

    [Fact]
    public async Task What_a_killed_import_has_not_built_is_built_by_migrate()
    {
        await using var store = await FilledAsync();
        await store.Database.ExecuteAsync(PostgisIndexes.DropSql);

        Assert.Empty(await PostgisSchema.MigrateAsync(store.Connections, [], default));

        Assert.Equal(Names, await ValidAsync(store.Database));
    }

    [Fact]
    public async Task Others_write_while_an_index_is_built_and_a_killed_build_is_made_good()
    {
        await using var store = await FilledAsync();
        await store.Database.ExecuteAsync("DROP INDEX feature_z_order");
        await using var writer = new NpgsqlConnection($"{store.Database.ConnectionString};Pooling=false");
        await writer.OpenAsync();
        await using var write = new NpgsqlCommand("BEGIN; INSERT INTO feature (latitude, longitude, name) VALUES (1, 1, 'open')", writer);
        await write.ExecuteNonQueryAsync();

        // The build waits for the open write, and no other write for the build.
        var migrating = PostgisSchema.MigrateAsync(store.Connections, [], default);
        await store.Database.UntilAsync(Sessions.Waiting, static count => count == 1);
        await store.Database.ExecuteAsync("SET lock_timeout = '1s'; INSERT INTO feature (latitude, longitude, name) VALUES (1, 2, 'another')");
        await store.Database.TerminateAsync(Sessions.Waiting);

        await Assert.ThrowsAsync<Domain.Features.StoreUnavailableException>(() => migrating);
        Assert.DoesNotContain("feature_z_order", await ValidAsync(store.Database));
        Assert.Equal(true, await store.Database.ExecuteAsync("SELECT to_regclass('feature_z_order') IS NOT NULL"));
        await writer.CloseAsync();
        Assert.Empty(await PostgisSchema.MigrateAsync(store.Connections, [], default));
        Assert.Equal(Names, await ValidAsync(store.Database));
    }

    [Fact]
    public async Task Of_several_that_migrate_at_once_one_builds_and_none_waits_for_ever()
    {
        await using var store = await FilledAsync();
        await store.Database.ExecuteAsync(PostgisIndexes.DropSql);

        await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => PostgisSchema.MigrateAsync(store.Connections, [], default)));

        Assert.Equal(Names, await ValidAsync(store.Database));
    }

    [Fact]
    public async Task Who_does_not_own_the_table_and_who_may_only_read_leave_them_as_they_are()
    {
        var database = await Postgres.DatabaseAsync(Ours(await Postgres.ClusterAsync()));
        await database.ExecuteAsync("CREATE ROLE other LOGIN; CREATE ROLE reader SUPERUSER LOGIN; ALTER ROLE reader SET default_transaction_read_only = on");
        await database.ExecuteAsync($"{PostgisIndexes.DropSql}; GRANT SELECT ON schema_migration TO other");
        foreach (var role in (string[])["other", "reader"])
        {
            await using var connections = new PostgisDatabase(
                new NpgsqlConnectionStringBuilder(database.ConnectionString) { Username = role }.ConnectionString);

            Assert.Empty(await PostgisSchema.MigrateAsync(connections, [], default));

            Assert.Empty(await ValidAsync(database));
        }
    }

    [Fact]
    public async Task A_dump_is_restored_with_them()
    {
        await using var store = await FilledAsync();
        var restored = Ours(await store.Database.Server.CreateEmptyDatabaseAsync());

        await store.Database.RestoreToAsync(restored);

        Assert.Equal(Names, await ValidAsync(restored));
        Assert.Equal(await store.Database.ExecuteAsync("SELECT count(*) FROM feature"), await restored.ExecuteAsync("SELECT count(*) FROM feature"));
    }

    [Fact]
    public async Task The_database_computes_the_codes_of_the_program()
    {
        await using var database = await Postgres.DatabaseAsync();
        var chance = new Random(7);
        int[] edges = [-1, 0, 1, 15, 16, 255, 256, 65_535, 65_536, 900_000_000, 899_999_999, 1_800_000_000, 1_799_999_999];
        var near = edges.SelectMany(static edge => (int[])[edge, -edge]).Distinct().ToList();
        var places = near.Where(static latitude => Math.Abs(latitude) <= Coordinate.MaxLatitudeE7)
            .SelectMany(latitude => near.Select(longitude => new Coordinate(latitude, longitude)))
            .Concat(Enumerable.Range(0, 31).Select(static bit => new Coordinate(
                (int)Math.Min(1L << bit, 2L * Coordinate.MaxLatitudeE7) - Coordinate.MaxLatitudeE7,
                (int)((1L << (bit + 1)) % (2L * Coordinate.MaxLongitudeE7)) - Coordinate.MaxLongitudeE7)))
            .Concat(Enumerable.Range(0, 20_000).Select(_ => new Coordinate(
                chance.Next(-Coordinate.MaxLatitudeE7, Coordinate.MaxLatitudeE7 + 1), chance.Next(-Coordinate.MaxLongitudeE7, Coordinate.MaxLongitudeE7 + 1))))
            .ToList();
        await using var connection = new NpgsqlConnection($"{database.ConnectionString};Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            "SELECT z_order(latitude, longitude) FROM unnest($1, $2) WITH ORDINALITY AS place (latitude, longitude, i) ORDER BY i", connection)
        {
            Parameters =
            {
                new NpgsqlParameter<int[]> { TypedValue = [.. places.Select(static place => place.LatitudeE7)] },
                new NpgsqlParameter<int[]> { TypedValue = [.. places.Select(static place => place.LongitudeE7)] },
            },
        };
        var codes = new List<long>();
        await using (var reader = await command.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                codes.Add(reader.GetInt64(0));
            }
        }

        Assert.Equal(places.Select(ZOrder.Encode), codes);
        Assert.Equal(DBNull.Value, await database.ExecuteAsync("SELECT z_order(NULL, 1)"));
    }

    private static async Task<TestStore> FilledAsync()
    {
        var store = await TestStore.CreateAsync();
        await store.Database.FillAsync(1_000);
        return store;
    }

    /// <summary>Those that are there and valid, in the order of the list.</summary>
    private static async Task<string[]> ValidAsync(TestDatabase database) => (string[])(await database.ExecuteAsync($"""
        SELECT coalesce(array_agg(name ORDER BY i), ARRAY[]::text[]) FROM unnest(ARRAY['{string.Join("', '", Names)}']) WITH ORDINALITY AS wanted (name, i)
        WHERE EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(name) AND indisvalid)
        """))!;
}
