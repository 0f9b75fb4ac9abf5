using RouteService.Domain.Features;
using RouteService.Infrastructure.Postgis;
using RouteService.Infrastructure.Tests;

namespace RouteService.Postgis.Tests;

public sealed class PostgisFeatureSearchTests : FeatureSearchContract, IAsyncDisposable
{
    private TestStore? _store;

    public async ValueTask DisposeAsync()
    {
        if (_store is not null)
        {
            await _store.DisposeAsync();
        }
    }

    protected override async Task<IFeatureCatalog> CreateAsync()
    {
        _store = await TestStore.CreateAsync();
        return new PostgisFeatureCatalog(_store.Connections);
    }
}
