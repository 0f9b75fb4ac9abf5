using System.Collections.Immutable;
using System.Security.Claims;

namespace RouteService.Api.Security;

/// <summary>
/// What a caller may do. A scope's name is also that of the policy that requires it. Scopes are listed in tokens (claim "scope" of RFC
/// 8693, or "scp") and in the file of API keys.
/// </summary>
internal static class Scope
{
    public const string Read = "routes.read";
    public const string Write = "routes.write";
    public const string Chat = "routes.chat";
    public const string WriteFeatures = "features.write";

    /// <summary>The type of the claims of an authenticated caller, one for each scope.</summary>
    public const string Claim = "scope";

    public static ImmutableArray<string> All { get; } = [Read, Write, Chat, WriteFeatures];

    /// <summary>The identity of an authenticated caller, whatever its credentials.</summary>
    public static ClaimsIdentity Identify(string name, IEnumerable<string> scopes, string authenticationType) => new(
        [new Claim(ClaimTypes.Name, name), .. scopes.Select(static scope => new Claim(Claim, scope))], authenticationType);
}
