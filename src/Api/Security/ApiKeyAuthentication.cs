using System.Collections.Frozen;
using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace RouteService.Api.Security;

/// <summary>Authenticates by the header x-api-key.</summary>
/// <remarks>The base class gets no logger: <see cref="CallerAuthentication"/> logs each refusal once, with its call.</remarks>
internal sealed class ApiKeyAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> options, UrlEncoder encoder, WatchedFile<FrozenDictionary<string, ClaimsIdentity>> callers)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, NullLoggerFactory.Instance, encoder)
{
    public const string SchemeName = "ApiKey";
    public const string Header = "x-api-key";

    private static readonly Task<AuthenticateResult> None = Task.FromResult(AuthenticateResult.NoResult());
    private static readonly Task<AuthenticateResult> Unknown =
        Task.FromResult(AuthenticateResult.Fail(new CredentialsException("The API key is unknown.")));

    protected override Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        var keys = Request.Headers[Header];
        if (keys.Count == 0)
        {
            return None;
        }

        // A gateway may add its own key to the client's, and repeated metadata may arrive joined by commas.
        var caller = CallerOf(keys) ?? CallerOf(Request.Headers.GetCommaSeparatedValues(Header));
        return caller is not null
            ? Task.FromResult(AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(caller), SchemeName)))
            : Unknown;
    }

    private ClaimsIdentity? CallerOf(StringValues keys)
    {
        foreach (var key in keys)
        {
            if (key is not null && callers.Current.TryGetValue(ApiKeyFile.HashOf(key), out var caller))
            {
                return caller;
            }
        }

        return null;
    }
}
