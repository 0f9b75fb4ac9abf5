namespace RouteService.Client;

/// <summary>A field of a request that the service rejected.</summary>
/// <param name="Field">Path of the field in the contract, such as <c>lo.latitude</c>; empty for the request as a whole.</param>
/// <param name="Description">Description of the fault and of the expected value.</param>
public sealed record FieldViolation(string Field, string Description);
