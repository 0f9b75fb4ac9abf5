namespace RouteService.Api.Security;

/// <summary>Who may call. Off by default, which the start-up lines say; on by one switch, with at least one way to tell callers apart.</summary>
internal sealed class AuthOptions
{
    /// <summary>Whether every call must come with a bearer token or an API key.</summary>
    public bool Enabled { get; init; }

    /// <summary>The file of API keys: <see cref="ApiKeyFile"/> has its form.</summary>
    public string? ApiKeysPath { get; init; }

    /// <summary>The bearer tokens that are accepted.</summary>
    public JwtOptions Jwt { get; init; } = new();

    /// <summary>Whether health is answered without credentials, as most probes ask for it.</summary>
    public bool AnonymousHealth { get; init; } = true;

    /// <summary>Whether reflection is answered without credentials.</summary>
    public bool AnonymousReflection { get; init; }
}

/// <summary>Bearer tokens: JWTs (RFC 7519) of one issuer, for one audience, signed by a key of a JWKS file or by one symmetric key.</summary>
internal sealed class JwtOptions
{
    /// <summary>The issuer, the claim "iss".</summary>
    public string? Issuer { get; init; }

    /// <summary>The audience, the claim "aud".</summary>
    public string Audience { get; init; } = "route-service";

    /// <summary>The issuer's public keys, a JSON Web Key Set (RFC 7517), for RS, PS and ES signatures.</summary>
    public string? JwksPath { get; init; }

    /// <summary>A file with one symmetric key of 32 bytes or more, for HS signatures.</summary>
    public string? KeyPath { get; init; }
}
