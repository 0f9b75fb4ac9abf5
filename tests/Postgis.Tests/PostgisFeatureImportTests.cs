using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Postgis;
using RouteService.Infrastructure.Tests;

namespace RouteService.Postgis.Tests;

public sealed class PostgisFeatureImportTests : FeatureImportContract, IAsyncDisposable
{
    private static readonly Coordinate Held = new(1, 1);
    private static readonly Coordinate Elsewhere = new(2, 2);

    private TestStore? _store;

    public async ValueTask DisposeAsync()
    {
        if (_store is not null)
        {
            await _store.DisposeAsync();
        }
    }

    [Fact]
    public async Task An_import_that_merges_holds_up_no_write_to_other_places()
    {
        var (catalog, store) = await CreateAsync();
        await store.ImportAsync(new[] { new Feature(Held, "old"), new Feature(default, "old") }.ToAsyncEnumerable(), replace: false, default);
        await using var holder = await _store!.Database.LockAsync(Held);
        var import = ImportAsync(store, replace: false);
        await _store!.Database.UntilAsync(Sessions.Waiting, static count => count == 1);

        await WriteAsync(catalog, Elsewhere);

        Assert.False(import.IsCompleted);
        await holder.DisposeAsync();
        Assert.Equal(new ImportSummary(Read: 2, Superseded: 0, Overwritten: 2, Total: 3), await import);
        Assert.Equal(["new", "new", "written"], await store.InAreaAsync(BoundingBox.World, default).Select(static feature => feature.Name).Order().ToListAsync());
    }

    [Fact]
    public async Task While_an_import_that_replaces_all_merges_writers_wait()
    {
        var (catalog, store) = await CreateAsync();
        await store.ImportAsync(new[] { new Feature(Held, "old"), new Feature(default, "old") }.ToAsyncEnumerable(), replace: false, default);
        await using var holder = await _store!.Database.LockAsync(Held);
        var import = ImportAsync(store, replace: true);
        await _store!.Database.UntilAsync(Sessions.Waiting, static count => count == 1);

        var write = WriteAsync(catalog, Elsewhere);
        await _store.Database.UntilAsync(Sessions.Waiting, static count => count == 2);

        Assert.False(write.IsCompleted);
        await holder.DisposeAsync();
        Assert.Equal(2, (await import).Total);
        await write;
        Assert.Equal(3, await store.CountAsync(default));
    }

    [Fact]
    public async Task Summaries_of_imports_are_kept_for_their_time_and_no_longer()
    {
        var (catalog, store) = await CreateAsync();
        await store.ImportAsync(AsyncEnumerable.Empty<FeatureContent>(), new FeatureImport(Replace: false, Guid.NewGuid()), default);
        await _store!.Database.ExecuteAsync("UPDATE feature_request SET requested_at = now() - interval '1 day 1 second'");

        await store.ImportAsync(AsyncEnumerable.Empty<FeatureContent>(), new FeatureImport(Replace: false, Guid.NewGuid()), default);

        Assert.Equal(1L, await _store.Database.ExecuteAsync("SELECT count(*) FROM feature_request"));
    }

    [Fact]
    public async Task Imports_and_an_export_leave_no_session_and_no_table()
    {
        var (_, store) = await CreateAsync();
        await store.ImportAsync(new[] { new Feature(Held, "a") }.ToAsyncEnumerable(), replace: false, default);
        await foreach (var _ in store.ReadAllAsync(default))
        {
            break;
        }

        await _store!.Database.UntilAsync($"{Sessions.OfService} AND query LIKE '%import%'", static count => count == 0);
        Assert.Equal(0L, await _store.Database.ExecuteAsync("SELECT count(*) FROM pg_class WHERE relname = 'import'"));
    }

    protected override async Task<(IFeatureCatalog Catalog, IFeatureStore Store)> CreateAsync()
    {
        _store = await TestStore.CreateAsync();
        return (new PostgisFeatureCatalog(_store.Connections), _store.Store);
    }

    private static Task<ImportSummary> ImportAsync(IFeatureStore store, bool replace) =>
        store.ImportAsync(new[] { new Feature(Held, "new"), new Feature(default, "new") }.ToAsyncEnumerable(), replace, default).AsTask();

    private static Task WriteAsync(IFeatureCatalog catalog, Coordinate place) =>
        catalog.WriteAsync(new FeatureWrite([new FeatureChange.Create(place, "written", Properties.Empty)], RequestId: null), default);
}
