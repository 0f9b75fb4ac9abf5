namespace RouteService.Client;

/// <summary>A field of a request that the service rejected.</summary>
/// <param name="Field">Path of the field in the contract, such as <c>lo.latitude</c>; empty for the request as a whole.</param>
/// <param name="Description">What is wrong, and what is expected.</param>
public sealed record FieldViolation(string Field, string Description);
