using System.Diagnostics;
using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Import;
using RouteService.Infrastructure.Sqlite;

namespace RouteService.Infrastructure.Tests;

public sealed class SqliteFeatureStoreTests : FeatureStoreContract, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-test-").FullName;
    private readonly List<SqliteFeatureStore> _stores = [];

    private string File => Path.Combine(_folder, "deep", "er", "store.db");

    public void Dispose()
    {
        _stores.ForEach(store => store.Dispose());
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Missing_folders_are_made_and_a_new_file_has_the_seed()
    {
        var store = await OpenAsync(SamplePlaces.ReadAllAsync());

        Assert.True(System.IO.File.Exists(File));
        Assert.Equal(await SamplePlaces.ReadAllAsync().CountAsync(), await store.CountAsync(default));
    }

    [Fact]
    public async Task A_file_that_is_there_is_not_seeded_again_even_when_it_is_empty_of_features()
    {
        var store = await OpenAsync(SamplePlaces.ReadAllAsync());
        await store.ImportAsync(Stream(), replace: true, default);
        store.Dispose();

        Assert.Equal(0, await (await OpenAsync(SamplePlaces.ReadAllAsync())).CountAsync(default));
    }

    [Fact]
    public async Task A_seeding_that_fails_leaves_no_file()
    {
        await Assert.ThrowsAsync<InvalidDataException>(() => OpenAsync(Fail()));

        Assert.Empty(Directory.GetFiles(Path.GetDirectoryName(File)!));
        Assert.Equal(0, await (await OpenAsync()).CountAsync(default));

        static async IAsyncEnumerable<Feature> Fail()
        {
            yield return new Feature(default, "");
            await Task.Yield();
            throw new InvalidDataException();
        }
    }

    [Fact]
    public async Task What_was_imported_is_there_when_the_file_is_opened_again()
    {
        var store = await OpenAsync();
        await store.ImportAsync(Stream(new Feature(default, "kept")), replace: false, default);
        store.Dispose();

        Assert.Equal("kept", (await (await OpenAsync()).FindAsync(default, default))!.Name);
    }

    [Fact]
    public async Task What_another_process_imports_is_seen_soon()
    {
        var serving = await OpenAsync();
        Assert.Null(await serving.FindAsync(default, default));
        var importing = await OpenAsync();
        await importing.ImportAsync(Stream(new Feature(default, "new")), replace: false, default);

        // A snapshot is read from for 50 ms; the test's patience is for a busy machine.
        var patience = Stopwatch.StartNew();
        while (await serving.FindAsync(default, default) is null)
        {
            Assert.True(patience.Elapsed < TimeSpan.FromSeconds(30), "The import was not seen within 30 seconds.");
            await Task.Delay(10);
        }
    }

    [Fact]
    public async Task Reads_that_nobody_goes_on_with_do_not_keep_the_write_ahead_log_from_being_reset()
    {
        var clock = new SweepClock();
        var store = await SqliteFeatureStore.OpenAsync(new SqliteOptions { Path = File }, seed: null, clock, default);
        _stores.Add(store);
        await store.FindAsync(default, default);

        clock.Sweep();

        // A truncating checkpoint succeeds only when no reader holds a snapshot.
        using var connection = new SqliteConnection($"Data Source={File};Pooling=False");
        connection.Open();
        using var checkpoint = connection.CreateCommand();
        checkpoint.CommandText = "PRAGMA wal_checkpoint(TRUNCATE)";
        Assert.Equal(0L, checkpoint.ExecuteScalar());
    }

    [Fact]
    public async Task Killed_in_the_middle_of_an_import_it_has_its_old_state_whole()
    {
        var store = await OpenAsync();
        await store.ImportAsync(Stream(new Feature(default, "old")), replace: false, default);
        store.Dispose();

        using var process = ImportForever.Start(File);
        Assert.Equal("importing", await process.StandardOutput.ReadLineAsync());
        process.Kill();
        await process.WaitForExitAsync();

        var reopened = await OpenAsync();
        Assert.Equal([new Feature(default, "old")], await ListAsync(reopened, BoundingBox.World));
        await reopened.ImportAsync(Stream(new Feature(default, "new")), replace: true, default);
        Assert.Equal([new Feature(default, "new")], await ListAsync(reopened, BoundingBox.World));
    }

    [Fact]
    public async Task Killed_at_any_moment_it_has_one_import_whole()
    {
        var store = await OpenAsync();
        for (var lines = 1; lines <= 6; lines++)
        {
            using var process = ImportForever.StartGenerations(File);
            for (var i = 0; i < lines; i++)
            {
                Assert.NotNull(await process.StandardOutput.ReadLineAsync());
            }

            // Somewhere in the next import: in its staging, its transaction or its checkpoint.
            process.Kill();
            await process.WaitForExitAsync();
            store.Dispose();
            store = await OpenAsync();
            var features = await ListAsync(store, BoundingBox.World);

            Assert.Equal(ImportForever.GenerationSize, features.Count);
            Assert.Single(features.Select(feature => feature.Name).Distinct());
        }
    }

    [Fact]
    public async Task A_new_file_has_nothing_of_the_log_that_a_deleted_one_left()
    {
        var store = await OpenAsync();
        await store.ImportAsync(Stream(new Feature(default, "deleted")), replace: false, default);

        // What a kill leaves: the last write is in the log only. The reader keeps the file open, as closing it last would empty the log.
        Assert.NotNull(await store.FindAsync(default, default));
        Run("PRAGMA wal_autocheckpoint = 0; UPDATE feature SET name = 'in the log'");
        var log = await System.IO.File.ReadAllBytesAsync(File + "-wal");
        store.Dispose();
        System.IO.File.Delete(File);
        await System.IO.File.WriteAllBytesAsync(File + "-wal", log);

        Assert.NotEmpty(log);
        Assert.Empty(await ListAsync(await OpenAsync(), BoundingBox.World));
    }

    [Fact]
    public async Task Two_that_make_the_file_at_once_have_one_store()
    {
        var stores = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => SqliteFeatureStore.OpenAsync(
            new SqliteOptions { Path = File }, SamplePlaces.ReadAllAsync(), TimeProvider.System, default))));
        _stores.AddRange(stores);

        await stores[0].ImportAsync(Stream(new Feature(default, "new")), replace: true, default);

        Assert.Equal(1, await stores[3].CountAsync(default));
        Assert.Empty(Directory.GetFiles(Path.GetDirectoryName(File)!, "*.new*"));
    }

    [Fact]
    public async Task A_long_import_leaves_no_long_log()
    {
        var store = await OpenAsync(SamplePlaces.ReadAllAsync());
        Assert.NotNull(await store.InAreaAsync(BoundingBox.World, default).FirstAsync());

        await store.ImportAsync(SamplePlaces.ReadAllAsync(), replace: true, default);

        Assert.Equal(0, new FileInfo(File + "-wal").Length);
    }

    [Fact]
    public async Task A_listing_that_was_cancelled_leaves_its_reader_to_the_others()
    {
        var store = await OpenAsync(SamplePlaces.ReadAllAsync());
        using var cancellation = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var _ in store.InAreaAsync(BoundingBox.World, cancellation.Token))
            {
                await cancellation.CancelAsync();
            }
        });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await store.CountAtAsync(new Coordinate[1], cancellation.Token));

        await store.ImportAsync(Stream(), replace: true, default);

        Assert.Equal(0, new FileInfo(File + "-wal").Length);
    }

    [Fact]
    public async Task What_goes_wrong_in_a_call_is_told_without_the_path()
    {
        var store = await OpenAsync(SamplePlaces.ReadAllAsync());
        Run("DROP TABLE feature");

        var listing = await Assert.ThrowsAsync<StoreUnavailableException>(async () => await ListAsync(store, BoundingBox.World));
        var look = await Assert.ThrowsAsync<StoreUnavailableException>(async () => await store.FindAsync(default, default));
        var import = await Assert.ThrowsAsync<StoreUnavailableException>(async () => await store.ImportAsync(Stream(), replace: false, default));

        Assert.All([listing, look, import], error => Assert.DoesNotContain(_folder, error.Message));
        Assert.All([listing, look, import], error => Assert.IsType<SqliteException>(error.InnerException));
    }

    [Fact]
    public async Task After_a_failure_it_answers_again_when_the_cause_is_gone()
    {
        var store = await OpenAsync();
        Run("ALTER TABLE feature RENAME TO away");
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await store.FindAsync(default, default));

        Run("ALTER TABLE away RENAME TO feature");

        Assert.Null(await store.FindAsync(default, default));
    }

    [Fact]
    public async Task A_closed_store_says_so()
    {
        var store = await OpenAsync();
        store.Dispose();

        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await store.FindAsync(default, default));
    }

    [Fact]
    public async Task A_folder_where_the_file_should_be_is_told()
    {
        Directory.CreateDirectory(File);

        var refusal = await Assert.ThrowsAsync<StoreUnavailableException>(() => OpenAsync());

        Assert.Contains(File, refusal.Message);
        Assert.Contains("RouteService__Sqlite__Path", refusal.Message);
    }

    [Fact]
    public async Task A_file_that_is_no_database_is_refused_in_one_line()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(File)!);
        var garbage = new byte[10_000];
        new Random(1).NextBytes(garbage);
        System.IO.File.WriteAllBytes(File, garbage);

        var refusal = await Assert.ThrowsAsync<StoreUnavailableException>(() => OpenAsync());

        Assert.Contains(File, refusal.Message);
        Assert.Contains("is not a database", refusal.Message);
        Assert.DoesNotContain('\n', refusal.Message);
        Assert.Equal(garbage, System.IO.File.ReadAllBytes(File));
    }

    [Fact]
    public async Task A_damaged_database_is_refused()
    {
        (await OpenAsync(SamplePlaces.ReadAllAsync())).Dispose();
        _stores.Clear();
        await using (var stream = System.IO.File.OpenWrite(File))
        {
            stream.Position = 4096 * 3;
            stream.Write(new byte[4096 * 4]);
        }

        var refusal = await Assert.ThrowsAsync<StoreUnavailableException>(() => OpenAsync());

        Assert.Contains("is damaged", refusal.Message);
    }

    [Fact]
    public async Task A_database_without_its_count_of_writes_is_refused()
    {
        (await OpenAsync()).Dispose();
        using (var connection = new SqliteConnection($"Data Source={File};Pooling=False"))
        {
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "DELETE FROM feature_revision";
            command.ExecuteNonQuery();
        }

        Assert.Contains("is damaged", (await Assert.ThrowsAsync<StoreUnavailableException>(() => OpenAsync())).Message);
    }

    [Fact]
    public async Task A_link_to_a_missing_file_is_told()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(File)!);
        System.IO.File.CreateSymbolicLink(File, Path.Combine(_folder, "next"));
        System.IO.File.CreateSymbolicLink(Path.Combine(_folder, "next"), Path.Combine(_folder, "none"));

        var refusal = (await Assert.ThrowsAsync<StoreUnavailableException>(() => OpenAsync())).Message;

        Assert.Contains($"'{File}' is a link to '{_folder}/next', which does not exist.", refusal);
        Assert.Contains("RouteService__Sqlite__Path", refusal);
        Assert.Equal([File], Directory.GetFiles(Path.GetDirectoryName(File)!));
    }

    [Fact]
    public async Task A_database_cut_short_is_refused()
    {
        (await OpenAsync(SamplePlaces.ReadAllAsync())).Dispose();
        await using (var stream = System.IO.File.OpenWrite(File))
        {
            stream.SetLength(stream.Length / 2);
        }

        var refusal = await Assert.ThrowsAsync<StoreUnavailableException>(() => OpenAsync());

        Assert.Contains("is damaged", refusal.Message);
    }

    [Fact]
    public async Task A_database_of_a_newer_program_is_refused()
    {
        (await OpenAsync()).Dispose();
        Run("PRAGMA user_version = 4");

        var refusal = await Assert.ThrowsAsync<StoreUnavailableException>(() => OpenAsync());

        Assert.Contains("schema version 4, and this program knows up to 3", refusal.Message);
    }

    [Fact]
    public async Task A_database_of_another_program_is_refused_and_left_as_it_is()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(File)!);
        Run("CREATE TABLE theirs (x)");

        var refusal = await Assert.ThrowsAsync<StoreUnavailableException>(() => OpenAsync());

        Assert.Contains("of another program", refusal.Message);
    }

    [Fact]
    public async Task An_empty_file_becomes_a_store()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(File)!);
        await System.IO.File.WriteAllBytesAsync(File, []);

        Assert.Equal(0, await (await OpenAsync()).CountAsync(default));
    }

    [Fact]
    public async Task A_folder_that_cannot_be_made_is_told()
    {
        var refusal = await Assert.ThrowsAsync<StoreUnavailableException>(() => SqliteFeatureStore.OpenAsync(
            new SqliteOptions { Path = "/dev/null/store.db" }, seed: null, TimeProvider.System, default));

        Assert.Contains("/dev/null/store.db", refusal.Message);
        Assert.Contains("RouteService__Sqlite__Path", refusal.Message);
    }

    protected override async Task<IFeatureStore> CreateStoreAsync() => await OpenAsync();

    private async Task<SqliteFeatureStore> OpenAsync(IAsyncEnumerable<Feature>? seed = null)
    {
        var store = await SqliteFeatureStore.OpenAsync(new SqliteOptions { Path = File }, seed, TimeProvider.System, default);
        _stores.Add(store);
        return store;
    }

    private void Run(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={File};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    /// <summary>A clock whose timers fire when the test says so.</summary>
    private sealed class SweepClock : TimeProvider
    {
        private Action _sweep = () => { };

        public void Sweep() => _sweep();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            _sweep += () => callback(state);
            return new Timer();
        }

        private sealed class Timer : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose()
            {
            }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }
}
