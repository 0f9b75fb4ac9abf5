namespace RouteService.Api.Calls;

/// <summary>The request is wrong, and cannot be right as it stands.</summary>
/// <param name="path">The path of the field, such as "lo.latitude".</param>
/// <param name="description">What is wrong and what would be right, as a sentence that names the field.</param>
internal sealed class InvalidRequestException(string path, string description) : Exception(description)
{
    public string Field { get; } = path;
}
