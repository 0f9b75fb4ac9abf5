using System.Reflection;

namespace RouteService.Api;

internal static class ServiceVersion
{
    /// <summary>The version of this program with its commit, such as 1.2.3+4f5e6d.</summary>
    public static string Text { get; } =
        typeof(ServiceVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";
}
