using System.ComponentModel.DataAnnotations;

namespace RouteService.Api.Greetings;

/// <summary>The bounds of the greeters.</summary>
internal sealed class GreetingOptions
{
    /// <summary>The most that LotsOfGreetings gathers into its one reply, in characters.</summary>
    [Range(1, 1_000_000)]
    public int MaxReplyLength { get; init; } = 1_000_000;
}
