using System.Security.Cryptography;
using System.Text;
using Google.Rpc;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Reflection.V1;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using RouteService.Contracts.Routeguide;

namespace RouteService.Operations.Tests;

public sealed class AuthTests : ServiceTest
{
    private const string Issuer = "https://issuer.example";
    private const string Key = "a-key-that-nobody-guesses-0123456789";

    private static readonly RSA Rsa = RSA.Create(2048);
    private static readonly RsaSecurityKey SigningKey = new(Rsa) { KeyId = "one" };

    [Fact]
    public async Task Without_the_switch_anybody_may_call_and_the_start_says_so()
    {
        await StartAsync();

        await HelloAsync(Connect());
        Assert.Contains("Authentication is off.", Service.Output);
    }

    [Fact]
    public async Task An_API_key_lets_in_for_its_scopes()
    {
        await StartWithKeysAsync($"# who may\n\nreader routes.read {Sha256(Key)}\nall routes.read,routes.write,routes.chat {Sha256("another")}\n");
        var channel = Connect();

        await HelloAsync(channel, ApiKey(Key));
        await FeatureAsync(channel, ApiKey(Key));
        await FeatureAsync(channel, ApiKey("another"));

        using var route = new RouteGuide.RouteGuideClient(channel).RecordRoute(ApiKey(Key), Soon);
        var refusal = await RefusalAsync(StatusCode.PermissionDenied, route.ResponseAsync);
        Assert.Equal("/routeguide.RouteGuide/RecordRoute wants the scope routes.write, and 'reader' does not have it.", refusal.Status.Detail);
        using var chat = new RouteGuide.RouteGuideClient(channel).RouteChat(ApiKey(Key), Soon);
        await RefusalAsync(StatusCode.PermissionDenied, chat.ResponseStream.MoveNext(CancellationToken.None));
    }

    [Fact]
    public async Task Without_credentials_or_with_wrong_ones_there_is_nothing_but_health()
    {
        await StartWithKeysAsync($"reader routes.read {Sha256(Key)}\n");
        var channel = Connect();

        var refusal = await RefusalAsync(StatusCode.Unauthenticated, HelloAsync(channel));
        Assert.Equal("This call wants credentials: metadata 'x-api-key: KEY'.", refusal.Status.Detail);
        var details = Google.Rpc.Status.Parser.ParseFrom(refusal.Trailers.GetValueBytes("grpc-status-details-bin"));
        Assert.Equal("UNAUTHENTICATED", Assert.Single(details.Details).Unpack<ErrorInfo>().Reason);
        Assert.Equal("The API key is not known here.", (await RefusalAsync(StatusCode.Unauthenticated, HelloAsync(channel, ApiKey("wrong")))).Status.Detail);
        Assert.Contains("Bearer tokens are not accepted here", (await RefusalAsync(StatusCode.Unauthenticated, HelloAsync(channel, Bearer("x")))).Status.Detail);
        await RefusalAsync(StatusCode.Unauthenticated, ReflectAsync(channel));
        Assert.Equal(
            HealthCheckResponse.Types.ServingStatus.Serving, (await new Health.HealthClient(channel).CheckAsync(new HealthCheckRequest(), deadline: Soon)).Status);
        Assert.DoesNotContain("wrong", Service.Output);
    }

    [Fact]
    public async Task Health_can_be_closed_and_reflection_open()
    {
        Service.Settings["RouteService__Auth__AnonymousHealth"] = "false";
        Service.Settings["RouteService__Auth__AnonymousReflection"] = "true";
        await StartWithKeysAsync($"reader routes.read {Sha256(Key)}\n");
        var channel = Connect();

        await ReflectAsync(channel);
        await RefusalAsync(StatusCode.Unauthenticated, new Health.HealthClient(channel).CheckAsync(new HealthCheckRequest(), deadline: Soon).ResponseAsync);
        await new Health.HealthClient(channel).CheckAsync(new HealthCheckRequest(), ApiKey(Key), Soon);
    }

    [Fact]
    public async Task A_token_lets_in_for_its_scopes()
    {
        await StartWithTokensAsync();
        var channel = Connect();

        await FeatureAsync(channel, Bearer(Token()));
        await FeatureAsync(channel, Bearer(Token(claims => claims["scope"] = "email routes.read")));
        await FeatureAsync(channel, Bearer(Token(claims =>
        {
            claims.Remove("scope");
            claims["scp"] = new[] { "routes.chat", "routes.read" };
        })));
        var refusal = await RefusalAsync(StatusCode.PermissionDenied, FeatureAsync(channel, Bearer(Token(claims => claims["scope"] = "routes.chat"))));
        Assert.Contains("'alice' does not have it", refusal.Status.Detail);
    }

    [Fact]
    public async Task A_token_that_is_not_right_in_everything_is_refused_with_the_reason()
    {
        await StartWithTokensAsync();
        var channel = Connect();
        var now = TimeProvider.System.GetUtcNow().UtcDateTime;

        await RefusedAsync("The token is not valid at this time.", Token(expires: now.AddMinutes(-5), notBefore: now.AddMinutes(-9)));
        await RefusedAsync("The token is not valid at this time.", Token(expires: now.AddMinutes(9), notBefore: now.AddMinutes(5)));
        await RefusedAsync($"The token is of another issuer than {Issuer}.", Token(issuer: "https://other.example"));
        await RefusedAsync("The token is for another audience than route-service.", Token(audience: "another-service"));
        await RefusedAsync("The token does not say whose it is: it has no claim 'sub'.", Token(claims => claims.Remove("sub")));
        await RefusedAsync("The token is not a signed JWT.", "not.a.token");
        await RefusedAsync("The token is not a signed JWT.", "");

        using var other = RSA.Create(2048);
        await RefusedAsync("The token is not signed by a key that is known here.", Token(key: new RsaSecurityKey(other) { KeyId = "one" }));

        // The two classic ways past a careless check (RFC 8725, 2.1): no signature, and the public key as the secret of a symmetric one.
        var parts = Token().Split('.');
        await RefusedAsync("The token is not signed by a key that is known here.", $"{Base64UrlEncoder.Encode("{\"alg\":\"none\"}")}.{parts[1]}.");
        var secret = new SymmetricSecurityKey(Encoding.ASCII.GetBytes(Rsa.ExportSubjectPublicKeyInfoPem()));
        await RefusedAsync("The token is not signed by a key that is known here.", Token(key: secret, algorithm: "HS256"));

        await FeatureAsync(channel, Bearer(Token()));

        async Task RefusedAsync(string reason, string token) =>
            Assert.Equal(reason, (await RefusalAsync(StatusCode.Unauthenticated, FeatureAsync(channel, Bearer(token)))).Status.Detail);
    }

    [Fact]
    public async Task A_symmetric_key_will_do()
    {
        const string Secret = "0123456789abcdef0123456789abcdef";
        Service.Settings["RouteService__Auth__Enabled"] = "true";
        Service.Settings["RouteService__Auth__Jwt__Issuer"] = Issuer;
        Service.Settings["RouteService__Auth__Jwt__Audience"] = "mine";
        Service.Settings["RouteService__Auth__Jwt__KeyPath"] = Write("key", $"{Secret}\n");
        await StartAsync();
        var channel = Connect();

        await FeatureAsync(channel, Bearer(Token(audience: "mine", key: new SymmetricSecurityKey(Encoding.ASCII.GetBytes(Secret)), algorithm: "HS256")));
        await RefusalAsync(StatusCode.Unauthenticated, FeatureAsync(channel, Bearer(Token(audience: "mine"))));
        Assert.DoesNotContain(Secret, Service.Output);
    }

    [Fact]
    public async Task Keys_are_read_again_when_their_file_changes_and_kept_when_it_is_spoilt()
    {
        await StartWithKeysAsync($"reader routes.read {Sha256(Key)}\n");
        var channel = Connect();
        await HelloAsync(channel, ApiKey(Key));

        Write("keys", "reader routes.red 00\n");
        await Service.OutputAsync("which cannot be used: line 1 is not NAME SCOPE[,SCOPE…] SHA256-OF-THE-KEY. Keeping the previous version.");
        await HelloAsync(channel, ApiKey(Key));

        Write("keys", $"reader routes.read {Sha256("new")}\n");
        await Service.OutputAsync("keys has changed and is in use.");
        await HelloAsync(channel, ApiKey("new"));
        await RefusalAsync(StatusCode.Unauthenticated, HelloAsync(channel, ApiKey(Key)));
    }

    [Fact]
    public async Task A_key_is_made_as_the_docs_say()
    {
        var line = (await File.ReadAllLinesAsync(Path.Combine(Repository.Root, "docs", "operations.md"))).Single(line => line.Contains("sha256sum", StringComparison.Ordinal));
        var made = (await Command.RunAsync("bash", ["-c", line.Trim()], folder: Service.Folder)).AssertSuccess();
        var key = made.Output.Trim();

        await StartWithKeysAsync(await File.ReadAllTextAsync(Path.Combine(Service.Folder, "keys")));

        await FeatureAsync(Connect(), ApiKey(key));
    }

    [Theory]
    [InlineData("RouteService__Auth__Enabled is true, and nothing says who may call")]
    [InlineData("RouteService__Auth__ApiKeysPath is '/none', which cannot be used: Could not find file", "ApiKeysPath", "/none")]
    [InlineData("RouteService__Auth__ApiKeysPath is 'bad', which cannot be used: line 1 is not NAME SCOPE", "ApiKeysPath", "bad")]
    [InlineData("RouteService__Auth__ApiKeysPath is 'unknown', which cannot be used: line 2 has the scope 'fly'; there are routes.read,", "ApiKeysPath", "unknown")]
    [InlineData("RouteService__Auth__Jwt__Issuer is not set", "Jwt__KeyPath", "long")]
    [InlineData("RouteService__Auth__Jwt__KeyPath is 'bad', which cannot be used: it has 3 bytes; a key has at least 32.", "Jwt__KeyPath", "bad")]
    [InlineData("RouteService__Auth__Jwt__JwksPath is 'bad', which cannot be used", "Jwt__JwksPath", "bad")]
    public async Task A_wrong_setting_is_told_in_one_line(string complaint, string? name = null, string value = "")
    {
        Write("bad", "bad");
        Write("unknown", $"# names\nx fly {Sha256(Key)}");
        Write("long", new string('x', 32));
        var environment = new Dictionary<string, string>(RunningService.Environment) { ["RouteService__Auth__Enabled"] = "true" };
        if (name is not null)
        {
            environment[$"RouteService__Auth__{name}"] = value;
        }

        var answer = await Command.RunServiceAsync([], environment, Service.Folder);

        Assert.Equal(1, answer.ExitCode);
        Assert.Contains(complaint, answer.Error);
        Assert.Single(answer.Error.Trim().Split('\n'));
    }

    private Task StartWithKeysAsync(string keys)
    {
        Service.Settings["RouteService__Auth__Enabled"] = "true";
        Service.Settings["RouteService__Auth__ApiKeysPath"] = Write("keys", keys);
        return StartAsync();
    }

    private Task StartWithTokensAsync()
    {
        var key = Rsa.ExportParameters(includePrivateParameters: false);
        Service.Settings["RouteService__Auth__Enabled"] = "true";
        Service.Settings["RouteService__Auth__Jwt__Issuer"] = Issuer;
        Service.Settings["RouteService__Auth__Jwt__JwksPath"] = Write(
            "jwks.json",
            $$"""{"keys":[{"kty":"RSA","use":"sig","kid":"one","n":"{{Base64UrlEncoder.Encode(key.Modulus)}}","e":"{{Base64UrlEncoder.Encode(key.Exponent)}}"}]}""");
        return StartAsync();
    }

    private static string Token(
        Action<Dictionary<string, object>>? change = null,
        string issuer = Issuer,
        string audience = "route-service",
        SecurityKey? key = null,
        string algorithm = "RS256",
        DateTime? expires = null,
        DateTime? notBefore = null)
    {
        var claims = new Dictionary<string, object> { ["sub"] = "alice", ["scope"] = "routes.read" };
        change?.Invoke(claims);
        var now = TimeProvider.System.GetUtcNow().UtcDateTime;
        return new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
        {
            Issuer = issuer,
            Audience = audience,
            Claims = claims,
            NotBefore = notBefore ?? now,
            Expires = expires ?? now.AddMinutes(5),
            SigningCredentials = new SigningCredentials(key ?? SigningKey, algorithm),
        });
    }

    private static async Task ReflectAsync(Grpc.Net.Client.GrpcChannel channel)
    {
        using var call = new ServerReflection.ServerReflectionClient(channel).ServerReflectionInfo(deadline: Soon);
        await call.RequestStream.WriteAsync(new ServerReflectionRequest { ListServices = "" });
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        await call.RequestStream.CompleteAsync();
    }

    private static Metadata ApiKey(string key) => new() { { "x-api-key", key } };

    private static Metadata Bearer(string token) => new() { { "authorization", $"Bearer {token}" } };

    private static string Sha256(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
}
