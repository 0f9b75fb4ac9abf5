using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.DependencyInjection;

namespace RouteService.Client;

/// <summary>
/// Continues the registration of a client: interceptors, handlers and credentials from the container. Each is created once, with the
/// client.
/// </summary>
public interface IRouteServiceClientBuilder
{
    /// <summary>Name of the client; empty for the one without a name. Its options have the same name.</summary>
    string Name { get; }

    /// <summary>Services that the client is registered with.</summary>
    IServiceCollection Services { get; }

    /// <summary>
    /// Adds an interceptor around every attempt of a call: a retry passes through it again. The first added is the outermost.
    /// </summary>
    /// <param name="create">Creates the interceptor.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="create"/> is null.</exception>
    IRouteServiceClientBuilder AddInterceptor(Func<IServiceProvider, Interceptor> create);

    /// <summary>
    /// Adds an HTTP handler around the client's own. The first added is the outermost. The handlers are around that of
    /// <see cref="RouteServiceClientOptions.ConfigureHandler"/>.
    /// </summary>
    /// <param name="create">Creates the handler, without an inner handler. The client disposes of it.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="create"/> is null.</exception>
    IRouteServiceClientBuilder AddHttpMessageHandler(Func<IServiceProvider, DelegatingHandler> create);

    /// <summary>
    /// Adds credentials to every attempt of a call, in addition to <see cref="RouteServiceClientOptions.BearerToken"/>. Without TLS the
    /// client is not created, unless <see cref="RouteServiceClientOptions.SendTokenWithoutTls"/> is set.
    /// </summary>
    /// <param name="create">Creates the credentials, for example by <see cref="CallCredentials.FromInterceptor"/>.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="create"/> is null.</exception>
    IRouteServiceClientBuilder AddCallCredentials(Func<IServiceProvider, CallCredentials> create);
}
