using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.IdentityModel.Tokens;

namespace RouteService.Operations.Tests;

/// <summary>Tokens whose keys are at the issuer's URL.</summary>
public sealed class IssuerTests : ServiceTest
{
    private const string UnknownKey = "The token is not signed by a known key.";
    private const string Unavailable = "The token cannot be checked now: the issuer's signing keys are unavailable. Try again.";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Keys_come_from_the_discovery_document_or_from_the_key_set_of_the_issuer(bool isDiscovery)
    {
        await using var issuer = await Issuer.StartAsync();
        var channel = await StartAsync(issuer, isDiscovery);

        await FeatureAsync(channel, Bearer(issuer.Token()));
        var other = issuer.Token(change: static token => token.Issuer = "https://other.example");
        await RefusedAsync(channel, $"The token is of another issuer; expected {issuer.Url}.", other);
        await RefusedAsync(channel, UnknownKey, issuer.Token(new Issuer.SigningKey("one")));
        await RefusedAsync(channel, UnknownKey, issuer.Token(new Issuer.SigningKey("other")));

        // The public key as the secret of a symmetric signature (RFC 8725, 2.1).
        var secret = new SymmetricSecurityKey(System.Text.Encoding.ASCII.GetBytes(issuer.Key.Json)) { KeyId = "one" };
        var forged = issuer.Token(change: token => token.SigningCredentials = new SigningCredentials(secret, "HS256"));
        await RefusedAsync(channel, UnknownKey, forged);
        var address = isDiscovery ? $"{issuer.Url}/.well-known/openid-configuration" : issuer.JwksUrl;
        Assert.Contains($"The signing keys at {address} are fetched without TLS", Service.Output);
    }

    [Fact]
    public async Task A_rotated_key_is_known_from_its_first_token_on_and_the_old_one_is_forgotten()
    {
        await using var issuer = await Issuer.StartAsync();
        var channel = await StartAsync(issuer);
        var old = issuer.Key;
        var known = issuer.Token();
        await FeatureAsync(channel, Bearer(known));

        issuer.Rotate("two");

        await FeatureAsync(channel, Bearer(issuer.Token()));
        await RefusedAsync(channel, UnknownKey, known);
        await RefusedAsync(channel, UnknownKey, issuer.Token(old));
    }

    [Fact]
    public async Task Tokens_of_unknown_keys_make_few_requests_to_the_issuer()
    {
        await using var issuer = await Issuer.StartAsync();
        var channel = await StartAsync(issuer);
        await FeatureAsync(channel, Bearer(issuer.Token()));
        var before = issuer.Requests;
        var started = TimeProvider.System.GetTimestamp();

        var tokens = Enumerable.Range(0, 50).Select(i => issuer.Token(new Issuer.SigningKey($"unknown {i}")));
        await Task.WhenAll(tokens.Select(token => RefusedAsync(channel, UnknownKey, token)));

        // One in five seconds.
        Assert.InRange(issuer.Requests - before, 1, 1 + (TimeProvider.System.GetElapsedTime(started).TotalSeconds / 5));
    }

    [Fact]
    public async Task An_issuer_that_is_down_makes_calls_UNAVAILABLE_and_is_used_as_soon_as_it_is_up()
    {
        await using var issuer = await Issuer.StartAsync();
        issuer.IsDown = true;
        var channel = await StartAsync(issuer);

        for (var i = 0; i < 5; i++)
        {
            await RefusedAsync(channel, Unavailable, issuer.Token(), StatusCode.Unavailable);
        }

        await Service.OutputAsync("are unavailable; tokens of unknown keys are refused: Response status code does not");
        issuer.IsDown = false;
        await Service.OutputAsync("are available again");
        await FeatureAsync(channel, Bearer(issuer.Token()));
        Assert.Equal(2, Service.Output.Split("are unavailable;").Length);
    }

    [Theory]
    [InlineData(true, "<html>", "refused: expected the discovery document of an OpenID Connect issuer.")]
    [InlineData(true, "[]", "refused: expected the discovery document of an OpenID Connect issuer.")]
    [InlineData(false, "<html>", "refused: expected a JSON Web Key Set with public keys for signatures.")]
    [InlineData(false, "{}", "refused: expected a JSON Web Key Set with public keys for signatures.")]
    public async Task An_issuer_that_answers_with_something_else_is_told_what_is_expected(bool isDiscovery, string nonsense, string complaint)
    {
        await using var issuer = await Issuer.StartAsync();
        issuer.Nonsense = nonsense;
        var channel = await StartAsync(issuer, isDiscovery);

        Assert.DoesNotContain("IDX", await Service.OutputAsync(complaint));
        await RefusedAsync(channel, Unavailable, issuer.Token(), StatusCode.Unavailable);
        issuer.Nonsense = null;
        await Service.OutputAsync("are available again");
        await FeatureAsync(channel, Bearer(issuer.Token()));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_document_of_the_issuer_beyond_a_mebibyte_is_not_read(bool isDiscovery)
    {
        await using var issuer = await Issuer.StartAsync();
        issuer.Padding = 1 << 20;
        var channel = await StartAsync(issuer, isDiscovery);

        await Service.OutputAsync("are unavailable; tokens of unknown keys are refused: Cannot write more bytes to the buffer");
        await RefusedAsync(channel, Unavailable, issuer.Token(), StatusCode.Unavailable);
        issuer.Padding = 0;
        await Service.OutputAsync("are available again");
        await FeatureAsync(channel, Bearer(issuer.Token()));
    }

    [Theory]
    [InlineData("https://issuer.example/keys")]
    [InlineData("https://us:s3cret@issuer.example/keys")]
    public async Task The_credentials_of_a_proxy_or_a_URL_are_not_told(string url)
    {
        await using var proxy = await Issuer.StartAsync();
        proxy.IsDown = true;
        Service.Settings["HTTPS_PROXY"] = proxy.Url.Replace("//", "//us:s3cret@");
        Service.Settings["RouteService__Auth__Enabled"] = "true";
        Service.Settings["RouteService__Auth__Jwt__Issuer"] = "me";
        Service.Settings["RouteService__Auth__Jwt__JwksUrl"] = url;
        await StartAsync();

        var output = await Service.OutputAsync("are unavailable; tokens of unknown keys are refused: ");

        Assert.Contains($"The signing keys at https://issuer.example/keys are unavailable", output);
        Assert.Contains($"proxy '{proxy.Url}/' failed with status code '503'", output);
        Assert.DoesNotContain("s3cret", output);
    }

    [Fact]
    public async Task While_the_issuer_is_down_its_known_keys_are_good()
    {
        await using var issuer = await Issuer.StartAsync();
        var channel = await StartAsync(issuer);
        var known = issuer.Key;
        await FeatureAsync(channel, Bearer(issuer.Token()));

        issuer.IsDown = true;
        issuer.Rotate("two");

        await RefusedAsync(channel, Unavailable, issuer.Token(), StatusCode.Unavailable);
        await FeatureAsync(channel, Bearer(issuer.Token(known)));
        await RefusedAsync(channel, UnknownKey, issuer.Token(new Issuer.SigningKey("one")));
        await Service.OutputAsync("are unavailable;");
        issuer.IsDown = false;
        await Service.OutputAsync("are available again");
        await FeatureAsync(channel, Bearer(issuer.Token()));
    }

    [Fact]
    public async Task An_issuer_that_does_not_answer_holds_up_neither_the_start_nor_other_credentials()
    {
        // It accepts connections, and that is all.
        using var silent = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        silent.Start();
        Service.Settings["RouteService__Auth__Enabled"] = "true";
        Service.Settings["RouteService__Auth__Jwt__Authority"] = $"http://{silent.LocalEndpoint}";
        Service.Settings["RouteService__Auth__ApiKeysPath"] = Write("keys", $"reader routes.read {Credentials.Sha256("key")}\n");
        await StartAsync();
        var channel = Connect();
        await using var other = await Issuer.StartAsync();

        await FeatureAsync(channel, Credentials.ApiKey("key"));
        await RefusedAsync(channel, Unavailable, other.Token(), StatusCode.Unavailable);
        var both = Bearer(other.Token());
        both.Add("x-api-key", "key");
        await FeatureAsync(channel, both);
    }

    private async Task<GrpcChannel> StartAsync(Issuer issuer, bool isDiscovery = true)
    {
        Service.Settings["RouteService__Auth__Enabled"] = "true";
        if (isDiscovery)
        {
            // The issuer's name comes with its keys.
            Service.Settings["RouteService__Auth__Jwt__Authority"] = issuer.Url;
        }
        else
        {
            Service.Settings["RouteService__Auth__Jwt__JwksUrl"] = issuer.JwksUrl;
            Service.Settings["RouteService__Auth__Jwt__Issuer"] = issuer.Url;
        }

        await StartAsync();
        return Connect();
    }

    private static async Task RefusedAsync(
        GrpcChannel channel, string reason, string token, StatusCode code = StatusCode.Unauthenticated) =>
        Assert.Equal(reason, (await RefusalAsync(code, FeatureAsync(channel, Bearer(token)))).Status.Detail);

    private static Metadata Bearer(string token) => Credentials.Bearer(token);
}
