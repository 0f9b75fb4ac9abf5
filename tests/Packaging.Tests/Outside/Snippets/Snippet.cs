using Grpc.Core.Interceptors;

namespace Snippets;

/// <summary>What the snippets take for given.</summary>
public abstract class Snippet
{
#pragma warning disable IDE1006 // They are the snippets' names.
    protected static string[] args { get; } = [];

    protected static IServiceCollection services { get; } = new ServiceCollection();

    protected static RouteServiceClient client { get; } = new(Environment.GetEnvironmentVariable("ROUTE_SERVICE")!);
#pragma warning restore IDE1006
}

/// <summary>An interceptor of the application.</summary>
public sealed class CallCounter : Interceptor;
