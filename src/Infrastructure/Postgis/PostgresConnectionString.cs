using System.Data.Common;
using System.Globalization;
using Npgsql;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Reads a connection string: Npgsql's keywords, or a URI as libpq reads it. Error messages never quote a part of it, because any part may
/// be a piece of a password that was not quoted.
/// </summary>
internal static class PostgresConnectionString
{
    private const string Quoting =
        "A value that contains ';' or '=', or begins or ends with a quote, must be in quotes: Password=\"a;b\".";

    private static readonly string[] Schemes = ["postgres://", "postgresql://"];

    // Parameters of libpq that have another name in Npgsql.
    private static readonly Dictionary<string, string> UriParameters = new(StringComparer.Ordinal)
    {
        ["user"] = "Username",
        ["dbname"] = "Database",
        ["connect_timeout"] = "Timeout",
        ["sslmode"] = "SSL Mode",
        ["sslnegotiation"] = "SSL Negotiation",
        ["sslrootcert"] = "Root Certificate",
        ["sslcert"] = "SSL Certificate",
        ["sslkey"] = "SSL Key",
        ["sslpassword"] = "SSL Password",
        ["gssencmode"] = "GSS Encryption Mode",
        ["krbsrvname"] = "Kerberos Service Name",
        ["target_session_attrs"] = "Target Session Attributes",
    };

    /// <summary>The settings of a connection string, over <see cref="PostgresOptions.ConnectionDefaults"/>.</summary>
    /// <exception cref="ConnectionStringException">The text cannot be used; the message quotes no part of it.</exception>
    public static NpgsqlConnectionStringBuilder Parse(string text)
    {
        var settings = PostgresOptions.ConnectionDefaults();
        var trimmed = text.Trim();
        if (Schemes.FirstOrDefault(scheme => trimmed.StartsWith(scheme, StringComparison.OrdinalIgnoreCase)) is { } scheme)
        {
            ApplyUri(settings, trimmed[scheme.Length..]);
        }
        else
        {
            ApplyKeywords(settings, trimmed);
        }

        Check(settings);
        return settings;
    }

    private static void Check(NpgsqlConnectionStringBuilder settings)
    {
        if (settings.Host is not { Length: > 0 } host)
        {
            throw new ConnectionStringException("Host is missing.");
        }

        // The host is logged, and a URI in its place may contain the password.
        if (host.Contains("://", StringComparison.Ordinal) || host.LastIndexOf('@') > 0)
        {
            throw new ConnectionStringException("Host is not a host name. A URI is the whole connection string: postgresql://…");
        }

        // These are logged, and with another separator than ';' the password is a part of one of them.
        foreach (var (keyword, value) in (List<(string, string?)>)
            [("Host", host), ("Database", settings.Database), ("Username", settings.Username)])
        {
            if (value?.Contains('=', StringComparison.Ordinal) is true)
            {
                throw new ConnectionStringException($"{keyword} contains '='. Expected ';' between KEYWORD=VALUE pairs.");
            }
        }

        if (settings.Multiplexing)
        {
            throw new ConnectionStringException(
                "Multiplexing=true is not supported: LISTEN, COPY and transactions need a connection of their own, and look-ups share "
                + "queries without it. Remove it.");
        }

        foreach (var (keyword, path) in (List<(string, string?)>)
            [
                ("Root Certificate", settings.RootCertificate), ("SSL Certificate", settings.SslCertificate),
                ("SSL Key", settings.SslKey), ("Passfile", settings.Passfile),
            ])
        {
            // One that is missing may yet come.
            if (Path.Exists(path) && !RegularFile.HasContent(path))
            {
                throw new ConnectionStringException($"{keyword} is empty, or no regular file; expected the path of a file.");
            }
        }

        if (settings.MinPoolSize > settings.MaxPoolSize)
        {
            throw new ConnectionStringException("Minimum Pool Size is greater than Maximum Pool Size.");
        }
    }

    private static void ApplyKeywords(NpgsqlConnectionStringBuilder settings, string text)
    {
        var pairs = Split(text) ?? throw new ConnectionStringException(
            $"Expected KEYWORD=VALUE pairs separated by ';', or a URI postgresql://USER:PASSWORD@HOST/DATABASE. {Quoting}");
        foreach (var (number, (keyword, value)) in pairs.Index())
        {
            if (!settings.ContainsKey(keyword))
            {
                throw new ConnectionStringException($"Its keyword number {number + 1} is not one of Npgsql's. {Quoting}");
            }

            Set(settings, keyword, value);
        }
    }

    /// <summary>The keywords and values of a connection string; null for another form.</summary>
    private static List<(string Keyword, string Value)>? Split(string text)
    {
        try
        {
            var pairs = new DbConnectionStringBuilder { ConnectionString = text };
            return [.. pairs.Keys.Cast<string>().Select(keyword => (keyword, (string)pairs[keyword]))];
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    private static void Set(NpgsqlConnectionStringBuilder settings, string keyword, string value)
    {
        if (!TrySet(settings, keyword, value))
        {
            throw new ConnectionStringException($"The value of {Canonical(keyword)} does not fit. {Quoting}");
        }
    }

    private static bool TrySet(NpgsqlConnectionStringBuilder settings, string keyword, string value)
    {
        try
        {
            settings[keyword] = value;
            return true;
        }
        catch (Exception e) when (
            e is ArgumentException or FormatException or OverflowException or InvalidCastException or NotSupportedException)
        {
            return false;
        }
    }

    /// <summary>A keyword as Npgsql spells it, so that the message quotes no part of the text.</summary>
    private static string Canonical(string keyword)
    {
        var spelled = new NpgsqlConnectionStringBuilder();
        return spelled.Keys.Cast<string>().FirstOrDefault(key => string.Equals(key, keyword, StringComparison.OrdinalIgnoreCase))
            ?? typeof(NpgsqlConnectionStringBuilder).GetProperties()
                .Select(static property => property.Name)
                .FirstOrDefault(name => string.Equals(
                    name, keyword.Replace(" ", "", StringComparison.Ordinal), StringComparison.OrdinalIgnoreCase))
            ?? "a keyword";
    }

    /// <summary>Reads <c>[USER[:PASSWORD]@][HOST[:PORT],…][/DATABASE][?PARAMETER=VALUE&amp;…]</c>.</summary>
    private static void ApplyUri(NpgsqlConnectionStringBuilder settings, string text)
    {
        var (beforeQuery, query) = Cut(text, text.IndexOf('?', StringComparison.Ordinal));
        var (authority, database) = Cut(beforeQuery, beforeQuery.IndexOf('/', StringComparison.Ordinal));
        if (database.Contains('@', StringComparison.Ordinal) || query.Contains('@', StringComparison.Ordinal))
        {
            throw new ConnectionStringException(
                "The URI has an '@' after its first '/' or '?'. In a user name or password write '/' as %2F, '?' as %3F and '@' as %40.");
        }

        var at = authority.LastIndexOf('@');
        var hosts = authority[(at + 1)..];
        if (at >= 0)
        {
            var (user, password) = Cut(authority[..at], authority[..at].IndexOf(':', StringComparison.Ordinal));
            Set(settings, "Username", Decode(user));
            if (password.Length > 0)
            {
                Set(settings, "Password", Decode(password));
            }
        }

        ApplyHosts(settings, hosts);
        if (database.Length > 0)
        {
            Set(settings, "Database", Decode(database));
        }

        foreach (var (number, parameter) in query.Split('&', StringSplitOptions.RemoveEmptyEntries).Index())
        {
            var (name, value) = Cut(parameter, parameter.IndexOf('=', StringComparison.Ordinal));
            ApplyParameter(settings, number + 1, Decode(name), Decode(value));
        }
    }

    private static void ApplyHosts(NpgsqlConnectionStringBuilder settings, string hosts)
    {
        var each = hosts.Split(',');
        if (each.Any(static host => PortOf(host) is { } port && !IsPort(port)))
        {
            throw new ConnectionStringException(
                "The URI's port is not a number from 1 to 65535. In a user name or password write ':' as %3A, '/' as %2F and '@' as %40.");
        }

        if (each is [var one])
        {
            var port = PortOf(one);
            var name = port is null ? one : one[..^(port.Length + 1)];
            if (name.Length > 0)
            {
                Set(settings, "Host", Decode(name.TrimStart('[').TrimEnd(']')));
            }

            if (port is not null)
            {
                Set(settings, "Port", port);
            }
        }
        else
        {
            Set(settings, "Host", string.Join(',', each.Select(Decode)));
        }
    }

    private static void ApplyParameter(NpgsqlConnectionStringBuilder settings, int number, string name, string value)
    {
        var keyword = UriParameters.GetValueOrDefault(name) ?? name.Replace('_', ' ');
        if (keyword is "load balance hosts" && value is "random" or "disable")
        {
            settings.LoadBalanceHosts = value is "random";
            return;
        }

        if (!settings.ContainsKey(keyword))
        {
            throw new ConnectionStringException(
                $"The URI's parameter number {number} is not known. Expected are libpq's, such as sslmode, and Npgsql's keywords.");
        }

        // libpq writes verify-full, and Npgsql VerifyFull.
        Set(settings, keyword, keyword is "SSL Mode" ? value.Replace("-", "", StringComparison.Ordinal) : value);
    }

    private static string? PortOf(string host) =>
        host.LastIndexOf(':') is >= 0 and var colon && colon > host.LastIndexOf(']') ? host[(colon + 1)..] : null;

    private static bool IsPort(string port) =>
        ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0;

    /// <summary>The text before and after a separator; without a separator, all of it is before.</summary>
    private static (string Before, string After) Cut(string text, int separator) =>
        separator < 0 ? (text, "") : (text[..separator], text[(separator + 1)..]);

    private static string Decode(string text) => Uri.UnescapeDataString(text);
}

/// <summary>The connection string cannot be used. The message is one line, and quotes no part of the string.</summary>
public sealed class ConnectionStringException(string message) : Exception(message);
