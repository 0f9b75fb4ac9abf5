using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Reflection;
using Microsoft.Extensions.Options;
using RouteService.Api.Errors;
using RouteService.Api.Greetings;
using RouteService.Api.Security;
using RouteService.Domain.Chat;
using RouteService.Domain.Watch;
using RouteService.Infrastructure;
using RouteService.Infrastructure.Postgis;
using RouteService.Infrastructure.Sqlite;

namespace RouteService.Api.Hosting;

/// <summary>
/// The sections under "RouteService" and their options, whose declarations have the defaults. The host validates all of them before
/// anything starts; an unknown key or an invalid value ends the start with one line that names the environment variable.
/// </summary>
internal static class Settings
{
    private const string Root = "RouteService";

    /// <summary>The sections by name, each with the type that has its keys and defaults.</summary>
    public static IReadOnlyDictionary<string, Type> Sections { get; } = new Dictionary<string, Type>(StringComparer.OrdinalIgnoreCase)
    {
        ["Grpc"] = typeof(GrpcOptions),
        ["Management"] = typeof(ManagementOptions),
        ["Sqlite"] = typeof(SqliteOptions),
        ["Postgres"] = typeof(PostgresOptions),
        ["Chat"] = typeof(ChatOptions),
        ["Watch"] = typeof(WatchOptions),
        ["Greetings"] = typeof(GreetingOptions),
        ["Auth"] = typeof(AuthOptions),
        ["Limits"] = typeof(LimitOptions),
        ["Shutdown"] = typeof(ShutdownOptions),
    };

    /// <summary>Checks the files that the host reads settings from, before it does: a pipe would wait for its other end.</summary>
    /// <param name="arguments">The host's; they may name the folder and the environment.</param>
    /// <exception cref="SettingException">There is such a file, and it is no regular one, or empty.</exception>
    public static void CheckFiles(string[] arguments)
    {
        // In the host's own order.
        var host = new ConfigurationBuilder()
            .AddEnvironmentVariables("ASPNETCORE_")
            .AddEnvironmentVariables("DOTNET_")
            .AddCommandLine(arguments)
            .Build();
        var folder = host[HostDefaults.ContentRootKey] ?? Directory.GetCurrentDirectory();
        var environment = host[HostDefaults.EnvironmentKey] ?? Environments.Production;
        foreach (var name in (string[])["appsettings.json", $"appsettings.{environment}.json"])
        {
            var path = Path.Combine(folder, name);
            if (Path.Exists(path) && !RegularFile.HasContent(path))
            {
                throw new SettingException(
                    $"The file of settings '{path}' is empty, or no regular file; expected an object of JSON, or no file.");
            }
        }
    }

    /// <exception cref="SettingException">A log level is invalid, or Kestrel's own section is set.</exception>
    public static void AddSettings(this WebApplicationBuilder builder)
    {
        RefuseKestrel(builder.Configuration.GetSection("Kestrel"));
        CheckLogLevels(builder.Configuration.GetSection("Logging"));
        var services = builder.Services;
        services.AddSection<GrpcOptions>();
        services.AddSection<ManagementOptions>();
        services.AddSection<SqliteOptions>();
        services.AddSection<PostgresOptions>();
        services.AddSection<ChatOptions>();
        services.AddSection<WatchOptions>();
        services.AddSection<GreetingOptions>();
        services.AddSection<AuthOptions>();
        services.AddSection<LimitOptions>();
        services.AddSection<ShutdownOptions>();
        services.AddOptions<SectionNames>()
            .Configure<IConfiguration>(static (_, configuration) => RefuseUnknown(configuration.GetSection(Root), Sections.Keys))
            .ValidateOnStart();
    }

    /// <summary>The options of a section, for a part whose composition depends on them.</summary>
    /// <exception cref="SettingException">A key is unknown or a value is invalid.</exception>
    public static T Read<T>(IConfiguration configuration)
        where T : class, new()
    {
        var options = new T();
        Bind(configuration, options);
        return new SectionRules<T>().Validate(null, options) is { Failed: true } result
            ? throw new SettingException(result.FailureMessage)
            : options;
    }

    /// <summary>The name of a key as an environment variable, the form in which most people set it.</summary>
    public static string Variable(string path) => path.Replace(":", "__", StringComparison.Ordinal);

    // Kestrel reads a section of its own, which would open other ports without our limits, and whose certificates we do not use.
    private static void RefuseKestrel(IConfigurationSection section)
    {
        if (section.AsEnumerable().FirstOrDefault(static pair => pair.Value is not null) is { Key: { } key })
        {
            var own = Variable($"{Root}:Grpc:");
            throw new SettingException(
                $"{Variable(key)} is not a setting. The ports are {own}Port and {Variable($"{Root}:Management:Port")}, "
                + $"the certificate is {own}CertificatePath.");
        }
    }

    // The log is built before the host validates options, and its own message names no key.
    private static void CheckLogLevels(IConfigurationSection section)
    {
        foreach (var child in section.GetChildren())
        {
            if (string.Equals(section.Key, "LogLevel", StringComparison.OrdinalIgnoreCase)
                && !string.IsNullOrEmpty(child.Value)
                && !Enum.TryParse<LogLevel>(child.Value, ignoreCase: true, out _))
            {
                throw new SettingException(
                    $"{Variable(child.Path)} is '{child.Value}'; expected one of {string.Join(", ", Enum.GetNames<LogLevel>())}.");
            }

            CheckLogLevels(child);
        }
    }

    private static void AddSection<T>(this IServiceCollection services)
        where T : class
    {
        services.AddSingleton<IValidateOptions<T>, SectionRules<T>>();
        services.AddOptions<T>()
            .Configure<IConfiguration>(static (options, configuration) => Bind(configuration, options))
            .ValidateOnStart();
        services.AddSingleton(static provider => provider.GetRequiredService<IOptions<T>>().Value);
    }

    private static string PathOf<T>() => $"{Root}:{Sections.First(static section => section.Value == typeof(T)).Key}";

    private static void Bind<T>(IConfiguration configuration, T options)
        where T : class
    {
        var section = configuration.GetSection(PathOf<T>());
        try
        {
            section.Bind(options, static binder => binder.ErrorOnUnknownConfiguration = true);
        }
        catch (InvalidOperationException e)
        {
            // The binder's message names a CLR type; the operator has set a variable.
            RefuseUnfit(section, typeof(T));
            throw new SettingException($"{Variable(section.Path)}: {e.Message.ReplaceLineEndings(" ")}");
        }
    }

    private static void RefuseUnfit(IConfigurationSection section, Type options)
    {
        RefuseUnknown(section, options.GetProperties().Select(static property => property.Name));
        foreach (var property in options.GetProperties())
        {
            var type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            if (IsSection(type))
            {
                RefuseUnfit(section.GetSection(property.Name), type);
            }
            else if (section[property.Name] is { } value && !TypeDescriptor.GetConverter(type).IsValid(value))
            {
                throw new SettingException(Unfit($"{section.Path}:{property.Name}", value, property));
            }
            else if (!type.IsArray && section.GetSection(property.Name).GetChildren().FirstOrDefault() is { } child)
            {
                throw new SettingException($"{Variable(child.Path)} is not a setting; {Variable($"{section.Path}:{property.Name}")} is.");
            }
        }
    }

    private static void RefuseUnknown(IConfigurationSection section, IEnumerable<string> known)
    {
        if (section.GetChildren().FirstOrDefault(child => !known.Contains(child.Key, StringComparer.OrdinalIgnoreCase)) is { } unknown)
        {
            throw new SettingException(
                $"{Variable(unknown.Path)} is not a setting. Under {Variable(section.Path)} there are: {string.Join(", ", known)}.");
        }
    }

    /// <summary>Whether a property has settings of its own rather than a value.</summary>
    private static bool IsSection(Type type) => type.IsClass && type != typeof(string) && !type.IsArray;

    private static string Unfit(string path, object? value, PropertyInfo property)
    {
        var expected = (property.GetCustomAttribute<RangeAttribute>(), property.PropertyType) switch
        {
            ({ } range, var time) when time == typeof(TimeSpan) => $"a time from {range.Minimum} to {range.Maximum} (d.hh:mm:ss)",
            ({ } range, _) => $"an integer from {range.Minimum} to {range.Maximum}",
            (_, var text) when text == typeof(string) && $"{value}".Length > 0
                && property.GetCustomAttribute<RegularExpressionAttribute>() is { } form => form.ErrorMessage!,
            (_, var text) when text == typeof(string) => "a value",
            (_, var boolean) when boolean == typeof(bool) => "true or false",
            var (_, type) => $"a value of the type {type.Name}",
        };
        return $"{Variable(path)} is {InvalidRequestException.Quote($"{value}")}; expected {expected}.";
    }

    /// <summary>No options: binding it checks that all sections are known.</summary>
    private sealed class SectionNames;

    /// <summary>Validates the data annotations of a section and of the sections in it.</summary>
    private sealed class SectionRules<T> : IValidateOptions<T>
        where T : class
    {
        public ValidateOptionsResult Validate(string? name, T options) =>
            Failures(PathOf<T>(), options).FirstOrDefault() is { } failure
                ? ValidateOptionsResult.Fail(failure)
                : ValidateOptionsResult.Success;

        private static IEnumerable<string> Failures(string path, object options) => options.GetType().GetProperties().SelectMany(property =>
            (Path: $"{path}:{property.Name}", Value: property.GetValue(options)) switch
            {
                (var inner, { } value) when IsSection(property.PropertyType) => Failures(inner, value),
                var (inner, value) when property.GetCustomAttributes<ValidationAttribute>().Any(rule => !rule.IsValid(value)) =>
                    [Unfit(inner, value, property)],
                _ => [],
            });
    }
}
