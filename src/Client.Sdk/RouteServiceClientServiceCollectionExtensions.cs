using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RouteService.Client;

// The namespace in which registration methods are looked for.
namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers clients of RouteService.</summary>
public static class RouteServiceClientServiceCollectionExtensions
{
    /// <summary>
    /// Registers one client, a singleton, as <see cref="IRouteServiceClient"/> and <see cref="RouteServiceClient"/>. Its options are
    /// <see cref="RouteServiceClientOptions"/> of the options system, checked when the host starts.
    /// </summary>
    /// <param name="services">Services to register with.</param>
    /// <param name="configuration">
    /// Section with the options' names, such as <c>Address</c> and <c>Retry:MaxAttempts</c>; null for none.
    /// </param>
    /// <param name="configure">
    /// Sets options in code, after the configuration, such as <see cref="RouteServiceClientOptions.BearerToken"/>; null for none.
    /// </param>
    /// <returns>A builder that adds interceptors, handlers and credentials.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="services"/> is null.</exception>
    public static IRouteServiceClientBuilder AddRouteServiceClient(
        this IServiceCollection services,
        IConfiguration? configuration = null,
        Action<RouteServiceClientOptions, IServiceProvider>? configure = null)
    {
        var builder = AddOptions(services, Options.Options.DefaultName, configuration, configure);
        services.TryAddSingleton(static provider => Create(provider, Options.Options.DefaultName));
        services.TryAddSingleton<IRouteServiceClient>(static provider => provider.GetRequiredService<RouteServiceClient>());
        return builder;
    }

    /// <summary>
    /// Registers another client, under a name: inject it as <c>[FromKeyedServices(NAME)] IRouteServiceClient</c>. Otherwise like
    /// <see cref="AddRouteServiceClient(IServiceCollection, IConfiguration?, Action{RouteServiceClientOptions, IServiceProvider}?)"/>.
    /// </summary>
    /// <param name="services">Services to register with.</param>
    /// <param name="name">Name of the client.</param>
    /// <param name="configuration">Section with the options' names; null for none.</param>
    /// <param name="configure">Sets options in code, after the configuration; null for none.</param>
    /// <returns>A builder that adds interceptors, handlers and credentials.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="services"/> is null.</exception>
    /// <exception cref="ArgumentException"><paramref name="name"/> is null or empty.</exception>
    public static IRouteServiceClientBuilder AddRouteServiceClient(
        this IServiceCollection services,
        string name,
        IConfiguration? configuration = null,
        Action<RouteServiceClientOptions, IServiceProvider>? configure = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        var builder = AddOptions(services, name, configuration, configure);
        services.TryAddKeyedSingleton(name, static (provider, key) => Create(provider, (string)key!));
        services.TryAddKeyedSingleton<IRouteServiceClient>(
            name, static (provider, key) => provider.GetRequiredKeyedService<RouteServiceClient>(key));
        return builder;
    }

    private static Builder AddOptions(
        IServiceCollection services,
        string name,
        IConfiguration? configuration,
        Action<RouteServiceClientOptions, IServiceProvider>? configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        var options = services.AddOptions<RouteServiceClientOptions>(name);
        if (configuration is not null)
        {
            options.Bind(configuration);
        }

        if (configure is not null)
        {
            options.Configure(configure);
        }

        options.ValidateOnStart();
        services.AddSingleton<IValidateOptions<RouteServiceClientOptions>>(
            new Validation(name, (configuration as IConfigurationSection)?.Path));
        return new Builder(services, name);
    }

    private static RouteServiceClient Create(IServiceProvider provider, string name)
    {
        var options = provider.GetRequiredService<IOptionsMonitor<RouteServiceClientOptions>>().Get(name);
        var parts = provider.GetRequiredService<IOptionsMonitor<Parts>>().Get(name);
        CallCredentials[] credentials = [.. parts.Credentials.Select(create => create(provider))];
        return new RouteServiceClient(options with
        {
            LoggerFactory = options.LoggerFactory ?? provider.GetService<ILoggerFactory>(),
            Interceptors = [.. parts.Interceptors.Select(create => create(provider))],
            Handlers = [.. parts.Handlers.Select(create => create(provider))],
            Credentials = credentials switch
            {
                [] => null,
                [var one] => one,
                _ => CallCredentials.Compose(credentials),
            },
        });
    }

    /// <summary>The additions of a client's builder.</summary>
    private sealed class Parts
    {
        public List<Func<IServiceProvider, Interceptor>> Interceptors { get; } = [];

        public List<Func<IServiceProvider, DelegatingHandler>> Handlers { get; } = [];

        public List<Func<IServiceProvider, CallCredentials>> Credentials { get; } = [];
    }

    private sealed class Builder(IServiceCollection services, string name) : IRouteServiceClientBuilder
    {
        public string Name { get; } = name;

        public IServiceCollection Services { get; } = services;

        public IRouteServiceClientBuilder AddInterceptor(Func<IServiceProvider, Interceptor> create)
        {
            ArgumentNullException.ThrowIfNull(create);
            return Add(parts => parts.Interceptors.Add(create));
        }

        public IRouteServiceClientBuilder AddHttpMessageHandler(Func<IServiceProvider, DelegatingHandler> create)
        {
            ArgumentNullException.ThrowIfNull(create);
            return Add(parts => parts.Handlers.Add(create));
        }

        public IRouteServiceClientBuilder AddCallCredentials(Func<IServiceProvider, CallCredentials> create)
        {
            ArgumentNullException.ThrowIfNull(create);
            return Add(parts => parts.Credentials.Add(create));
        }

        private Builder Add(Action<Parts> add)
        {
            Services.Configure(Name, add);
            return this;
        }
    }

    /// <summary>Names the configuration key of an invalid option, if the options are from a section.</summary>
    private sealed class Validation(string client, string? section) : IValidateOptions<RouteServiceClientOptions>
    {
        public ValidateOptionsResult Validate(string? name, RouteServiceClientOptions options)
        {
            if (!string.Equals(name, client, StringComparison.Ordinal))
            {
                return ValidateOptionsResult.Skip;
            }

            try
            {
                options.Validate();
                return ValidateOptionsResult.Success;
            }
            catch (ArgumentException e)
            {
                var key = e.ParamName!.Replace(".", ConfigurationPath.KeyDelimiter, StringComparison.Ordinal);
                return ValidateOptionsResult.Fail(section is null ? e.Message : $"{ConfigurationPath.Combine(section, key)}: {e.Message}");
            }
        }
    }
}
