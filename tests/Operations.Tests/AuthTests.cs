using System.Security.Cryptography;
using System.Text;
using Google.Protobuf.Reflection;
using Google.Rpc;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;
using Grpc.Reflection.V1;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using RouteService.Contracts.Hello;
using RouteService.Contracts.Helloworld;
using RouteService.Contracts.Routeguide;
using static RouteService.Operations.Tests.Credentials;

namespace RouteService.Operations.Tests;

public sealed class AuthTests : ServiceTest
{
    private const string Issuer = "https://issuer.example";
    private const string Key = "a-key-that-nobody-guesses-0123456789";
    private const string Secret = "0123456789abcdef0123456789abcdef";

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
        await StartWithKeysAsync(
            $"# who may\n\nreader routes.read {Sha256(Key)}\nall routes.read,routes.write,routes.chat {Sha256("another")}\n");
        var channel = Connect();

        await HelloAsync(channel, ApiKey(Key));
        await FeatureAsync(channel, ApiKey(Key));
        await FeatureAsync(channel, ApiKey("another"));

        using var route = new RouteGuide.RouteGuideClient(channel).RecordRoute(ApiKey(Key), Soon);
        var refusal = await RefusalAsync(StatusCode.PermissionDenied, route.ResponseAsync);
        Assert.Equal("'reader' lacks the scope routes.write that /routeguide.RouteGuide/RecordRoute requires.", refusal.Status.Detail);
        using var chat = new RouteGuide.RouteGuideClient(channel).RouteChat(ApiKey(Key), Soon);
        await RefusalAsync(StatusCode.PermissionDenied, chat.ResponseStream.MoveNext(CancellationToken.None));
    }

    [Fact]
    public async Task Every_method_admits_those_who_have_its_scope_and_nobody_else()
    {
        Service.Settings["RouteService__Auth__AnonymousHealth"] = "false";
        string[] scopes = ["routes.read", "routes.write", "routes.chat", "features.write"];
        await StartWithKeysAsync(string.Concat(scopes.Select(static scope => $"{scope}-caller {scope} {Sha256(scope)}\n")));
        var channel = Connect();
        var required = new Dictionary<string, string>
        {
            ["GetFeature"] = "routes.read",
            ["ListFeatures"] = "routes.read",
            ["RecordRoute"] = "routes.write",
            ["RouteChat"] = "routes.chat",
            ["SearchFeatures"] = "routes.read",
            ["StreamFeatures"] = "routes.read",
            ["WatchFeatures"] = "routes.read",
            ["CreateFeature"] = "features.write",
            ["UpdateFeature"] = "features.write",
            ["DeleteFeature"] = "features.write",
            ["BatchUpdateFeatures"] = "features.write",
            ["BatchDeleteFeatures"] = "features.write",
            ["ImportFeatures"] = "features.write",
        };
        var methods = new[]
        {
            HelloworldReflection.Descriptor, HelloServiceReflection.Descriptor, RouteGuideReflection.Descriptor,
            Contracts.V1.FeaturesReflection.Descriptor,
            HealthReflection.Descriptor, ReflectionReflection.Descriptor, Grpc.Reflection.V1Alpha.ReflectionReflection.Descriptor,
        }.SelectMany(static file => file.Services).SelectMany(static service => service.Methods).ToList();
        Assert.Equal(24, methods.Count);

        foreach (var method in methods)
        {
            Assert.Equal(StatusCode.Unauthenticated, await AnswerAsync(channel, method, []));
            Assert.Equal(StatusCode.Unauthenticated, await AnswerAsync(channel, method, ApiKey("wrong")));
            foreach (var scope in scopes)
            {
                // Not every method likes an empty message, and not every one is answered; it was asked then.
                var answer = await AnswerAsync(channel, method, ApiKey(scope));
                var isAdmitted = answer is StatusCode.OK or StatusCode.InvalidArgument or StatusCode.Unimplemented;
                Assert.True(isAdmitted || answer is StatusCode.PermissionDenied, $"{method.FullName} with {scope}: {answer}");
                Assert.Equal(!required.TryGetValue(method.Name, out var needed) || needed == scope, isAdmitted);
            }
        }
    }

    [Fact]
    public async Task What_is_not_there_is_UNIMPLEMENTED_for_everyone()
    {
        await StartWithKeysAsync($"reader routes.read {Sha256(Key)}\n");
        var invoker = Connect().CreateCallInvoker();

        foreach (var credentials in (Metadata[])[[], ApiKey("wrong"), ApiKey(Key)])
        {
            Assert.Equal(StatusCode.Unimplemented, await AnswerAsync(invoker, "routeguide.RouteGuide", "No", sendsOne: true, credentials));
            Assert.Equal(StatusCode.Unimplemented, await AnswerAsync(invoker, "none.Service", "GetFeature", sendsOne: true, credentials));
        }

        Assert.Equal(System.Net.HttpStatusCode.OK, (await Service.HealthAsync("live")).StatusCode);
    }

    [Fact]
    public async Task Valid_credentials_are_enough_beside_wrong_ones_which_are_logged_without_their_value()
    {
        await StartWithBothAsync();
        var channel = Connect();

        await FeatureAsync(channel, With(Token(), "the-key-of-a-gateway"));
        await Service.OutputAsync(
            "'alice' sent /routeguide.RouteGuide/GetFeature invalid credentials beside valid ones, ignored: The API key is unknown.");
        await FeatureAsync(channel, With("a.wrong.token", Key));
        await FeatureAsync(channel, With("a.wrong.token", "the-key-of-a-gateway", Key));
        await FeatureAsync(channel, [new("authorization", "Basic YTpi"), .. Bearer(Token())]);
        await FeatureAsync(channel, [.. Bearer(Token()), new("authorization", "Basic YTpi")]);

        var refusal = await RefusalAsync(StatusCode.Unauthenticated, FeatureAsync(channel, With("a.wrong.token", "the-key-of-a-gateway")));
        Assert.Equal("The token is not a signed JWT. The API key is unknown.", refusal.Status.Detail);
        Assert.DoesNotContain("the-key-of-a-gateway", Service.Output);
        Assert.DoesNotContain("a.wrong.token", Service.Output);
    }

    [Fact]
    public async Task Who_sends_a_token_and_a_key_has_the_name_of_the_token_and_the_scopes_of_both()
    {
        await StartWithBothAsync();
        var channel = Connect();
        var both = With(Token(static claims => claims["scope"] = "routes.chat"), Key);

        await FeatureAsync(channel, both);
        using var chat = new RouteGuide.RouteGuideClient(channel).RouteChat(both, Soon);
        await chat.RequestStream.CompleteAsync();
        Assert.False(await chat.ResponseStream.MoveNext(CancellationToken.None));
        using var route = new RouteGuide.RouteGuideClient(channel).RecordRoute(both, Soon);
        var refusal = await RefusalAsync(StatusCode.PermissionDenied, route.ResponseAsync);
        Assert.Equal("'alice' lacks the scope routes.write that /routeguide.RouteGuide/RecordRoute requires.", refusal.Status.Detail);
    }

    [Fact]
    public async Task A_token_may_expire_as_late_as_its_issuer_likes()
    {
        await StartWithSecretAsync("route-service");
        var invoker = Connect().CreateCallInvoker();
        string[] times = ["253402300760", "253402300799", "253402300800", "99999999999999", "9223372036854775807", "4102444800.5"];
        foreach (var expires in times)
        {
            var token = Bearer(Signed($",\"exp\":{expires}"));

            Assert.Equal((expires, StatusCode.OK), (expires, await FeatureStatusAsync()));

            // This time it is remembered.
            Assert.Equal((expires, StatusCode.OK), (expires, await FeatureStatusAsync()));

            Task<StatusCode> FeatureStatusAsync() => AnswerAsync(invoker, "routeguide.RouteGuide", "GetFeature", sendsOne: true, token);
        }
    }

    [Fact]
    public async Task A_token_that_does_not_expire_or_is_not_valid_now_is_refused()
    {
        await StartWithSecretAsync("route-service");
        var channel = Connect();
        string[] invalid =
        [
            ""","exp":0""", ""","exp":-1""", ""","exp":-9223372036854775808""", ""","exp":4102444800,"nbf":4102444000""",
            ""","exp":9223372036854775807,"nbf":9223372036854775807""",
        ];
        foreach (var times in invalid)
        {
            var refusal = await RefusalAsync(StatusCode.Unauthenticated, FeatureAsync(channel, Bearer(Signed(times))));
            Assert.Equal((times, "The token is not valid at this time."), (times, refusal.Status.Detail));
        }

        var endless = await RefusalAsync(StatusCode.Unauthenticated, FeatureAsync(channel, Bearer(Signed(""))));
        Assert.Equal("The token has no time of expiry; expected exp.", endless.Status.Detail);
    }

    [Fact]
    public async Task A_token_of_an_issuer_whose_clock_is_ahead_is_taken()
    {
        await StartWithSecretAsync("route-service");

        // Clocks may differ by 30 seconds.
        var begins = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() + 25;

        await FeatureAsync(Connect(), Bearer(Signed($",\"exp\":4102444800,\"nbf\":{begins}")));
    }

    [Fact]
    public async Task A_token_that_was_good_is_refused_when_it_has_expired()
    {
        await StartWithSecretAsync("route-service");
        var channel = Connect();

        // Clocks may differ by 30 seconds.
        var expires = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() - 20;
        var token = Bearer(Signed($",\"exp\":{expires}"));
        await FeatureAsync(channel, token);

        while (TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() <= expires + 30)
        {
            await Task.Delay(100);
        }

        await RefusalAsync(StatusCode.Unauthenticated, FeatureAsync(channel, token));
    }

    [Fact]
    public async Task A_token_that_was_good_is_refused_when_its_key_is_removed()
    {
        await StartWithTokensAsync();
        var channel = Connect();
        var token = Bearer(Token());
        await FeatureAsync(channel, token);

        using var other = RSA.Create(2048);
        Write("jwks.json", Jwks(other, "two"));
        await Service.OutputAsync("jwks.json has changed and is in use.");

        await RefusalAsync(StatusCode.Unauthenticated, FeatureAsync(channel, token));
        await FeatureAsync(channel, Bearer(Token(key: new RsaSecurityKey(other) { KeyId = "two" })));
    }

    [Fact]
    public async Task A_refusal_is_a_gRPC_status_for_a_client_that_reads_headers()
    {
        await StartWithKeysAsync($"reader routes.read {Sha256(Key)}\n");
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://{Service.Address}/routeguide.RouteGuide/GetFeature")
        {
            Version = System.Net.HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent([]) { Headers = { ContentType = new("application/grpc") } },
        };

        using var answer = await http.SendAsync(request);

        Assert.Equal(System.Net.HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("application/grpc", answer.Content.Headers.ContentType!.MediaType);
        Assert.Equal("16", Assert.Single(answer.Headers.GetValues("grpc-status")));
        Assert.StartsWith("Authentication required%3A send metadata", Assert.Single(answer.Headers.GetValues("grpc-message")));
        Assert.Empty(await answer.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task Nothing_is_written_for_cookies()
    {
        Service.Settings["HOME"] = Service.Folder;
        await StartWithKeysAsync($"reader routes.read {Sha256(Key)}\n");
        await FeatureAsync(Connect(), ApiKey(Key));

        Assert.False(Directory.Exists(Path.Combine(Service.Folder, ".aspnet")));
    }

    [Fact]
    public async Task Without_credentials_or_with_wrong_ones_there_is_nothing_but_health()
    {
        await StartWithKeysAsync($"reader routes.read {Sha256(Key)}\n");
        var channel = Connect();

        var refusal = await RefusalAsync(StatusCode.Unauthenticated, HelloAsync(channel));
        Assert.Equal("Authentication required: send metadata 'x-api-key: KEY'.", refusal.Status.Detail);
        var details = Google.Rpc.Status.Parser.ParseFrom(refusal.Trailers.GetValueBytes("grpc-status-details-bin"));
        Assert.Equal("UNAUTHENTICATED", Assert.Single(details.Details).Unpack<ErrorInfo>().Reason);
        var unknown = await RefusalAsync(StatusCode.Unauthenticated, HelloAsync(channel, ApiKey("wrong")));
        Assert.Equal("The API key is unknown.", unknown.Status.Detail);
        var token = await RefusalAsync(StatusCode.Unauthenticated, HelloAsync(channel, Bearer("x")));
        Assert.Equal(refusal.Status.Detail, token.Status.Detail);
        await RefusalAsync(StatusCode.Unauthenticated, ReflectAsync(channel));
        var health = await new Health.HealthClient(channel).CheckAsync(new HealthCheckRequest(), deadline: Soon);
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.Serving, health.Status);
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
        var health = new Health.HealthClient(channel);
        await RefusalAsync(StatusCode.Unauthenticated, health.CheckAsync(new HealthCheckRequest(), deadline: Soon).ResponseAsync);
        await health.CheckAsync(new HealthCheckRequest(), ApiKey(Key), Soon);
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
        var other = Bearer(Token(claims => claims["scope"] = "routes.chat"));
        var refusal = await RefusalAsync(StatusCode.PermissionDenied, FeatureAsync(channel, other));
        Assert.StartsWith("'alice' lacks the scope routes.read", refusal.Status.Detail);
    }

    [Fact]
    public async Task A_token_that_is_not_right_in_everything_is_refused_with_the_reason()
    {
        await StartWithTokensAsync();
        var channel = Connect();
        var now = TimeProvider.System.GetUtcNow().UtcDateTime;

        await RefusedAsync("The token is not valid at this time.", Token(expires: now.AddMinutes(-5), notBefore: now.AddMinutes(-9)));
        await RefusedAsync("The token is not valid at this time.", Token(expires: now.AddMinutes(9), notBefore: now.AddMinutes(5)));
        await RefusedAsync($"The token is of another issuer; expected {Issuer}.", Token(issuer: "https://other.example"));
        await RefusedAsync("The token is for another audience; expected route-service.", Token(audience: "another-service"));
        await RefusedAsync("The token has no claim 'sub'.", Token(claims => claims.Remove("sub")));
        await RefusedAsync("The token is not a signed JWT.", "not.a.token");
        await RefusedAsync("Authentication required: send metadata 'authorization: Bearer TOKEN'.", "");

        using var other = RSA.Create(2048);
        await RefusedAsync("The token is not signed by a known key.", Token(key: new RsaSecurityKey(other) { KeyId = "one" }));

        // The two classic ways past a careless check (RFC 8725, 2.1): no signature, and the public key as the secret of a symmetric one.
        var parts = Token().Split('.');
        await RefusedAsync("The token is not signed by a known key.", $"{Base64UrlEncoder.Encode("{\"alg\":\"none\"}")}.{parts[1]}.");
        var secret = new SymmetricSecurityKey(Encoding.ASCII.GetBytes(Rsa.ExportSubjectPublicKeyInfoPem()));
        await RefusedAsync("The token is not signed by a known key.", Token(key: secret, algorithm: "HS256"));

        await FeatureAsync(channel, Bearer(Token()));

        async Task RefusedAsync(string reason, string token) =>
            Assert.Equal(reason, (await RefusalAsync(StatusCode.Unauthenticated, FeatureAsync(channel, Bearer(token)))).Status.Detail);
    }

    [Fact]
    public async Task A_symmetric_key_will_do()
    {
        await StartWithSecretAsync("mine");
        var channel = Connect();

        var key = new SymmetricSecurityKey(Encoding.ASCII.GetBytes(Secret));
        await FeatureAsync(channel, Bearer(Token(audience: "mine", key: key, algorithm: "HS256")));
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
        await Service.OutputAsync(
            "which cannot be used: line 1 is invalid; expected NAME SCOPE[,SCOPE…] SHA256-OF-THE-KEY. Keeping the previous version.");
        await HelloAsync(channel, ApiKey(Key));

        Write("keys", $"reader routes.read {Sha256("new")}\n");
        await Service.OutputAsync("keys has changed and is in use.");
        await HelloAsync(channel, ApiKey("new"));
        await RefusalAsync(StatusCode.Unauthenticated, HelloAsync(channel, ApiKey(Key)));
    }

    [Fact]
    public async Task A_key_is_made_as_the_docs_say()
    {
        var docs = await File.ReadAllLinesAsync(Repository.File("docs", "operations", "security.md"));
        var line = docs.Single(static line => line.Contains("sha256sum", StringComparison.Ordinal));
        var made = (await Command.RunAsync("bash", ["-c", line.Trim()], folder: Service.Folder)).AssertSuccess();
        var key = made.Output.Trim();

        await StartWithKeysAsync(await File.ReadAllTextAsync(Path.Combine(Service.Folder, "keys")));

        await FeatureAsync(Connect(), ApiKey(key));
    }

    [Theory]
    [InlineData("RouteService__Auth__Enabled is true, but no credentials are configured")]
    [InlineData("RouteService__Auth__ApiKeysPath is '/none', which cannot be used: Could not find file", "ApiKeysPath", "/none")]
    [InlineData("ApiKeysPath is 'bad', which cannot be used: line 1 is invalid; expected NAME SCOPE", "ApiKeysPath", "bad")]
    [InlineData("ApiKeysPath is 'unknown', which cannot be used: line 2 has the unknown scope 'fly'; expected ", "ApiKeysPath", "unknown")]
    [InlineData("RouteService__Auth__Jwt__Issuer is not set", "Jwt__KeyPath", "long")]
    [InlineData("Jwt__KeyPath is 'bad', which cannot be used: it has 3 bytes; expected at least 32.", "Jwt__KeyPath", "bad")]
    [InlineData("Jwt__JwksPath is 'bad', which cannot be used: expected a JSON Web Key Set with public keys", "Jwt__JwksPath", "bad")]
    [InlineData("Jwt__JwksPath is 'list', which cannot be used: expected a JSON Web Key Set with public keys", "Jwt__JwksPath", "list")]
    [InlineData("Jwt__JwksPath is 'oct', which cannot be used: expected a JSON Web Key Set with public keys", "Jwt__JwksPath", "oct")]
    [InlineData("RouteService__Auth__Jwt__Authority is 'issuer.example'; expected an https URL", "Jwt__Authority", "issuer.example")]
    [InlineData("Jwt__Authority is 'http://issuer.example'; expected an https URL", "Jwt__Authority", "http://issuer.example")]
    [InlineData("Jwt__JwksUrl is 'http://issuer.example/keys'; expected an https URL", "Jwt__JwksUrl", "http://issuer.example/keys")]
    [InlineData("RouteService__Auth__Jwt__Issuer is not set", "Jwt__JwksUrl", "https://issuer.example/keys")]
    [InlineData("Jwt__JwksUrl are both set", "Jwt__JwksUrl", "https://issuer.example/keys", "Jwt__Authority", "https://issuer.example")]
    public async Task A_wrong_setting_is_told_in_one_line(
        string complaint, string? name = null, string value = "", string? otherName = null, string otherValue = "")
    {
        Write("bad", "bad");
        Write("list", "[]");
        Write("unknown", $"# names\nx fly {Sha256(Key)}");
        Write("long", new string('x', 32));
        Write("oct", """{"keys":[{"kty":"oct","kid":"one","k":"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"}]}""");
        var environment = new Dictionary<string, string>(RunningService.Environment) { ["RouteService__Auth__Enabled"] = "true" };
        foreach (var (key, set) in new[] { (name, value), (otherName, otherValue) }.Where(static setting => setting.Item1 is not null))
        {
            environment[$"RouteService__Auth__{key}"] = set;
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
        Service.Settings["RouteService__Auth__Enabled"] = "true";
        Service.Settings["RouteService__Auth__Jwt__Issuer"] = Issuer;
        Service.Settings["RouteService__Auth__Jwt__JwksPath"] = Write("jwks.json", Jwks(Rsa, "one"));
        return StartAsync();
    }

    private Task StartWithBothAsync()
    {
        Service.Settings["RouteService__Auth__ApiKeysPath"] = Write("keys", $"reader routes.read {Sha256(Key)}\n");
        return StartWithTokensAsync();
    }

    private Task StartWithSecretAsync(string audience)
    {
        Service.Settings["RouteService__Auth__Enabled"] = "true";
        Service.Settings["RouteService__Auth__Jwt__Issuer"] = Issuer;
        Service.Settings["RouteService__Auth__Jwt__Audience"] = audience;
        Service.Settings["RouteService__Auth__Jwt__KeyPath"] = Write("key", $"{Secret}\n");
        return StartAsync();
    }

    private static string Jwks(RSA rsa, string id)
    {
        var key = rsa.ExportParameters(includePrivateParameters: false);
        var (n, e) = (Base64UrlEncoder.Encode(key.Modulus), Base64UrlEncoder.Encode(key.Exponent));
        return $$"""{"keys":[{"kty":"RSA","use":"sig","kid":"{{id}}","n":"{{n}}","e":"{{e}}"}]}""";
    }

    private static Metadata With(string token, params ReadOnlySpan<string> keys)
    {
        var credentials = Bearer(token);
        foreach (var key in keys)
        {
            credentials.Add("x-api-key", key);
        }

        return credentials;
    }

    /// <summary>A token with these times, as its JSON has them, signed by the secret.</summary>
    private static string Signed(string times)
    {
        var claims = $$"""{"iss":"{{Issuer}}","aud":"route-service","sub":"alice","scope":"routes.read"{{times}}}""";
        var content = $"{Base64UrlEncoder.Encode("""{"alg":"HS256","typ":"JWT"}""")}.{Base64UrlEncoder.Encode(claims)}";
        var signature = HMACSHA256.HashData(Encoding.ASCII.GetBytes(Secret), Encoding.ASCII.GetBytes(content));
        return $"{content}.{Base64UrlEncoder.Encode(signature)}";
    }

    private static Task<StatusCode> AnswerAsync(GrpcChannel channel, MethodDescriptor method, Metadata credentials) =>
        AnswerAsync(channel.CreateCallInvoker(), method.Service.FullName, method.Name, sendsOne: !method.IsClientStreaming, credentials);

    /// <summary>The status of a call of any shape, whose message, if any, is empty. OK too for a stream that has begun to answer.</summary>
    private static async Task<StatusCode> AnswerAsync(CallInvoker invoker, string service, string name, bool sendsOne, Metadata credentials)
    {
        var bytes = Marshallers.Create(static bytes => bytes, static bytes => bytes);
        using var call = invoker.AsyncDuplexStreamingCall(
            new Method<byte[], byte[]>(MethodType.DuplexStreaming, service, name, bytes, bytes),
            host: null,
            new CallOptions(credentials, Soon));
        try
        {
            if (sendsOne)
            {
                await call.RequestStream.WriteAsync([]);
            }

            await call.RequestStream.CompleteAsync();
        }
        catch (Exception e) when (e is RpcException or InvalidOperationException)
        {
            // The call has ended under the writer; its answer says why.
        }

        try
        {
            await call.ResponseStream.MoveNext(CancellationToken.None);
            return StatusCode.OK;
        }
        catch (RpcException e)
        {
            return e.StatusCode;
        }
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

    private static async Task ReflectAsync(GrpcChannel channel)
    {
        using var call = new ServerReflection.ServerReflectionClient(channel).ServerReflectionInfo(deadline: Soon);
        await call.RequestStream.WriteAsync(new ServerReflectionRequest { ListServices = "" });
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        await call.RequestStream.CompleteAsync();
    }
}
