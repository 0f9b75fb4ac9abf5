using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Domain.Watch;
using RouteService.Infrastructure.Postgis;
using RouteService.Infrastructure.Tests;

namespace RouteService.Postgis.Tests;

public sealed class PostgisChangeLogTests : ChangeLogContract, IAsyncDisposable
{
    private TestStore? _store;

    public async ValueTask DisposeAsync()
    {
        if (_store is not null)
        {
            await _store.DisposeAsync();
        }
    }

    protected override async Task<(IFeatureCatalog Catalog, IFeatureStore Store, IChangeLog Log)> CreateAsync()
    {
        _store = await TestStore.CreateAsync();
        return (new PostgisFeatureCatalog(_store.Connections), _store.Store, new PostgisChangeLog(_store.Connections));
    }
}
