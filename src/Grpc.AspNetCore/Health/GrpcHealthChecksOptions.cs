using System.Collections;
using System.Diagnostics.CodeAnalysis;

namespace Grpc.AspNetCore.HealthChecks;

/// <summary>Which .NET health checks stand behind which gRPC service name.</summary>
internal sealed class GrpcHealthChecksOptions
{
    /// <summary>The names that the health service knows. The empty one, the server as a whole, is there from the start and has all checks.</summary>
    public ServiceMappingCollection Services { get; } = [];
}

internal sealed class ServiceMappingCollection : ICollection<ServiceMapping>
{
    private readonly OrderedDictionary<string, ServiceMapping> _mappings = new(StringComparer.Ordinal);

    public int Count => _mappings.Count;

    bool ICollection<ServiceMapping>.IsReadOnly => false;

    /// <summary>Maps a service, anew where it was mapped before.</summary>
    /// <param name="name">Its full name, such as "helloworld.Greeter".</param>
    /// <param name="predicate">Picks the checks that must not be unhealthy.</param>
    public void Map(string name, Func<HealthCheckMapContext, bool> predicate) => _mappings[name] = new ServiceMapping(name, predicate);

    /// <exception cref="ArgumentException">A service of this name is mapped.</exception>
    public void Add(ServiceMapping service) => _mappings.Add(service.Name, service);

    public void Remove(string name) => _mappings.Remove(name);

    public void Clear() => _mappings.Clear();

    public IEnumerator<ServiceMapping> GetEnumerator() => _mappings.Values.GetEnumerator();

    internal bool TryGetValue(string name, [MaybeNullWhen(false)] out ServiceMapping mapping) => _mappings.TryGetValue(name, out mapping);

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    bool ICollection<ServiceMapping>.Contains(ServiceMapping item) => Contains(item);

    void ICollection<ServiceMapping>.CopyTo(ServiceMapping[] array, int arrayIndex) => _mappings.Values.CopyTo(array, arrayIndex);

    bool ICollection<ServiceMapping>.Remove(ServiceMapping item) => Contains(item) && _mappings.Remove(item.Name);

    private bool Contains(ServiceMapping item) => _mappings.ContainsValue(item);
}

internal sealed class ServiceMapping(string name, Func<HealthCheckMapContext, bool> predicate)
{
    public string Name { get; } = name;

    public Func<HealthCheckMapContext, bool> HealthCheckPredicate { get; } = predicate;
}

/// <summary>A health check, as a predicate sees it.</summary>
internal sealed class HealthCheckMapContext(string name, IEnumerable<string> tags)
{
    public string Name { get; } = name;

    public IEnumerable<string> Tags { get; } = tags;
}
