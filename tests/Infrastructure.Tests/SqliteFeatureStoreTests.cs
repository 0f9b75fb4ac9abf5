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
        Run("PRAGMA user_version = 2");

        var refusal = await Assert.ThrowsAsync<StoreUnavailableException>(() => OpenAsync());

        Assert.Contains("schema version 2, and this program knows up to 1", refusal.Message);
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
