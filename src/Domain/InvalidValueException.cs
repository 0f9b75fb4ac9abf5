namespace RouteService.Domain;

/// <summary>A value of a caller is not valid; the same value fails again. The message is fit for the caller.</summary>
/// <param name="place">
/// Where in the value: a path such as <c>rings[1].points[17]</c> or <c>a.b[3]</c>; empty where it is the value itself.
/// </param>
/// <param name="message">What is wrong and what is expected.</param>
public sealed class InvalidValueException(string place, string message) : Exception(message)
{
    public string Place { get; } = place;
}
