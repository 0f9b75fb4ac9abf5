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

/// <summary>The services by name; may be added to while they are served.</summary>
internal sealed class ServiceMappingCollection : IEnumerable<ServiceMapping>
{
    private ImmutableSortedDictionary<string, ServiceMapping> _services = ImmutableSortedDictionary.Create<string, ServiceMapping>(StringComparer.Ordinal);

    public int Count => Volatile.Read(ref _services).Count;

    /// <summary>Maps a service, anew where it was mapped before.</summary>
    /// <param name="name">Its full name, such as "helloworld.Greeter".</param>
    /// <param name="predicate">Picks the checks that must not be unhealthy.</param>
    public void Map(string name, Func<HealthCheckMapContext, bool> predicate) =>
        ImmutableInterlocked.Update(ref _services, static (services, added) => services.SetItem(added.Name, added), new ServiceMapping(name, predicate));

    public IEnumerator<ServiceMapping> GetEnumerator() => Volatile.Read(ref _services).Values.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    internal bool TryGetValue(string name, [MaybeNullWhen(false)] out ServiceMapping service) => Volatile.Read(ref _services).TryGetValue(name, out service);
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
