
namespace RouteService.Postgis.Tests;

/// <summary>A test of the built program on a database; what it makes goes when it ends, the last first.</summary>
public abstract class ServiceTest : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _ours = [];

    public async ValueTask DisposeAsync()
    {
        for (var i = _ours.Count - 1; i >= 0; i--)
        {
            await _ours[i].DisposeAsync();
        }

        GC.SuppressFinalize(this);
    }

    private protected T Ours<T>(T resource)
        where T : IAsyncDisposable
    {
        _ours.Add(resource);
        return resource;
    }

    /// <summary>A database with features, on the server that all share.</summary>
    private protected async Task<TestDatabase> DatabaseAsync(int features)
    {
        var database = Ours(await Postgres.DatabaseAsync());
        await database.FillAsync(features);
        return database;
    }

    private protected async Task<ServiceOnPostgis> StartAsync(string connectionString) => Ours(await ServiceOnPostgis.StartAsync(connectionString));

    private protected async Task<ServiceOnPostgis> LaunchAsync(string connectionString, params (string Name, string Value)[] settings) =>
        Ours(await ServiceOnPostgis.LaunchAsync(connectionString, settings));
}
