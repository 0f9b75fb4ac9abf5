using System.Diagnostics.CodeAnalysis;

namespace RouteService.Client;

/// <summary>
/// The unary calls for code that cannot await. Each blocks its thread until the call is over, and throws what the call throws. None needs the thread's
/// <see cref="SynchronizationContext"/>, so they may be called where there is one.
/// </summary>
[SuppressMessage("Usage", "VSTHRD002", Justification = "To block is what the caller asks for; the client needs no thread of the caller's.")]
[SuppressMessage("Usage", "MA0045", Justification = "To block is what the caller asks for.")]
public static class RouteServiceClientExtensions
{
    /// <inheritdoc cref="IRouteServiceClient.GetFeatureAsync"/>
    public static Feature? GetFeature(this IRouteServiceClient client, Coordinate location, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
        Wait(client, client => client.GetFeatureAsync(location, timeout, cancellationToken));

    /// <inheritdoc cref="IRouteServiceClient.SayHelloAsync"/>
    public static string SayHello(this IRouteServiceClient client, string name, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
        Wait(client, client => client.SayHelloAsync(name, timeout, cancellationToken));

    /// <inheritdoc cref="IRouteServiceClient.SayHelloAgainAsync"/>
    public static string SayHelloAgain(this IRouteServiceClient client, string name, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
        Wait(client, client => client.SayHelloAgainAsync(name, timeout, cancellationToken));

    /// <inheritdoc cref="IRouteServiceClient.CheckHealthAsync"/>
    public static ServiceHealth CheckHealth(this IRouteServiceClient client, string service = "", TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
        Wait(client, client => client.CheckHealthAsync(service, timeout, cancellationToken));

    private static T Wait<T>(IRouteServiceClient client, Func<IRouteServiceClient, Task<T>> call)
    {
        ArgumentNullException.ThrowIfNull(client);

        // A callback of the user's, such as for a token, would otherwise go on in the context (a UI's) that waits here, and so never.
        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            return call(client).GetAwaiter().GetResult();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }
}
