namespace RouteService.Client;

/// <summary>What the service finds wrong with a field of a request.</summary>
/// <param name="Field">The field as the contract has it, such as <c>lo.latitude</c>; empty for the request as a whole.</param>
/// <param name="Description">What is wrong, and what would be right.</param>
public sealed record FieldViolation(string Field, string Description);
