using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Domain.Watch;
using RouteService.Infrastructure.Sqlite;

namespace RouteService.Infrastructure.Tests;

public sealed class SqliteChangeLogTests : ChangeLogContract, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-test-").FullName;
    private readonly List<SqliteFeatureStore> _stores = [];

    private string File => Path.Combine(_folder, "store.db");

    public void Dispose()
    {
        _stores.ForEach(static store => store.Dispose());
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task What_another_process_writes_to_the_file_is_seen()
    {
        var (ours, theirs) = (await OpenAsync(), await OpenAsync());
        await using var hints = ours.ListenAsync(TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        Assert.True(await hints.MoveNextAsync());
        Assert.Null(await ours.GetAsync(default, default));

        await theirs.WriteAsync(new FeatureWrite([new FeatureChange.Create(default, "a", Properties.Empty)], RequestId: null), default);

        // Not by the snapshot from before, which is younger than others are told to wait.
        Assert.Equal("a", Assert.Single(await ours.ReadFeaturesAsync([default], default)).Name);
        Assert.True(await hints.MoveNextAsync());
        Assert.Equal(ChangeKind.Created, Assert.Single(await ours.ReadFromAsync(1, 10, default)).Kind);
    }

    [Fact]
    public async Task A_replacement_is_one_reset()
    {
        var store = await OpenAsync();
        await store.ImportAsync(new Feature[] { new(default, "a") }.ToAsyncEnumerable(), replace: false, default);

        await store.ImportAsync(new Feature[] { new(default, "b") }.ToAsyncEnumerable(), replace: true, default);

        Assert.Equal([ChangeKind.Created, ChangeKind.Reset], (await store.ReadFromAsync(1, 10, default)).Select(static change => change.Kind));
    }

    [Fact]
    public async Task A_file_of_the_second_version_gets_a_log()
    {
        (await OpenAsync()).Dispose();
        using (var connection = new SqliteConnection($"Data Source={File};Pooling=False"))
        {
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "DROP TABLE feature_change; PRAGMA user_version = 2";
            command.ExecuteNonQuery();
        }

        var store = await OpenAsync();

        await store.WriteAsync(new FeatureWrite([new FeatureChange.Create(default, "a", Properties.Empty)], RequestId: null), default);
        Assert.Equal(1, await store.ReadHeadAsync(default));
    }

    protected override async Task<(IFeatureCatalog Catalog, IFeatureStore Store, IChangeLog Log)> CreateAsync()
    {
        var store = await OpenAsync();
        return (store, store, store);
    }

    private async Task<SqliteFeatureStore> OpenAsync()
    {
        var store = await SqliteFeatureStore.OpenAsync(new SqliteOptions { Path = File }, seed: null, TimeProvider.System, default);
        _stores.Add(store);
        return store;
    }
}
