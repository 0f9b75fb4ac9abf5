namespace RouteService.Api.Errors;

/// <summary>Settings and arguments without their secrets, for logs and messages.</summary>
internal static class Redacted
{
    private const string Authority = "//";

    /// <summary>A URL, or text in place of one, without the user name and password before its host.</summary>
    public static string Url(string url)
    {
        var start = url.IndexOf(Authority, StringComparison.Ordinal) is var slashes and >= 0 ? slashes + Authority.Length : 0;
        return url[..start] + Host(url[start..]);
    }

    /// <summary>A message of the platform with its URLs so, such as that of a proxy.</summary>
    public static string Message(string message)
    {
        var parts = message.Split(Authority);
        return string.Join(Authority, parts.Take(1).Concat(parts.Skip(1).Select(Host)));
    }

    /// <summary>An argument of the command line without its value.</summary>
    public static string Argument(string argument) => argument.Split('=') is [var key, _, ..] ? $"{key}=…" : argument;

    private static string Host(string authority) => authority[(authority.Split('/', '?', '#')[0].LastIndexOf('@') + 1)..];
}
