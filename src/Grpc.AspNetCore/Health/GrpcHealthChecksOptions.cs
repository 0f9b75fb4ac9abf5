using System.Collections;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace Grpc.AspNetCore.HealthChecks;

/// <summary>Which .NET health checks stand behind which gRPC service name.</summary>
internal sealed class GrpcHealthChecksOptions
{
    /// <summary>The names that the health service knows. The empty one, the server as a whole, is there from the start and has all checks.</summary>
    public ServiceMappingCollection Services { get; } = [];
}

/// <summary>The services by name; may be changed while they are served.</summary>
internal sealed class ServiceMappingCollection : ICollection<ServiceMapping>
{
    private static readonly ImmutableSortedDictionary<string, ServiceMapping> None = ImmutableSortedDictionary.Create<string, ServiceMapping>(StringComparer.Ordinal);

    private ImmutableSortedDictionary<string, ServiceMapping> _services = None;

    public int Count => Current.Count;

    bool ICollection<ServiceMapping>.IsReadOnly => false;

    private ImmutableSortedDictionary<string, ServiceMapping> Current => Volatile.Read(ref _services);

    /// <summary>Maps a service, anew where it was mapped before.</summary>
    /// <param name="name">Its full name, such as "helloworld.Greeter".</param>
    /// <param name="predicate">Picks the checks that must not be unhealthy.</param>
    public void Map(string name, Func<HealthCheckMapContext, bool> predicate) =>
        ImmutableInterlocked.Update(ref _services, static (services, added) => services.SetItem(added.Name, added), new ServiceMapping(name, predicate));

    /// <exception cref="ArgumentException">A service of this name is mapped.</exception>
    public void Add(ServiceMapping service) =>
        ImmutableInterlocked.Update(ref _services, static (services, added) => services.Add(added.Name, added), service);

    public void Remove(string name) => ImmutableInterlocked.Update(ref _services, static (services, removed) => services.Remove(removed), name);

    public void Clear() => Volatile.Write(ref _services, None);

    public IEnumerator<ServiceMapping> GetEnumerator() => Current.Values.GetEnumerator();

    internal bool TryGetValue(string name, [MaybeNullWhen(false)] out ServiceMapping service) => Current.TryGetValue(name, out service);

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    bool ICollection<ServiceMapping>.Contains(ServiceMapping item) => Current.ContainsValue(item);

    void ICollection<ServiceMapping>.CopyTo(ServiceMapping[] array, int arrayIndex) => Current.Values.ToList().CopyTo(array, arrayIndex);

    bool ICollection<ServiceMapping>.Remove(ServiceMapping item) => Current.ContainsValue(item)
        && ImmutableInterlocked.Update(ref _services, static (services, removed) => services.Remove(removed), item.Name);
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
