using System.ComponentModel.DataAnnotations;

namespace RouteService.Api.Security;

/// <summary>What one client may take. The limits of a connection are ConnectionOptions, those of the chat ChatOptions.</summary>
internal sealed class LimitOptions
{
    /// <summary>The calls that one client may begin in a second, in the long run; 0 for any number. A client is a caller, or an address where there are none.</summary>
    [Range(0, 10_000_000)]
    public int CallsPerSecond { get; init; }

    /// <summary>The calls that one client may begin at once after a rest; 0 for as many as in a second.</summary>
    [Range(0, 10_000_000)]
    public int CallBurst { get; init; }

    /// <summary>The points of one route; 0 for any number.</summary>
    [Range(0, int.MaxValue)]
    public int MaxRoutePoints { get; init; } = 10_000_000;
}
