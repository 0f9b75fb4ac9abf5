using System.Collections.Concurrent;

namespace RouteService.Domain;

/// <summary>How many streams each client has open.</summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
internal sealed class ClientCounts
{
    private readonly ConcurrentDictionary<string, int> _counts = [];

    /// <returns>The number with the new one.</returns>
    public int Add(string client) => _counts.AddOrUpdate(client, 1, static (_, count) => count + 1);

    public void Remove(string client)
    {
        if (_counts.AddOrUpdate(client, 0, static (_, count) => count - 1) == 0)
        {
            _counts.TryRemove(KeyValuePair.Create(client, 0));
        }
    }
}
