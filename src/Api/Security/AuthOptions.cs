using System.ComponentModel.DataAnnotations;

namespace RouteService.Api.Security;

/// <summary>Authentication of callers. Off by default; the start-up lines say so.</summary>
internal sealed class AuthOptions
{
    /// <summary>Whether every call requires a bearer token or an API key.</summary>
    public bool Enabled { get; init; }

    /// <summary>File of API keys; <see cref="ApiKeyFile"/> describes its form.</summary>
    public string? ApiKeysPath { get; init; }

    /// <summary>The bearer tokens that are accepted.</summary>
    public JwtOptions Jwt { get; init; } = new();

    /// <summary>Whether gRPC health is answered without credentials, which most probes cannot send.</summary>
    public bool AnonymousHealth { get; init; } = true;

    /// <summary>Whether reflection is answered without credentials.</summary>
    public bool AnonymousReflection { get; init; }
}

/// <summary>Bearer tokens: JWTs (RFC 7519) of one issuer, for one audience. Their keys may come from several of these sources.</summary>
internal sealed class JwtOptions
{
    /// <summary>Expected claim "iss". With <see cref="Authority"/> it defaults to the issuer of the discovery document.</summary>
    public string? Issuer { get; init; }

    /// <summary>Expected claim "aud".</summary>
    [Required]
    public string Audience { get; init; } = "route-service";

    /// <summary>URL of the issuer, whose discovery document (OpenID Connect Discovery 1.0) leads to its keys.</summary>
    public string? Authority { get; init; }

    /// <summary>URL of the issuer's JSON Web Key Set (RFC 7517), for issuers without a discovery document.</summary>
    public string? JwksUrl { get; init; }

    /// <summary>Whether the two URLs must be https. A loopback address may always be http.</summary>
    public bool RequireHttps { get; init; } = true;

    /// <summary>File with the issuer's JSON Web Key Set.</summary>
    public string? JwksPath { get; init; }

    /// <summary>File with one symmetric key of 32 bytes or more, for HS signatures.</summary>
    public string? KeyPath { get; init; }
}
