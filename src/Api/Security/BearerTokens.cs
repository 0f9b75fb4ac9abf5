using System.Security.Claims;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace RouteService.Api.Security;

/// <summary>Tells callers by their JWT, as RFC 8725 advises: the issuer, the audience, the time and the algorithm are all checked, and none may be missing.</summary>
internal sealed class BearerTokens : IDisposable
{
    private const int MaxRemembered = 10_000;
    private const int MinKeyBytes = 32;

    // How long a token that was found good is not checked again: what a key that was withdrawn can still do.
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(30);
    private static readonly string[] PublicKeyAlgorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"];
    private static readonly string[] SymmetricAlgorithms = ["HS256", "HS384", "HS512"];

    private readonly JsonWebTokenHandler _handler = new();
    private readonly MemoryCache _good;
    private readonly JwtOptions _options;
    private readonly Func<IEnumerable<SecurityKey>> _keys;
    private readonly TimeProvider _clock;

    public BearerTokens(JwtOptions options, Func<IEnumerable<SecurityKey>> keys, TimeProvider clock)
    {
        _options = options;
        _keys = keys;
        _clock = clock;
        _good = new MemoryCache(new MemoryCacheOptions { SizeLimit = MaxRemembered });
    }

    /// <summary>Reads the public keys of a JWKS file.</summary>
    /// <exception cref="FormatException">It is none, or has no key for signatures.</exception>
    public static IReadOnlyList<SecurityKey> ReadJwks(string path)
    {
        var keys = new JsonWebKeySet(File.ReadAllText(path)).GetSigningKeys();

        // A symmetric key among the public ones would be known to everybody.
        return keys.Count > 0 && !keys.Any(static key => key is SymmetricSecurityKey or JsonWebKey { Kty: "oct" })
            ? [.. keys]
            : throw new FormatException("it is to be a JSON Web Key Set with public keys for signatures.");
    }

    /// <summary>Reads a symmetric key.</summary>
    /// <exception cref="FormatException">It is too short.</exception>
    public static IReadOnlyList<SecurityKey> ReadKey(string path)
    {
        var key = File.ReadAllBytes(path).AsSpan().TrimEnd("\r\n"u8).ToArray();
        return key.Length >= MinKeyBytes
            ? [new SymmetricSecurityKey(key)]
            : throw new FormatException($"it has {key.Length} bytes; a key has at least {MinKeyBytes}.");
    }

    /// <summary>Who sends this token.</summary>
    /// <returns>The caller, or why there is none.</returns>
    public async ValueTask<(Caller? Caller, string? Refusal)> AuthenticateAsync(string token)
    {
        if (_good.TryGetValue(token, out Caller? known))
        {
            return (known, null);
        }

        var result = await _handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            ValidIssuer = _options.Issuer,
            ValidAudience = _options.Audience,
            IssuerSigningKeys = _keys(),
            ValidAlgorithms = _options.KeyPath is null ? PublicKeyAlgorithms : _options.JwksPath is null ? SymmetricAlgorithms : [.. PublicKeyAlgorithms, .. SymmetricAlgorithms],
            LifetimeValidator = (notBefore, expires, _, _) => IsInTime(notBefore, expires),
        });
        if (!result.IsValid)
        {
            return (null, Refusal(result.Exception));
        }

        var identity = result.ClaimsIdentity;
        if (identity.FindFirst(JwtRegisteredClaimNames.Sub)?.Value is not { Length: > 0 } name)
        {
            return (null, "The token does not say whose it is: it has no claim 'sub'.");
        }

        var caller = new Caller(name, [.. ScopesOf(identity)]);
        var now = _clock.GetUtcNow();
        var left = result.SecurityToken.ValidTo + ClockSkew - now.UtcDateTime;
        if (left > TimeSpan.Zero)
        {
            _good.Set(token, caller, new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = left < Remembered ? left : Remembered });
        }

        return (caller, null);
    }

    public void Dispose() => _good.Dispose();

    private bool IsInTime(DateTime? notBefore, DateTime? expires)
    {
        var now = _clock.GetUtcNow().UtcDateTime;
        return expires is { } end && now < end + ClockSkew && (notBefore is not { } start || now >= start - ClockSkew);
    }

    private static IEnumerable<string> ScopesOf(ClaimsIdentity identity) => identity.Claims
        .Where(static claim => claim.Type is "scope" or "scp")
        .SelectMany(static claim => claim.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    // Never the library's own text, which may quote the token.
    private string Refusal(Exception failure) => failure switch
    {
        SecurityTokenInvalidLifetimeException or SecurityTokenExpiredException or SecurityTokenNoExpirationException => "The token is not valid at this time.",
        SecurityTokenInvalidIssuerException => $"The token is of another issuer than {_options.Issuer}.",
        SecurityTokenInvalidAudienceException => $"The token is for another audience than {_options.Audience}.",
        SecurityTokenSignatureKeyNotFoundException or SecurityTokenInvalidSignatureException or SecurityTokenInvalidAlgorithmException =>
            "The token is not signed by a key that is known here.",
        _ => "The token is not a signed JWT.",
    };
}
