using System.ComponentModel.DataAnnotations;

namespace RouteService.Api.Greetings;

/// <summary>Limits of the greeters.</summary>
internal sealed class GreetingOptions
{
    /// <summary>Limit of the names in the reply of LotsOfGreetings, in characters.</summary>
    [Range(1, 1_000_000)]
    public int MaxReplyLength { get; init; } = 1_000_000;
}
