using System.Collections.ObjectModel;

namespace Grpc.AspNetCore.HealthChecks;

/// <summary>Which .NET health checks stand behind which gRPC service name.</summary>
internal sealed class GrpcHealthChecksOptions
{
    /// <summary>The names that the health service knows. The empty one, the server as a whole, is there from the start and has all checks.</summary>
    public ServiceMappingCollection Services { get; } = [];
}

internal sealed class ServiceMappingCollection : KeyedCollection<string, ServiceMapping>
{
    /// <summary>Maps a service, anew where it was mapped before.</summary>
    /// <param name="name">Its full name, such as "helloworld.Greeter".</param>
    /// <param name="predicate">Picks the checks that must not be unhealthy.</param>
    public void Map(string name, Func<HealthCheckMapContext, bool> predicate)
    {
        Remove(name);
        Add(new ServiceMapping(name, predicate));
    }

    protected override string GetKeyForItem(ServiceMapping item) => item.Name;
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
