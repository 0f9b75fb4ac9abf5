using RouteService.Domain.Features;
using RouteService.Infrastructure.Sqlite;

namespace RouteService.Infrastructure.Tests;

public sealed class SqliteFeatureImportTests : FeatureImportContract, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-test-").FullName;
    private SqliteFeatureStore? _store;

    public void Dispose()
    {
        _store?.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    protected override async Task<(IFeatureCatalog Catalog, IFeatureStore Store)> CreateAsync()
    {
        _store = await SqliteFeatureStore.OpenAsync(new SqliteOptions { Path = Path.Combine(_folder, "store.db") }, seed: null, TimeProvider.System, default);
        return (_store, _store);
    }
}
