using System.Collections.Immutable;
using System.Security.Claims;

namespace RouteService.Api.Security;

/// <summary>
/// The permissions of callers. A scope's name is also the name of the policy that requires it, which stands at each method. Every client
/// has all of them until RouteService__Auth__Enabled. Tokens list scopes in the claim "scope" (RFC 8693) or "scp", and the file of API keys
/// lists them for each key.
/// </summary>
internal static class Scope
{
    /// <summary>GetFeature, ListFeatures, and the reads of routeservice.v1.Features.</summary>
    public const string Read = "routes.read";

    /// <summary>RecordRoute.</summary>
    public const string Write = "routes.write";

    /// <summary>RouteChat.</summary>
    public const string Chat = "routes.chat";

    /// <summary>The writes of routeservice.v1.Features.</summary>
    public const string WriteFeatures = "features.write";

    /// <summary>The type of the claims of an authenticated caller, one for each scope.</summary>
    public const string Claim = "scope";

    public static ImmutableArray<string> All { get; } = [Read, Write, Chat, WriteFeatures];

    /// <summary>The identity of an authenticated caller, whatever its credentials.</summary>
    public static ClaimsIdentity Identify(string name, IEnumerable<string> scopes, string authenticationType) => new(
        [new Claim(ClaimTypes.Name, name), .. scopes.Select(static scope => new Claim(Claim, scope))], authenticationType);
}
