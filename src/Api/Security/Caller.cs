using System.Collections.Immutable;

namespace RouteService.Api.Security;

/// <summary>Somebody who may call, and what for.</summary>
/// <param name="Name">A token's "sub", or the name of an API key; limits and logs go by it.</param>
/// <param name="Scopes">What it may do.</param>
internal sealed record Caller(string Name, ImmutableHashSet<string> Scopes);

/// <summary>What a caller may do, as tokens (the claim "scope" of RFC 8693, or "scp") and the file of API keys write it.</summary>
internal static class Scope
{
    /// <summary>GetFeature and ListFeatures.</summary>
    public const string Read = "routes.read";

    /// <summary>RecordRoute.</summary>
    public const string Write = "routes.write";

    /// <summary>RouteChat.</summary>
    public const string Chat = "routes.chat";

    public static ImmutableArray<string> All { get; } = [Read, Write, Chat];
}
