using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>
/// Where the instance of a service comes from. What is registered as a singleton is looked up once, so that its calls need no
/// request scope; anything else comes from the request's scope or is made for the call.
/// </summary>
internal sealed class Activation(IServiceCollection registrations)
{
    public Activator<T> For<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] T>(IServiceProvider root)
        where T : class
    {
        var registration = registrations.LastOrDefault(static service => service.ServiceType == typeof(T) && !service.IsKeyedService);
        if (registration is { Lifetime: ServiceLifetime.Singleton })
        {
            var singleton = new Lazy<T>(root.GetRequiredService<T>);
            return new Activator<T>(_ => singleton.Value, owned: false);
        }

        if (registration is not null)
        {
            return new Activator<T>(static http => http.RequestServices.GetRequiredService<T>(), owned: false);
        }

        var factory = ActivatorUtilities.CreateFactory<T>([]);
        return new Activator<T>(http => factory(http.RequestServices, []), owned: true);
    }
}

/// <summary>Gives the instance for a call.</summary>
internal sealed class Activator<T>(Func<HttpContext, T> get, bool owned)
    where T : class
{
    /// <summary>Runs a call on its instance. One that was made for the call is disposed of after it; others are the container's.</summary>
    public Task UseAsync<TCall>(TCall call, Func<TCall, T, Task> run)
        where TCall : IHttpServerCall
    {
        var instance = get(call.Http);
        return owned ? UseAndDisposeAsync(call, instance, run) : run(call, instance);
    }

    private static async Task UseAndDisposeAsync<TCall>(TCall call, T instance, Func<TCall, T, Task> run)
    {
        try
        {
            await run(call, instance);
        }
        finally
        {
            switch (instance)
            {
                case IAsyncDisposable disposable:
                    await disposable.DisposeAsync();
                    break;
                case IDisposable disposable:
                    disposable.Dispose();
                    break;
            }
        }
    }
}
