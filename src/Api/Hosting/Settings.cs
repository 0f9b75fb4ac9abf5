using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Reflection;
using RouteService.Api.Greetings;
using RouteService.Api.Security;
using RouteService.Domain.Chat;
using RouteService.Infrastructure.Postgis;
using RouteService.Infrastructure.Sqlite;

namespace RouteService.Api.Hosting;

/// <summary>Everything that can be set, a property a section under "RouteService". A default is where its option is declared.</summary>
internal sealed record Settings
{
    private const string Root = "RouteService";

    public GrpcOptions Grpc { get; private init; } = new();

    public ManagementOptions Management { get; private init; } = new();

    public SqliteOptions Sqlite { get; private init; } = new();

    public PostgresOptions Postgres { get; private init; } = new();

    public ChatOptions Chat { get; private init; } = new();

    public GreetingOptions Greetings { get; private init; } = new();

    public AuthOptions Auth { get; private init; } = new();

    public LimitOptions Limits { get; private init; } = new();

    public ShutdownOptions Shutdown { get; private init; } = new();

    /// <summary>Where PostGIS is, in Npgsql's form; null for the embedded store. It is .NET's ConnectionStrings:RouteService, so that what sets such can.</summary>
    public string? ConnectionString { get; private set; }

    private static IEnumerable<PropertyInfo> Sections => typeof(Settings).GetProperties().Where(static property => IsSection(property.PropertyType));

    /// <summary>Reads all of them.</summary>
    /// <exception cref="SettingException">A key is not known, or a value is not of its kind or out of its range; names the key.</exception>
    public static Settings Read(IConfiguration configuration)
    {
        var settings = new Settings { ConnectionString = configuration.GetConnectionString("RouteService") };
        var root = configuration.GetSection(Root);
        CheckKeys(root, Sections);
        foreach (var property in Sections)
        {
            var section = root.GetSection(property.Name);
            CheckSection(section, property.PropertyType);
            var options = section.Get(property.PropertyType) ?? property.GetValue(settings)!;
            CheckRanges(section, options);
            property.SetValue(settings, options);
        }

        return settings;
    }

    /// <summary>The name of a key as an environment variable, the form that most people set.</summary>
    public static string Variable(string path) => path.Replace(":", "__", StringComparison.Ordinal);

    private static void CheckSection(IConfigurationSection section, Type options)
    {
        CheckKeys(section, options.GetProperties());
        CheckValues(section, options);
        foreach (var property in options.GetProperties().Where(static property => IsSection(property.PropertyType)))
        {
            CheckSection(section.GetSection(property.Name), property.PropertyType);
        }
    }

    /// <summary>Whether a property has settings of its own rather than a value.</summary>
    private static bool IsSection(Type type) => type.IsClass && type != typeof(string);

    private static void CheckKeys(IConfigurationSection section, IEnumerable<PropertyInfo> options)
    {
        var known = options.Select(static property => property.Name).ToList();
        foreach (var child in section.GetChildren())
        {
            if (!known.Contains(child.Key, StringComparer.OrdinalIgnoreCase))
            {
                throw new SettingException($"{Variable(child.Path)} is not a setting. Under {Variable(section.Path)} there are: {string.Join(", ", known)}.");
            }
        }
    }

    private static void CheckValues(IConfigurationSection section, Type options)
    {
        foreach (var property in options.GetProperties())
        {
            var type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            if (section[property.Name] is { } value && type != typeof(string) && !IsSection(type) && !TypeDescriptor.GetConverter(type).IsValid(value))
            {
                throw new SettingException($"{Variable(section.Path)}__{property.Name} is '{value}'; {Wanted(property, type)}.");
            }
        }
    }

    private static void CheckRanges(IConfigurationSection section, object options)
    {
        foreach (var property in options.GetType().GetProperties())
        {
            var value = property.GetValue(options);
            if (IsSection(property.PropertyType) && value is not null)
            {
                CheckRanges(section.GetSection(property.Name), value);
            }
            else if (property.GetCustomAttributes<ValidationAttribute>().Any(attribute => !attribute.IsValid(value)))
            {
                throw new SettingException($"{Variable(section.Path)}__{property.Name} is '{value}'; {Wanted(property, property.PropertyType)}.");
            }
        }
    }

    private static string Wanted(PropertyInfo property, Type type) => (property.GetCustomAttribute<RangeAttribute>(), type) switch
    {
        ({ } range, var time) when time == typeof(TimeSpan) => $"a time from {range.Minimum} to {range.Maximum} is wanted (d.hh:mm:ss)",
        ({ } range, _) => $"a whole number from {range.Minimum} to {range.Maximum} is wanted",
        (_, var text) when text == typeof(string) => "a value is wanted",
        (_, var boolean) when boolean == typeof(bool) => "true or false is wanted",
        _ => $"a value of the kind {type.Name} is wanted",
    };
}

/// <summary>The service cannot start as it is set up. The message is for the person who starts it, one line.</summary>
internal sealed class SettingException(string message) : Exception(message);

/// <summary>Where gRPC is served.</summary>
internal sealed class GrpcOptions
{
    /// <summary>The port; 0 for any that is free, which the start-up lines then tell.</summary>
    [Range(0, 65535)]
    public int Port { get; init; } = 50051;

    /// <summary>What a connection may take and how long it lives.</summary>
    public GrpcConnectionOptions Connection { get; init; } = new();

    /// <summary>The longest request message, in bytes.</summary>
    [Range(1, int.MaxValue)]
    public int MaxReceiveMessageSize { get; init; } = 4 * 1024 * 1024;

    /// <summary>A certificate in PEM or PFX, for TLS; without one the port is h2c.</summary>
    public string? CertificatePath { get; init; }

    /// <summary>The certificate's key in PEM, where it is in a file of its own.</summary>
    public string? CertificateKeyPath { get; init; }

    /// <summary>The password of a PFX.</summary>
    public string? CertificatePassword { get; init; }

    /// <summary>The authorities of clients' certificates, in PEM: with them, only who has one of theirs can connect (mutual TLS).</summary>
    public string? ClientCaPath { get; init; }
}

/// <summary>Where health, and metrics for Prometheus, are served over HTTP/1.1.</summary>
internal sealed class ManagementOptions
{
    /// <summary>The port; 0 for any that is free.</summary>
    [Range(0, 65535)]
    public int Port { get; init; } = 8081;

    /// <summary>Whether Prometheus can scrape /metrics there.</summary>
    public bool Prometheus { get; init; }
}
