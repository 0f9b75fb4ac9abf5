using System.Diagnostics;
using System.Globalization;
using System.Text;
using Npgsql;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Postgis.Tests;

/// <summary>An import is one change: before it all is old, after it all is new, and whoever kills it or looks on sees one of the two.</summary>
public sealed class ImportTests(ITestOutputHelper output)
{
    private const int Kills = 10;

    [Fact]
    public async Task A_kill_9_at_any_moment_leaves_the_old_state_or_the_new_one()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"Seed {seed}.");
        var chance = new Random(seed);
        await using var store = await TestStore.CreateAsync();
        var folder = Directory.CreateTempSubdirectory("route-service-test-");
        try
        {
            // How long one takes that nobody kills.
            var file = Path.Combine(folder.FullName, "places.csv");
            await WriteAsync(file, version: 0);
            var clock = Stopwatch.StartNew();
            await EndsAsync(store.Database, file, patience: Timeout.InfiniteTimeSpan);
            var took = clock.Elapsed;

            // Those until the first that is late enough go into an empty table, the others change every row.
            await store.Database.ExecuteAsync("TRUNCATE feature");
            var state = "0";
            for (var i = 1; i <= Kills; i++)
            {
                await WriteAsync(file, version: i);
                var delay = 1.1 * took * chance.NextDouble();
                var killed = !await EndsAsync(store.Database, file, delay);

                // PostgreSQL may yet finish what it was told.
                await store.Database.UntilAsync(Sessions.OfService, static count => count == 0);
                var found = (string)(await store.Database.ExecuteAsync(
                    "SELECT coalesce(string_agg(version || ' ' || places, ', '), '0') FROM ("
                    + "SELECT split_part(name, ' ', 1) AS version, count(*) AS places FROM feature GROUP BY 1) AS state"))!;
                var made = $"{i} {Places}";
                Assert.True(found == made || (killed && found == state), $"Seed {seed}, kill {i} after {delay}: there was {state}, and there is {found}.");
                output.WriteLine($"Kill {i} after {delay.TotalSeconds:0.00} s: {(killed ? "killed" : "ended before")}, {found}.");
                state = found;
            }

            // What was killed is in nobody's way.
            await store.Store.ImportAsync(Enumerable.Range(1, 5).Select(i => Place(i, "last")).ToAsyncEnumerable(), replace: true, default);
            Assert.Equal(5, await store.Store.InAreaAsync(BoundingBox.World, default).CountAsync());
            Assert.Equal(true, await store.Database.ExecuteAsync(HasIndexes));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task An_import_whose_connection_is_lost_changes_nothing_and_the_next_one_works()
    {
        await using var store = await TestStore.CreateAsync();
        await store.Store.ImportAsync(new[] { Place(1, "old") }.ToAsyncEnumerable(), replace: true, default);

        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await store.Store.ImportAsync(LosesItsConnection(), replace: true, default));

        Assert.Equal([Place(1, "old")], await store.Store.InAreaAsync(BoundingBox.World, default).ToListAsync());
        await store.Store.ImportAsync(new[] { Place(1, "new") }.ToAsyncEnumerable(), replace: true, default);
        Assert.Equal([Place(1, "new")], await store.Store.InAreaAsync(BoundingBox.World, default).ToListAsync());

        async IAsyncEnumerable<Feature> LosesItsConnection()
        {
            for (var i = 1; i <= 100_000; i++)
            {
                yield return Place(i, "new");
                if (i == 50_000)
                {
                    await store.Database.TerminateAsync();
                }
            }
        }
    }

    [Fact]
    public async Task No_time_limit_of_the_database_ends_an_import_or_a_migration()
    {
        await using var database = await (await Postgres.ServerAsync()).CreateEmptyDatabaseAsync();
        await database.ExecuteAsync($"ALTER DATABASE {database.Name} SET statement_timeout = '500ms'");
        await using var connections = new PostgisDatabase(database.ConnectionString);

        // Creating the extension may take longer than that.
        Assert.NotEmpty(await PostgisSchema.MigrateAsync(connections, [], default));
        await database.ExecuteAsync("""
            CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END';
            CREATE TRIGGER linger AFTER INSERT ON feature EXECUTE FUNCTION linger()
            """);
        await using var store = new PostgisFeatureStore(connections, new PostgresOptions());

        Assert.Equal(1, (await store.ImportAsync(new[] { Place(1, "one") }.ToAsyncEnumerable(), replace: true, default)).Total);
    }

    [Theory]
    [InlineData("RAISE EXCEPTION ''no''")]
    [InlineData("PERFORM pg_terminate_backend(pg_backend_pid())")]
    [InlineData("PERFORM pg_terminate_backend(pg_backend_pid())", true)]
    public async Task After_a_merge_that_fails_the_indexes_are_there(string failure, bool hasHosts = false)
    {
        // A host of several that has failed is not tried again for ten seconds.
        var (host, port) = new NpgsqlConnectionStringBuilder((await Postgres.ServerAsync()).ConnectionString) is var server
            ? (server.Host, server.Port)
            : default;
        await using var store = await TestStore.CreateAsync(hasHosts ? $"Host={host}:{port},{host}:1" : "");
        await store.Database.ExecuteAsync($"""
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {failure}; RETURN NULL; END';
            CREATE TRIGGER fail AFTER INSERT ON feature EXECUTE FUNCTION fail()
            """);

        await Assert.ThrowsAsync<StoreUnavailableException>(
            async () => await store.Store.ImportAsync(new[] { Place(1, "one") }.ToAsyncEnumerable(), replace: true, default));

        Assert.Equal(true, await store.Database.ExecuteAsync(HasIndexes));
        await store.Database.ExecuteAsync("DROP TRIGGER fail ON feature");
        Assert.Equal(1, (await store.Store.ImportAsync(new[] { Place(1, "one") }.ToAsyncEnumerable(), replace: true, default)).Total);
        Assert.Equal(true, await store.Database.ExecuteAsync(HasIndexes));
    }

    /// <summary>As pg_dump has: whoever reads the table next must not wait for the import that waits for it.</summary>
    [Fact]
    public async Task An_import_into_an_empty_table_that_is_read_goes_on_and_holds_up_no_reader()
    {
        await using var store = await TestStore.CreateAsync();
        await using var reader = new NpgsqlConnection(store.Database.ConnectionString);
        await reader.OpenAsync();
        await using var read = new NpgsqlCommand("BEGIN; SELECT count(*) FROM feature", reader);
        await read.ExecuteScalarAsync();

        Assert.Equal(1, (await store.Store.ImportAsync(new[] { Place(1, "one") }.ToAsyncEnumerable(), replace: true, default)).Total);

        Assert.Equal(true, await store.Database.ExecuteAsync(HasIndexes));
        Assert.Equal("one", (await store.Store.FindAsync(Place(1, "one").Location, default))!.Name);
    }

    /// <summary>A vacuum, or the build of an index, which can take hours.</summary>
    [Fact]
    public async Task An_import_does_not_wait_for_maintenance_to_analyze()
    {
        await using var store = await TestStore.CreateAsync();
        await store.Store.ImportAsync(new[] { Place(1, "one") }.ToAsyncEnumerable(), replace: true, default);
        await using var maintenance = new NpgsqlConnection(store.Database.ConnectionString);
        await maintenance.OpenAsync();
        await using var hold = new NpgsqlCommand("BEGIN; LOCK TABLE feature IN SHARE UPDATE EXCLUSIVE MODE", maintenance);
        await hold.ExecuteNonQueryAsync();

        Assert.Equal(2, (await store.Store.ImportAsync(new[] { Place(2, "two") }.ToAsyncEnumerable(), replace: false, default)).Total);
    }

    /// <summary>Into an empty table, beside other features, and instead of them.</summary>
    [Theory]
    [InlineData("INSERT", false, 0)]
    [InlineData("INSERT", false, 1)]
    [InlineData("INSERT", true, 1)]
    [InlineData("DELETE", true, 1)]
    public async Task An_import_whose_features_a_trigger_drops_fails_and_changes_nothing(string what, bool replace, int there)
    {
        await using var store = await TestStore.CreateAsync();
        await store.Store.ImportAsync(Enumerable.Range(0, there).Select(static _ => Place(9, "old")).ToAsyncEnumerable(), replace: true, default);
        await store.Database.ExecuteAsync($"""
            CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
            CREATE TRIGGER skip BEFORE {what} ON feature FOR EACH ROW WHEN ({(what is "INSERT" ? "NEW.name = 'bad'" : "true")}) EXECUTE FUNCTION skip()
            """);
        Feature[] features = [Place(1, "good"), Place(2, "superseded"), Place(2, "bad"), Place(3, "bad")];

        var failure = await Assert.ThrowsAsync<StoreUnavailableException>(
            async () => await store.Store.ImportAsync(features.ToAsyncEnumerable(), replace, default));

        Assert.Contains("The database does not keep what it is given", failure.Message);
        Assert.Equal((long)there, await store.Database.ExecuteAsync("SELECT count(*) FROM feature"));
        await store.Database.ExecuteAsync("DROP TRIGGER skip ON feature");
        Assert.Equal(replace ? 3 : 3 + there, (await store.Store.ImportAsync(features.ToAsyncEnumerable(), replace, default)).Total);
    }

    [Fact]
    public async Task After_a_merge_that_is_cancelled_the_indexes_are_there()
    {
        await using var store = await TestStore.CreateAsync();
        await store.Database.ExecuteAsync("""
            CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); RETURN NULL; END';
            CREATE TRIGGER linger AFTER INSERT ON feature EXECUTE FUNCTION linger()
            """);
        using var cancellation = new CancellationTokenSource();
        var import = store.Store.ImportAsync(new[] { Place(1, "one") }.ToAsyncEnumerable(), replace: true, cancellation.Token).AsTask();
        await store.Database.UntilAsync($"{Sessions.OfService} AND wait_event = 'PgSleep'", static count => count == 1);
        Assert.Equal(false, await store.Database.ExecuteAsync(HasIndexes));

        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => import);
        Assert.Equal(true, await store.Database.ExecuteAsync(HasIndexes));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Readers_never_see_half_of_an_import(bool replace)
    {
        await using var store = await TestStore.CreateAsync();
        var versions = 0;
        await ImportAsync();
        using var done = new CancellationTokenSource();
        var readers = Enumerable.Range(0, 3).Select(_ => Task.Run(ReadAsync)).ToList();

        for (var i = 0; i < 3; i++)
        {
            await ImportAsync();
        }

        await done.CancelAsync();
        Assert.All(await Task.WhenAll(readers), static reads => Assert.True(reads > 0));

        Task ImportAsync()
        {
            var version = Interlocked.Increment(ref versions);

            // Other places each time, where they replace all; the same ones again, where they do not.
            return store.Store.ImportAsync(
                Enumerable.Range(1, 20_000).Select(i => Place(replace ? i + (version % 2 * 100_000) : i, $"{version}")).ToAsyncEnumerable(), replace, default).AsTask();
        }

        async Task<int> ReadAsync()
        {
            var reads = 0;
            var box = new BoundingBox(Place(1, "").Location, Place(500, "").Location);
            var other = new BoundingBox(Place(100_001, "").Location, Place(100_500, "").Location);
            while (!done.IsCancellationRequested)
            {
                Assert.Equal(20_000, await store.Store.CountAsync(default));
                var names = await store.Store.InAreaAsync(reads % 2 == 0 ? box : other, default).Select(static feature => feature.Name).ToListAsync();
                Assert.True(names.Count is 0 or 500, $"There are {names.Count} places in the box.");
                Assert.True(names.Distinct().Count() <= 1, $"There are {string.Join(", ", names.Distinct())} in the box.");
                reads++;
            }

            return reads;
        }
    }

    [Fact]
    public async Task Imports_at_once_come_one_after_the_other()
    {
        await using var store = await TestStore.CreateAsync();

        var summaries = await Task.WhenAll(Enumerable.Range(1, 5).Select(version => store.Store.ImportAsync(
            Enumerable.Range(1, 2_000).Select(i => Place(i, $"{version}")).ToAsyncEnumerable(), replace: false, default).AsTask()));

        Assert.Equal([0, 2_000, 2_000, 2_000, 2_000], summaries.Select(static summary => summary.Overwritten).Order());
        Assert.All(summaries, static summary => Assert.Equal(2_000, summary.Total));
        Assert.Single(await store.Store.InAreaAsync(BoundingBox.World, default).Select(static feature => feature.Name).Distinct().ToListAsync());
    }

    private const int Places = 30_000;

    private const string HasIndexes = "SELECT count(*) = 2 FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relname IN ('feature_location', 'feature_z_order') AND indisvalid";

    private static Feature Place(int i, string name) => new(new Coordinate(i * 1_000, i * -2_000), name);

    private static async Task WriteAsync(string file, int version)
    {
        var text = new StringBuilder("name,latitude,longitude\n");
        for (var i = 1; i <= Places; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"{version} place {i},{i / 1_000.0},{i / -500.0}\n");
        }

        await File.WriteAllTextAsync(file, text.ToString());
    }

    /// <summary>Starts an import and kills it when it has not ended in time.</summary>
    /// <returns>Whether it has ended by itself.</returns>
    private static async Task<bool> EndsAsync(TestDatabase database, string file, TimeSpan patience)
    {
        var start = new ProcessStartInfo("dotnet", [Repository.Program, "import", file, "--replace"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["ConnectionStrings__RouteService"] = database.ConnectionString;
        using var import = Process.Start(start)!;
        using var end = new CancellationTokenSource(patience);
        try
        {
            await import.WaitForExitAsync(end.Token);
            Assert.Equal(0, import.ExitCode);
            return true;
        }
        catch (OperationCanceledException)
        {
            import.Kill();
            await import.WaitForExitAsync();
            return false;
        }
    }
}
