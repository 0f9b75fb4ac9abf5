using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Sqlite;

namespace RouteService.Store.Bench;

/// <summary>A file of features in a folder of its own: the embedded store's, or one in another layout.</summary>
internal sealed class BenchFile : IDisposable
{
    public const string Store = "the store";

    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-bench-").FullName;
    private SqliteFeatureStore? _store;
    private LayoutFile? _layout;

    /// <summary>In bytes.</summary>
    public long Size => new FileInfo(FilePath).Length;

    private string FilePath => Path.Combine(_folder, "features.db");

    /// <param name="layout"><see cref="Store"/>, or the name of a <see cref="Layout"/>.</param>
    /// <param name="features">What is imported into it.</param>
    public static async Task<BenchFile> MakeAsync(string layout, List<Feature> features)
    {
        var file = new BenchFile();
        if (layout == Store)
        {
            var options = new SqliteOptions { Path = file.FilePath };
            file._store = await SqliteFeatureStore.OpenAsync(options, seed: null, TimeProvider.System, CancellationToken.None);
            var contents = features.Select(static feature => new FeatureContent(feature.Location, feature.Name, Properties.Empty));
            await file._store.ImportAsync(contents.ToAsyncEnumerable(), new FeatureImport(Replace: false), CancellationToken.None);
        }
        else
        {
            file._layout = new LayoutFile(file.FilePath, layout == Layout.RTree.Name ? Layout.RTree : Layout.Columns);
            file._layout.Import(features);
        }

        return file;
    }

    /// <summary>The store does by itself what the others are given: one read transaction over many look-ups.</summary>
    public void BeginRead() => _layout?.BeginRead();

    public async ValueTask<bool> FindAsync(Coordinate place) => _store is null
        ? _layout!.Find(place) is not null
        : await _store.FindAsync(place, CancellationToken.None) is not null;

    public async ValueTask<int> CountAtAsync(Coordinate[] places) => _store is null
        ? places.Count(place => _layout!.Find(place) is not null)
        : await _store.CountAtAsync(places, CancellationToken.None);

    public async ValueTask<int> ListAsync(BoundingBox area)
    {
        if (_store is null)
        {
            return _layout!.InArea(area).Count();
        }

        var rows = 0;
        await foreach (var page in _store.PagesInAreaAsync(area, CancellationToken.None))
        {
            rows += page.Length;
        }

        return rows;
    }

    public void Dispose()
    {
        _layout?.Dispose();
        _store?.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
