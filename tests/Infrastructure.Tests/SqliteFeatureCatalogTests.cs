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

    protected override async Task<(IFeatureCatalog Catalog, IFeatureStore Store)> CreateAsync()
    {
        var store = await OpenAsync();
        return (store, store);
    }

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
