namespace RouteService.Api.Errors;

/// <summary>Settings and arguments without their secrets, for logs and messages.</summary>
internal static class Redacted
{
    /// <summary>A URL, or text in place of one, without the user name and password before its host.</summary>
    public static string Url(string url)
    {
        var start = url.IndexOf("//", StringComparison.Ordinal) is var slashes and >= 0 ? slashes + 2 : 0;
        var host = url[start..].Split('/', '?', '#')[0];
        return url.Remove(start, host.LastIndexOf('@') + 1);
    }

    /// <summary>An argument of the command line without its value.</summary>
    public static string Argument(string argument) => argument.Split('=') is [var key, _, ..] ? $"{key}=…" : argument;
}
