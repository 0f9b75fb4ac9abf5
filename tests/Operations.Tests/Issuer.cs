using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace RouteService.Operations.Tests;

/// <summary>An issuer of tokens, with its discovery document and its keys over HTTP.</summary>
internal sealed class Issuer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private volatile SigningKey[] _published = [new("one")];
    private int _requests;

    private Issuer(WebApplication app) => _app = app;

    public string Url => _app.Urls.Single();

    public string JwksUrl => $"{Url}/keys";

    /// <summary>Answers 503 while set.</summary>
    public bool IsDown { get; set; }

    /// <summary>Sent instead of the documents, if it is set.</summary>
    public string? Nonsense { get; set; }

    /// <summary>Bytes of white space that its documents have besides.</summary>
    public int Padding { get; set; }

    /// <summary>The requests for keys.</summary>
    public int Requests => _requests;

    /// <summary>What it signs with.</summary>
    public SigningKey Key => _published[^1];

    public static async Task<Issuer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var issuer = new Issuer(app);
        app.Use((context, next) =>
        {
            context.Response.StatusCode = issuer.IsDown ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK;
            return issuer.IsDown ? Task.CompletedTask
                : issuer.Nonsense is { } nonsense ? context.Response.WriteAsync(nonsense)
                : next(context);
        });
        app.MapGet("/.well-known/openid-configuration", () => issuer.Padded($$"""{"issuer":"{{issuer.Url}}","jwks_uri":"{{issuer.JwksUrl}}"}"""));
        app.MapGet("/keys", () =>
        {
            Interlocked.Increment(ref issuer._requests);
            return issuer.Padded($$"""{"keys":[{{string.Join(',', issuer._published.Select(static key => key.Json))}}]}""");
        });
        await app.StartAsync();
        return issuer;
    }

    /// <summary>Publishes a new key instead of the old one, and signs with it.</summary>
    public void Rotate(string id) => _published = [new SigningKey(id)];

    public string Token(SigningKey? key = null, Action<SecurityTokenDescriptor>? change = null)
    {
        var now = TimeProvider.System.GetUtcNow().UtcDateTime;
        var token = new SecurityTokenDescriptor
        {
            Issuer = Url,
            Audience = "route-service",
            Claims = new Dictionary<string, object> { ["sub"] = "alice", ["scope"] = "routes.read", ["jti"] = Guid.NewGuid().ToString() },
            NotBefore = now,
            Expires = now.AddMinutes(5),
            SigningCredentials = (key ?? Key).Credentials,
        };
        change?.Invoke(token);
        return new JsonWebTokenHandler().CreateToken(token);
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private string Padded(string json) => json + new string(' ', Padding);

    internal sealed class SigningKey
    {
        private readonly RSA _rsa = RSA.Create(2048);
        private readonly string _id;

        public SigningKey(string id)
        {
            _id = id;
            Credentials = new SigningCredentials(new RsaSecurityKey(_rsa) { KeyId = id }, SecurityAlgorithms.RsaSha256);
        }

        public SigningCredentials Credentials { get; }

        /// <summary>The public part, as a JSON Web Key.</summary>
        public string Json
        {
            get
            {
                var key = _rsa.ExportParameters(includePrivateParameters: false);
                var (n, e) = (Base64UrlEncoder.Encode(key.Modulus), Base64UrlEncoder.Encode(key.Exponent));
                return $$"""{"kty":"RSA","use":"sig","kid":"{{_id}}","n":"{{n}}","e":"{{e}}"}""";
            }
        }
    }
}
