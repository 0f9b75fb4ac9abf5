using RouteService.Domain.Features;
using RouteService.Infrastructure.Sqlite;

namespace RouteService.Infrastructure.Tests;

public sealed class SqliteFeatureSearchTests : FeatureSearchContract, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-test-").FullName;
    private SqliteFeatureStore? _store;

    public void Dispose()
    {
        _store?.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    protected override async Task<IFeatureCatalog> CreateAsync() => _store = await SqliteFeatureStore.OpenAsync(
        new SqliteOptions { Path = Path.Combine(_folder, "store.db") }, seed: null, TimeProvider.System, default);
}
