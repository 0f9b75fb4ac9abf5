using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Sqlite;

namespace RouteService.Infrastructure.Tests;

public sealed class SqliteFeatureCatalogTests : FeatureCatalogContract, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-test-").FullName;
    private readonly List<SqliteFeatureStore> _stores = [];

    private string File => Path.Combine(_folder, "store.db");

    public void Dispose()
    {
        _stores.ForEach(store => store.Dispose());
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_file_of_the_first_version_is_brought_to_this_one()
    {
        var place = new Coordinate(1, 2);
        Run($"""
            CREATE TABLE feature (place INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
            INSERT INTO feature VALUES ({ZOrder.Encode(place)}, 'old');
            PRAGMA user_version = 1;
            """);

        var store = await OpenAsync();

        var old = (await store.GetAsync(place, default))!;
        Assert.Equal(("old", Properties.Empty, new Etag(0)), (old.Name, old.Properties, old.Etag));
        Assert.InRange(old.CreatedAt, DateTimeOffset.UtcNow.AddMinutes(-10), DateTimeOffset.UtcNow.AddMinutes(10));
        var updated = await OneAsync(store, new FeatureChange.Update(place, "new", Of("""{"a":1}""")) { Expected = old.Etag });
        Assert.Equal(updated, await (await OpenAsync()).GetAsync(place, default));
    }

    [Fact]
    public async Task Ids_of_requests_are_kept_for_their_time_and_no_longer()
    {
        var store = await OpenAsync();
        var (kept, old) = (Guid.NewGuid(), Guid.NewGuid());
        await OneAsync(store, new FeatureChange.Create(default, "a", Properties.Empty), old);
        await OneAsync(store, new FeatureChange.Update(default, "b", Properties.Empty), kept);
        Run($"UPDATE feature_request SET requested_at = requested_at - {(long)FeatureWrite.RequestRetention.TotalMilliseconds} WHERE fingerprint = (SELECT min(fingerprint) FROM feature_request)");

        await OneAsync(store, new FeatureChange.Update(default, "c", Properties.Empty), Guid.NewGuid());

        Assert.Equal(2L, Run("SELECT count(*) FROM feature_request"));
    }

    [Theory]
    [InlineData("deleted")]
    [InlineData("replaced")]
    [InlineData("without its log")]
    public async Task Nothing_is_read_or_written_beside_the_file_at_the_path(string state)
    {
        var store = await OpenAsync();
        await OneAsync(store, new FeatureChange.Create(default, "before", Properties.Empty));
        await store.GetAsync(default, default);
        var moved = state is "without its log" ? File + "-wal" : File;
        System.IO.File.Move(moved, moved + ".away");
        if (state is "replaced")
        {
            System.IO.File.Copy(File + ".away", File);
        }

        await FailAsync(() => OneAsync(store, new FeatureChange.Update(default, "lost", Properties.Empty)));
        await FailAsync(() => store.ImportAsync(AsyncEnumerable.Empty<FeatureContent>(), new FeatureImport(Replace: false), default).AsTask());
        await FailAsync(() => store.ReadHeadAsync(default));
        await FailAsync(() => store.ReadFeaturesAsync([default], default));
        await FailAsync(() => store.CountAsync(default).AsTask());
        await FailAsync(() => store.CheckWritableAsync(default));
        Assert.Equal(state is not "deleted", System.IO.File.Exists(File));

        // In its place again.
        System.IO.File.Move(moved + ".away", moved, overwrite: true);
        await store.CheckWritableAsync(default);
        await OneAsync(store, new FeatureChange.Update(default, "after", Properties.Empty));
        Assert.Equal("after", (await store.GetAsync(default, default))!.Name);
    }

    [Fact]
    public async Task An_import_that_ends_in_a_file_without_a_path_is_not_acknowledged()
    {
        var store = await OpenAsync();

        await FailAsync(() => store.ImportAsync(DeleteAsync(), new FeatureImport(Replace: false), default).AsTask());

        async IAsyncEnumerable<FeatureContent> DeleteAsync()
        {
            await Task.Yield();
            System.IO.File.Delete(File);
            yield return new FeatureContent(default, "lost", Properties.Empty);
        }
    }

    [Fact]
    public async Task That_another_program_holds_the_file_is_known_and_that_an_import_does_is_no_fault()
    {
        var store = await OpenAsync();
        await using var other = new SqliteConnection($"Data Source={File};Pooling=False");
        await other.OpenAsync();
        await using var command = other.CreateCommand();
        command.CommandText = "BEGIN IMMEDIATE";
        await command.ExecuteNonQueryAsync();

        Assert.StartsWith("The store is locked", (await Assert.ThrowsAsync<StoreUnavailableException>(() => store.CheckWritableAsync(default))).Message);

        // The write waits for the other program; what is known until it ends is that no write has failed.
        var write = Task.Run(() => OneAsync(store, new FeatureChange.Create(default, "a", Properties.Empty)));
        while (await Record.ExceptionAsync(() => store.CheckWritableAsync(default)) is not null)
        {
            await Task.Yield();
        }

        command.CommandText = "ROLLBACK";
        await command.ExecuteNonQueryAsync();
        await write;
        await store.CheckWritableAsync(default);
    }

    [Fact]
    public async Task A_failed_write_is_known_until_one_succeeds()
    {
        var store = await OpenAsync();
        Run("ALTER TABLE feature_change RENAME TO elsewhere");
        await Assert.ThrowsAsync<StoreUnavailableException>(() => OneAsync(store, new FeatureChange.Create(default, "a", Properties.Empty)));
        await using var other = new SqliteConnection($"Data Source={File};Pooling=False");
        await other.OpenAsync();
        await using var command = other.CreateCommand();
        command.CommandText = "BEGIN IMMEDIATE";
        await command.ExecuteNonQueryAsync();
        var write = Task.Run(() => OneAsync(store, new FeatureChange.Create(default, "a", Properties.Empty)));

        // Until the write is under way, the lock of the other program is the reason.
        while ((await Assert.ThrowsAsync<StoreUnavailableException>(() => store.CheckWritableAsync(default))).Message.Contains("locked", StringComparison.Ordinal))
        {
            await Task.Yield();
        }

        command.CommandText = "ALTER TABLE elsewhere RENAME TO feature_change; COMMIT";
        await command.ExecuteNonQueryAsync();
        await write;
        await store.CheckWritableAsync(default);
    }

    protected override async Task<(IFeatureCatalog Catalog, IFeatureStore Store)> CreateAsync()
    {
        var store = await OpenAsync();
        return (store, store);
    }

    private static async Task FailAsync(Func<Task> call) => Assert.StartsWith(
        "The file of the features, or its -wal, was deleted, moved or replaced", (await Assert.ThrowsAsync<StoreUnavailableException>(call)).Message);

    private async Task<SqliteFeatureStore> OpenAsync()
    {
        var store = await SqliteFeatureStore.OpenAsync(new SqliteOptions { Path = File }, seed: null, TimeProvider.System, default);
        _stores.Add(store);
        return store;
    }

    private object? Run(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={File};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar();
    }
}
