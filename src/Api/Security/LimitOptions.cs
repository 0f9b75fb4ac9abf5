using System.ComponentModel.DataAnnotations;

namespace RouteService.Api.Security;

/// <summary>
/// Limits of one client: the authenticated caller, else the address (<see cref="ClientIdentityExtensions"/>). Connections are limited by
/// ConnectionOptions, the chat by ChatOptions.
/// </summary>
internal sealed class LimitOptions
{
    /// <summary>Calls that one client may start a second, on average; 0 for no limit.</summary>
    [Range(0, 10_000_000)]
    public int CallsPerSecond { get; init; }

    /// <summary>Calls that one client may start at once after a pause; 0 for as many as a second.</summary>
    [Range(0, 10_000_000)]
    public int CallBurst { get; init; }

    /// <summary>Limit of the points of one route; 0 for no limit.</summary>
    [Range(0, int.MaxValue)]
    public int MaxRoutePoints { get; init; } = 10_000_000;

    /// <summary>Proxies whose X-Forwarded-For names the client: addresses and networks (10.0.0.0/8), separated by commas.</summary>
    public string? TrustedProxies { get; init; }
}
