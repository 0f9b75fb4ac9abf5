using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Postgis;
using RouteService.Infrastructure.Tests;

namespace RouteService.Postgis.Tests;

public sealed class PostgisFeatureCatalogTests : FeatureCatalogContract, IAsyncDisposable
{
    private TestStore? _store;

    public async ValueTask DisposeAsync()
    {
        if (_store is not null)
        {
            await _store.DisposeAsync();
        }
    }

    [Theory]
    [InlineData("[1]")]
    [InlineData("""{"a":1e400}""")]
    public async Task Properties_that_this_program_does_not_keep_are_told_with_their_place_and_concern_no_other(string properties)
    {
        var (catalog, store) = await CreateAsync();
        var bad = new Coordinate(1, 2);
        await _store!.Database.ExecuteAsync(
            $"INSERT INTO feature (latitude, longitude, name) VALUES (1, 2, 'bad'); INSERT INTO feature_properties VALUES (1, 2, '{properties}')");
        var writes = Enumerable.Range(10, 20).Select(i => catalog.WriteAsync(
            new FeatureWrite([new FeatureChange.Create(new Coordinate(i, 0), "good", Properties.Empty)], RequestId: null), default)).ToList();

        await AssertToldAsync(async () => await catalog.GetAsync(bad, default));
        await AssertToldAsync(async () => await catalog.WriteAsync(
            new FeatureWrite([new FeatureChange.Update(bad, "new", Properties.Empty)], RequestId: null), default));
        await AssertToldAsync(async () => await store.ReadAllAsync(default).CountAsync());

        Assert.All(await Task.WhenAll(writes), static features => Assert.Equal("good", features[0]!.Name));

        static async Task AssertToldAsync(Func<Task> call) => Assert.StartsWith(
            "The store has properties of features/1,2 that this service does not keep: ",
            (await Assert.ThrowsAsync<StoreUnavailableException>(call)).Message);
    }

    [Fact]
    public async Task What_others_write_with_SQL_alone_has_versions_and_times()
    {
        var (catalog, _) = await CreateAsync();
        var database = _store!.Database;
        await database.ExecuteAsync("INSERT INTO feature (latitude, longitude, name) VALUES (0, 0, 'a'), (1, 1, 'other')");
        var inserted = (await catalog.GetAsync(default, default))!;
        Assert.Equal(("a", Properties.Empty, inserted.CreatedAt), (inserted.Name, inserted.Properties, inserted.UpdatedAt));

        await database.ExecuteAsync("UPDATE feature SET name = 'b' WHERE latitude = 0");

        var updated = (await catalog.GetAsync(default, default))!;
        Assert.Equal("b", updated.Name);
        Assert.NotEqual(inserted.Etag, updated.Etag);
        Assert.True(updated.UpdatedAt > inserted.UpdatedAt);
        await Assert.ThrowsAsync<FeatureConflictException>(
            () => OneAsync(catalog, new FeatureChange.Update(default, "c", Properties.Empty) { Expected = inserted.Etag }));

        await database.ExecuteAsync("DELETE FROM feature WHERE latitude = 0; INSERT INTO feature (latitude, longitude, name) VALUES (0, 0, 'b')");
        Assert.DoesNotContain((await catalog.GetAsync(default, default))!.Etag, (Etag[])[inserted.Etag, updated.Etag]);
    }

    [Fact]
    public async Task Features_from_before_the_migration_have_the_revision_0_and_can_be_written()
    {
        var database = await (await Postgres.ServerAsync()).CreateDatabaseAsync();
        try
        {
            foreach (var migration in (string[])["0001_features", "0002_notes"])
            {
                await database.ExecuteAsync(await File.ReadAllTextAsync(Repository.File("migrations", $"{migration}.sql")));
            }

            await database.ExecuteAsync("INSERT INTO feature (latitude, longitude, name) VALUES (0, 0, 'old')");
            await database.ExecuteAsync(await File.ReadAllTextAsync(Repository.File("migrations", "0004_feature_writes.sql")));
            await using var connections = new PostgisDatabase(database.ConnectionString);
            var catalog = new PostgisFeatureCatalog(connections);

            var old = (await catalog.GetAsync(default, default))!;
            Assert.Equal(("old", new Etag(0), old.CreatedAt), (old.Name, old.Etag, old.UpdatedAt));
            var updated = await OneAsync(catalog, new FeatureChange.Update(default, "new", Properties.Empty) { Expected = old.Etag });
            Assert.Equal(updated, await catalog.GetAsync(default, default));
            Assert.Equal(old.CreatedAt, updated.CreatedAt);
        }
        finally
        {
            await database.DisposeAsync();
        }
    }

    [Fact]
    public async Task Writes_and_imports_at_once_all_succeed()
    {
        var (catalog, store) = await CreateAsync();
        var places = Enumerable.Range(0, 200).Select(i => new Coordinate(i, i)).ToList();
        using var ending = new CancellationTokenSource();
        var writing = Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
        {
            for (var i = 0; !ending.IsCancellationRequested; i++)
            {
                var changes = places.Where((_, place) => (place + i) % 3 != 0)
                    .Select(place => new FeatureChange.Update(place, $"{writer} {i}", Properties.Empty) { AllowMissing = true });
                await catalog.WriteAsync(new FeatureWrite([.. changes], RequestId: null), default);
            }
        })).ToList();

        for (var import = 0; import < 10; import++)
        {
            await store.ImportAsync(
                places.Select(place => new Feature(place, $"import {import}")).Reverse().ToAsyncEnumerable(), replace: import % 2 == 0, default);
        }

        await ending.CancelAsync();
        await Task.WhenAll(writing);
        Assert.Equal(places.Count, await store.CountAsync(default));
    }

    [Fact]
    public async Task What_others_delete_has_no_properties_when_it_is_back()
    {
        var (catalog, _) = await CreateAsync();
        var database = _store!.Database;
        foreach (var delete in (string[])["DELETE FROM feature WHERE latitude = 0", "TRUNCATE feature"])
        {
            await OneAsync(catalog, new FeatureChange.Create(default, "a", Of("""{"a":1}""")));
            await database.ExecuteAsync(delete);
            Assert.Null(await catalog.GetAsync(default, default));

            await database.ExecuteAsync("INSERT INTO feature (latitude, longitude, name) VALUES (0, 0, 'b')");

            Assert.Equal(Properties.Empty, (await catalog.GetAsync(default, default))!.Properties);
            await database.ExecuteAsync("DELETE FROM feature");
        }
    }

    [Fact]
    public async Task An_update_of_the_name_alone_leaves_the_properties_that_another_has_just_written()
    {
        var (catalog, _) = await CreateAsync();
        await OneAsync(catalog, new FeatureChange.Create(default, "", Properties.Empty));
        for (var round = 0; round < 50; round++)
        {
            var properties = Of($$"""{"round":{{round}}}""");
            await Task.WhenAll(
                Task.Run(() => OneAsync(catalog, new FeatureChange.Update(default, "", properties) { SetsName = false })),
                Task.Run(() => OneAsync(catalog, new FeatureChange.Update(default, $"{round}", Properties.Empty) { SetsProperties = false })));

            var feature = (await catalog.GetAsync(default, default))!;
            Assert.Equal(($"{round}", properties), (feature.Name, feature.Properties));
        }
    }

    [Fact]
    public async Task Ids_of_requests_are_kept_for_their_time_and_no_longer()
    {
        var (catalog, _) = await CreateAsync();
        await OneAsync(catalog, new FeatureChange.Create(default, "a", Properties.Empty), Guid.NewGuid());
        await _store!.Database.ExecuteAsync("UPDATE feature_request SET requested_at = now() - interval '1 day 1 second'");
        await OneAsync(catalog, new FeatureChange.Update(default, "b", Properties.Empty), Guid.NewGuid());
        await OneAsync(catalog, new FeatureChange.Update(default, "c", Properties.Empty), Guid.NewGuid());

        Assert.Equal(2L, await _store.Database.ExecuteAsync("SELECT count(*) FROM feature_request"));
    }

    protected override async Task<(IFeatureCatalog Catalog, IFeatureStore Store)> CreateAsync()
    {
        _store = await TestStore.CreateAsync();
        return (new PostgisFeatureCatalog(_store.Connections), _store.Store);
    }
}
