using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
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
    public static IServiceCollection AddRouteServiceClient(
        this IServiceCollection services,
        IConfiguration? configuration = null,
        Action<RouteServiceClientOptions, IServiceProvider>? configure = null)
    {
        AddOptions(services, Options.Options.DefaultName, configuration, configure);
        services.TryAddSingleton(static provider => Create(provider, Options.Options.DefaultName));
        services.TryAddSingleton<IRouteServiceClient>(static provider => provider.GetRequiredService<RouteServiceClient>());
        return services;
    }

    /// <summary>
    /// Registers another client, under a name: inject it as <c>[FromKeyedServices(NAME)] IRouteServiceClient</c>. Otherwise like
    /// <see cref="AddRouteServiceClient(IServiceCollection, IConfiguration?, Action{RouteServiceClientOptions, IServiceProvider}?)"/>.
    /// </summary>
    /// <exception cref="ArgumentException">The name is null or empty.</exception>
    public static IServiceCollection AddRouteServiceClient(
        this IServiceCollection services,
        string name,
        IConfiguration? configuration = null,
        Action<RouteServiceClientOptions, IServiceProvider>? configure = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        AddOptions(services, name, configuration, configure);
        services.TryAddKeyedSingleton(name, static (provider, key) => Create(provider, (string)key!));
        services.TryAddKeyedSingleton<IRouteServiceClient>(
            name, static (provider, key) => provider.GetRequiredKeyedService<RouteServiceClient>(key));
        return services;
    }

    private static void AddOptions(
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
    }

    private static RouteServiceClient Create(IServiceProvider provider, string name) =>
        new(provider.GetRequiredService<IOptionsMonitor<RouteServiceClientOptions>>().Get(name));

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
