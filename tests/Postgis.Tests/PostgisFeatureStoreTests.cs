using RouteService.Domain.Features;
using RouteService.Infrastructure.Tests;

namespace RouteService.Postgis.Tests;

public sealed class PostgisFeatureStoreTests : FeatureStoreContract, IAsyncDisposable
{
    private TestStore? _store;

    protected override async Task<IFeatureStore> CreateStoreAsync()
    {
        _store = await TestStore.CreateAsync();
        return _store.Store;
    }

    public async ValueTask DisposeAsync()
    {
        if (_store is not null)
        {
            await _store.DisposeAsync();
        }
    }
}
