using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using static RouteService.Client.Tests.Places;

namespace RouteService.Client.Tests;

/// <summary>Certificates and tokens, with the built service.</summary>
public sealed class SecurityTests : IAsyncDisposable
{
    private const string Secret = "0123456789abcdef0123456789abcdef";

    private readonly RunningService _service = new();
    private readonly Authority _authority = new("The right authority");

    [Fact]
    public async Task TLS_and_mutual_TLS_by_an_authority_of_ones_own_and_what_is_wrong_is_said()
    {
        using var server = _authority.Certify("server");
        using var own = _authority.Certify("client");
        using var stranger = new Authority("Another authority").Certify("stranger");
        var authority = Write("authority.pem", _authority.Pem);
        _service.Settings["RouteService__Grpc__CertificatePath"] = Write("server.pem", server.ExportCertificatePem());
        _service.Settings["RouteService__Grpc__CertificateKeyPath"] = Write("server.key", Key(server));
        _service.Settings["RouteService__Grpc__ClientCaPath"] = authority;
        await _service.InitializeAsync();
        var address = $"https://{_service.Address}";

        await using var client = With(own, apart: true, authority);
        Assert.Equal("Hello, you!", await client.SayHelloAsync("you"));

        // By name, with the certificate and its key in one file.
        await using var byName = With(own, apart: false, authority, $"dns:///{_service.Address}");
        Assert.Equal("Hello, you!", await byName.SayHelloAsync("you"));

        // The server's certificate is not from who is trusted.
        await using var distrustful = With(own, apart: true, Write("another.pem", new Authority("Yet another").Pem), seconds: 3);
        await distrustful.ConnectAsync(); // TLS begins with a call.
        var error = await Assert.ThrowsAsync<RouteServiceException>(() => distrustful.SayHelloAsync("you"));
        Assert.Equal(FailureReason.Unavailable, error.Reason);
        Assert.Matches("certificate is invalid|PartialChain|UntrustedRoot", error.Message);

        // The server does not trust this client, or does not know who it is.
        await using var untrusted = With(stranger, apart: true, authority);
        await using var unknown = With(null, apart: true, authority);
        foreach (var refused in (RouteServiceClient[])[untrusted, unknown])
        {
            error = await Assert.ThrowsAsync<RouteServiceException>(() => refused.SayHelloAsync("you"));
            Assert.True(error.Reason == FailureReason.Unavailable, error.ToString());
        }

        // Files that are not what they should be, at once.
        Assert.ThrowsAny<IOException>(() => With(own, apart: true, "/none.pem"));
        Assert.Contains("AuthorityFile has no certificate", Assert.ThrowsAny<CryptographicException>(() => With(own, apart: true, Write("bad.pem", "no PEM"))).Message);
        Assert.ThrowsAny<CryptographicException>(() => With(own, apart: true, authority, key: Write("bad.key", "no key")));

        RouteServiceClient With(X509Certificate2? shown, bool apart, string trusted, string? at = null, string? key = null, int seconds = 30) => Connect(at ?? address, options => options with
        {
            Timeout = TimeSpan.FromSeconds(seconds),
            Tls = new TlsOptions
            {
                AuthorityFile = trusted,
                ClientCertificateFile = shown is null ? null : Write($"{shown.Subject}.pem", apart ? shown.ExportCertificatePem() : $"{shown.ExportCertificatePem()}\n{Key(shown)}"),
                ClientKeyFile = shown is null || !apart ? null : key ?? Write($"{shown.Subject}.key", Key(shown)),
            },
        });
    }

    [Fact]
    public async Task A_token_is_asked_for_at_each_call_of_every_kind_and_a_service_that_takes_none_says_why()
    {
        _service.Settings["RouteService__Auth__Enabled"] = "true";
        _service.Settings["RouteService__Auth__Jwt__Issuer"] = "https://issuer.example";
        _service.Settings["RouteService__Auth__Jwt__KeyPath"] = Write("key", Secret);
        await _service.InitializeAsync();
        var scopes = "routes.read routes.write routes.chat";
        var asked = 0;
        await using var client = Connect($"http://{_service.Address}", options => options with
        {
            SendTokenWithoutTls = true,
            BearerToken = async cancellationToken =>
            {
                await Task.Delay(1, cancellationToken);
                Interlocked.Increment(ref asked);
                return scopes is null ? null : Token(scopes);
            },
        });

        await client.GetFeatureAsync(Here);
        await ToListAsync(client.ListFeaturesAsync(new BoundingBox(Here, Here)));
        Assert.Equal(1, (await client.RecordRouteAsync([Here])).Points);
        await using (var chat = await client.JoinChatAsync())
        {
            await chat.PostAsync(Here, "hello");
        }

        Assert.Equal(4, asked);

        scopes = "routes.read";
        Assert.Equal(FailureReason.PermissionDenied, (await Assert.ThrowsAsync<RouteServiceException>(() => client.RecordRouteAsync([Here]))).Reason);

        scopes = null;
        var error = await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));
        Assert.Equal((FailureReason.Unauthenticated, false, 1), (error.Reason, error.IsTransient, error.Attempts));
        Assert.Contains("authorization: Bearer TOKEN", error.Message);
        Assert.Contains("Set BearerToken", error.Message);
    }

    [Fact]
    public async Task A_token_that_does_not_come_costs_no_more_than_the_calls_time()
    {
        await using var client = Connect("http://127.0.0.1:1", static options => options with
        {
            SendTokenWithoutTls = true,
            BearerToken = static _ => new(new TaskCompletionSource<string?>().Task),
        });
        using var cancel = new CancellationTokenSource(200);

        foreach (var call in (Func<TimeSpan, Task>[])
            [
                time => client.GetFeatureAsync(Here, time),
                time => ToListAsync(client.ListFeaturesAsync(BoundingBox.World, time)),
                time => client.RecordRouteAsync([Here], time),
            ])
        {
            var error = await Assert.ThrowsAsync<RouteServiceException>(() => call(TimeSpan.FromMilliseconds(200)));
            Assert.Equal(FailureReason.DeadlineExceeded, error.Reason);
            Assert.Contains("BearerToken", error.Message);
        }

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.GetFeatureAsync(Here, cancellationToken: cancel.Token));
    }

    public async ValueTask DisposeAsync()
    {
        await _service.DisposeAsync();
        _authority.Dispose();
    }

    private string Write(string name, string content)
    {
        var path = Path.Combine(_service.Folder, name);
        File.WriteAllText(path, content);
        return path;
    }

    private static string Key(X509Certificate2 certificate) => certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem();

    /// <summary>A JSON Web Token (RFC 7519), signed by the secret that the service has.</summary>
    private static string Token(string scopes)
    {
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        var payload = $$"""{"iss":"https://issuer.example","aud":"route-service","sub":"alice","scope":"{{scopes}}","nbf":{{now}},"exp":{{now + 300}}}""";
        var signed = $"{Encode("""{"alg":"HS256","typ":"JWT"}""")}.{Encode(payload)}";
        return $"{signed}.{Base64Url.EncodeToString(HMACSHA256.HashData(Encoding.ASCII.GetBytes(Secret), Encoding.ASCII.GetBytes(signed)))}";

        static string Encode(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));
    }
}
