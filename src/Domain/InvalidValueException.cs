namespace RouteService.Domain;

/// <summary>A caller's value is invalid; the same value fails again. The message may be sent to the caller.</summary>
/// <param name="place">
/// Path within the value, such as <c>rings[1].points[17]</c> or <c>a.b[3]</c>; empty for the value itself.
/// </param>
/// <param name="message">The fault and what is expected.</param>
public sealed class InvalidValueException(string place, string message) : Exception(message)
{
    public string Place { get; } = place;
}
