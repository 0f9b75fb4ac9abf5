using System.Diagnostics.CodeAnalysis;

namespace RouteService.Client;

/// <summary>
/// Blocking forms of the unary calls, for code that cannot await. Each blocks its thread until the call ends, and throws what the call
/// throws. None needs the thread's <see cref="SynchronizationContext"/>, so they are safe to call where there is one.
/// </summary>
[SuppressMessage("Usage", "VSTHRD002", Justification = "Blocking is the purpose; the client needs no thread of the caller's.")]
[SuppressMessage("Usage", "MA0045", Justification = "Blocking is the purpose.")]
public static class RouteServiceClientExtensions
{
    /// <inheritdoc cref="IRouteServiceClient.GetFeatureAsync"/>
    public static Feature? GetFeature(
        this IRouteServiceClient client, Coordinate location, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
        Wait(client, client => client.GetFeatureAsync(location, timeout, cancellationToken));

    /// <inheritdoc cref="IRouteServiceClient.SayHelloAsync"/>
    public static string SayHello(
        this IRouteServiceClient client, string name, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
        Wait(client, client => client.SayHelloAsync(name, timeout, cancellationToken));

    /// <inheritdoc cref="IRouteServiceClient.SayHelloAgainAsync"/>
    public static string SayHelloAgain(
        this IRouteServiceClient client, string name, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
        Wait(client, client => client.SayHelloAgainAsync(name, timeout, cancellationToken));

    /// <inheritdoc cref="IRouteServiceClient.CheckHealthAsync"/>
    public static ServiceHealth CheckHealth(
        this IRouteServiceClient client, string service = "", TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
        Wait(client, client => client.CheckHealthAsync(service, timeout, cancellationToken));

    private static T Wait<T>(IRouteServiceClient client, Func<IRouteServiceClient, Task<T>> call)
    {
        ArgumentNullException.ThrowIfNull(client);

        // A callback of the application, such as BearerToken, would resume on the caller's context (a UI's), whose thread blocks here: a
        // deadlock.
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
