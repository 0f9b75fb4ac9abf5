using System.ComponentModel.DataAnnotations;

namespace RouteService.Api.Security;

/// <summary>
/// Limits of one client: the authenticated caller, else the address (<see cref="ClientIdentityExtensions"/>). Connections are limited by
/// ConnectionOptions, the chat by ChatOptions.
/// </summary>
internal sealed class LimitOptions
{
    /// <summary>Calls that one client may begin in a second, in the long run; 0 for no limit.</summary>
    [Range(0, 10_000_000)]
    public int CallsPerSecond { get; init; }

    /// <summary>Calls that one client may begin at once after a rest; 0 for as many as in a second.</summary>
    [Range(0, 10_000_000)]
    public int CallBurst { get; init; }

    /// <summary>Points of one route; 0 for no limit.</summary>
    [Range(0, int.MaxValue)]
    public int MaxRoutePoints { get; init; } = 10_000_000;

    /// <summary>Proxies whose X-Forwarded-For names the client: addresses and networks (10.0.0.0/8), separated by commas.</summary>
    public string? TrustedProxies { get; init; }
}
