using System.Security.Claims;
using System.Text.Json;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace RouteService.Api.Security;

/// <summary>
/// Validates bearer tokens as RFC 8725 advises: signature, algorithm, issuer, audience and time are all checked, and none may be missing.
/// Valid tokens are cached for a minute, because checking a signature costs as much as the rest of a call.
/// </summary>
internal sealed class BearerTokens : JsonWebTokenHandler, IDisposable
{
    private const int MaxRemembered = 10_000;
    private const int MinKeyBytes = 32;

    private static readonly TimeSpan RememberedFor = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(30);
    private static readonly string[] PublicKeyAlgorithms =
        ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"];
    private static readonly string[] SymmetricAlgorithms = ["HS256", "HS384", "HS512"];

    private readonly JwtOptions _options;
    private readonly WatchedFile<IReadOnlyList<SecurityKey>>[] _files;
    private readonly IssuerKeys? _issuer;
    private readonly TimeProvider _clock;
    private readonly MemoryCache _good = new(new MemoryCacheOptions { SizeLimit = MaxRemembered });

    /// <param name="options">Expected issuer, audience and keys.</param>
    /// <param name="files">Files with keys.</param>
    /// <param name="issuer">Keys at the issuer's URL; null if none is configured.</param>
    /// <param name="clock">Clock of the tokens' times.</param>
    public BearerTokens(
        JwtOptions options, IEnumerable<WatchedFile<IReadOnlyList<SecurityKey>>> files, IssuerKeys? issuer, TimeProvider clock)
    {
        _options = options;
        _files = [.. files];
        _issuer = issuer;
        _clock = clock;
        Parameters = new TokenValidationParameters
        {
            IssuerValidator = (issuerClaim, _, _) => string.Equals(issuerClaim, Issuer, StringComparison.Ordinal)
                ? issuerClaim
                : throw new SecurityTokenInvalidIssuerException(),
            ValidAudience = options.Audience,
            ValidAlgorithms =
            [
                .. options.JwksPath is null && issuer is null ? [] : PublicKeyAlgorithms,
                .. options.KeyPath is null ? [] : SymmetricAlgorithms,
            ],
            IssuerSigningKeyResolver = (_, _, id, _) => KeysFor(id),
            LifetimeValidator = (notBefore, expires, _, _) => IsInTime(notBefore, expires),
        };
    }

    /// <summary>The parameters that JwtBearer passes to <see cref="ValidateTokenAsync(string, TokenValidationParameters)"/>.</summary>
    public TokenValidationParameters Parameters { get; }

    private string? Issuer => string.IsNullOrWhiteSpace(_options.Issuer) ? _issuer?.Current?.Issuer : _options.Issuer;

    private int KeysVersion => _files.Sum(static file => file.Version) + (_issuer?.Version ?? 0);

    /// <summary>Reads the public keys of a JSON Web Key Set.</summary>
    /// <exception cref="FormatException">The set has no key for signatures, or one that is not public.</exception>
    public static IReadOnlyList<SecurityKey> ParseJwks(string json)
    {
        var keys = ParseOrNull(() => new JsonWebKeySet(json).GetSigningKeys()) ?? [];

        // A symmetric key among public keys would be known to everyone.
        return keys.Count > 0 && !keys.Any(static key => key is SymmetricSecurityKey or JsonWebKey { Kty: "oct" })
            ? [.. keys]
            : throw new FormatException("expected a JSON Web Key Set with public keys for signatures.");
    }

    /// <summary>What a document of an issuer has; null for another document, of which the library would speak in its own terms.</summary>
    public static T? ParseOrNull<T>(Func<T> parse)
        where T : class
    {
        try
        {
            return parse();
        }
        catch (Exception e) when (e is ArgumentException or JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>Reads a symmetric key.</summary>
    /// <exception cref="FormatException">The key is too short.</exception>
    public static IReadOnlyList<SecurityKey> ReadSymmetricKey(string path)
    {
        var key = File.ReadAllBytes(path).AsSpan().TrimEnd("\r\n"u8).ToArray();
        return key.Length >= MinKeyBytes
            ? [new SymmetricSecurityKey(key)]
            : throw new FormatException($"it has {key.Length} bytes; expected at least {MinKeyBytes}.");
    }

    /// <returns>The caller of a token that was validated within the last minute, by keys that are still in use; else null.</returns>
    public ClaimsIdentity? Remembered(string token) =>
        _good.TryGetValue(token, out Good? good) && good!.KeysVersion == KeysVersion ? good.Caller : null;

    public override async Task<TokenValidationResult> ValidateTokenAsync(string token, TokenValidationParameters validationParameters)
    {
        // Read before the keys, so that a token is not cached beyond keys that are replaced during the check.
        var version = KeysVersion;
        var result = await base.ValidateTokenAsync(token, validationParameters);
        if (_issuer is not null && (LacksIssuer(result.Exception) || result.Exception is SecurityTokenInvalidSignatureException))
        {
            await _issuer.RefreshAsync();
            version = KeysVersion;
            result = await base.ValidateTokenAsync(token, validationParameters);
        }

        if (!result.IsValid)
        {
            return new TokenValidationResult { Exception = Refusal(result.Exception) };
        }

        if (result.ClaimsIdentity.FindFirst(JwtRegisteredClaimNames.Sub)?.Value is not { Length: > 0 } name)
        {
            return new TokenValidationResult { Exception = new CredentialsException("The token has no claim 'sub'.") };
        }

        result.ClaimsIdentity = Scope.Identify(name, ScopesOf(result.ClaimsIdentity), nameof(BearerTokens));
        var left = result.SecurityToken.ValidTo - (_clock.GetUtcNow().UtcDateTime - ClockSkew);
        if (left > TimeSpan.Zero)
        {
            _good.Set(token, new Good(result.ClaimsIdentity, version), new MemoryCacheEntryOptions
            {
                Size = 1,
                AbsoluteExpirationRelativeToNow = left < RememberedFor ? left : RememberedFor,
            });
        }

        return result;
    }

    public void Dispose() => _good.Dispose();

    // A key without an id matches any id.
    private IEnumerable<SecurityKey> KeysFor(string? id) => _files
        .SelectMany(static file => file.Current)
        .Concat(_issuer?.Current?.Keys ?? [])
        .Where(key => string.IsNullOrEmpty(id) || key.KeyId is null or "" || string.Equals(key.KeyId, id, StringComparison.Ordinal));

    /// <summary>Whether newer keys of the issuer could make the token valid.</summary>
    private bool LacksIssuer(Exception? failure) =>
        failure is SecurityTokenSignatureKeyNotFoundException || (failure is SecurityTokenInvalidIssuerException && Issuer is null);

    // The skew is not added to the token's times, which may be as late as DateTime.MaxValue.
    private bool IsInTime(DateTime? notBefore, DateTime? expires)
    {
        var now = _clock.GetUtcNow().UtcDateTime;
        return expires > now - ClockSkew && (notBefore is null || notBefore <= now + ClockSkew);
    }

    private static IEnumerable<string> ScopesOf(ClaimsIdentity identity) => identity.Claims
        .Where(static claim => claim.Type is "scope" or "scp")
        .SelectMany(static claim => claim.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    // Never the library's own text, which may quote the token.
    private CredentialsException Refusal(Exception failure) => failure switch
    {
        _ when _issuer is { IsStale: true } && LacksIssuer(failure) =>
            new("The token cannot be checked now: the issuer's signing keys are unavailable. Try again.", isUnavailable: true),
        SecurityTokenInvalidLifetimeException { Expires: null } => new("The token has no time of expiry; expected exp."),
        SecurityTokenInvalidLifetimeException or SecurityTokenExpiredException or SecurityTokenNoExpirationException =>
            new("The token is not valid at this time."),
        SecurityTokenInvalidIssuerException => new($"The token is of another issuer; expected {Issuer}."),
        SecurityTokenInvalidAudienceException => new($"The token is for another audience; expected {_options.Audience}."),
        SecurityTokenSignatureKeyNotFoundException or SecurityTokenInvalidSignatureException or SecurityTokenInvalidAlgorithmException =>
            new("The token is not signed by a known key."),
        { InnerException: OverflowException } => new("The token has a time beyond 64 bits."),
        _ => new("The token is not a signed JWT."),
    };

    private sealed record Good(ClaimsIdentity Caller, int KeysVersion);
}
