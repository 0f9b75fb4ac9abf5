using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;

namespace RouteService.Operations.Tests;

public sealed class TlsTests : ServiceTest
{
    private readonly Authority _authority = new();

    [Theory]
    [InlineData("pem")]
    [InlineData("pem and key")]
    [InlineData("encrypted pem")]
    [InlineData("pem and encrypted key")]
    [InlineData("pfx")]
    public async Task A_certificate_makes_the_port_speak_TLS(string form)
    {
        using var certificate = _authority.Certify("first");
        Use(certificate, form);
        await StartAsync();

        await HelloAsync(Connect(_authority.Client()));
        // It is the client that refuses, and the stock one says so.
        await RefusalAsync(StatusCode.Internal, HelloAsync(Connect(new Authority("Another").Client())));
        Assert.Contains($"gRPC on port {Service.GrpcPort} (TLS)", Service.Output);
    }

    [Fact]
    public async Task A_new_certificate_is_used_by_new_connections_and_a_spoilt_one_is_not()
    {
        using var first = _authority.Certify("first");
        using var second = _authority.Certify("second");
        Use(first, "pem and key");
        await StartAsync();
        var seen = new List<string>();
        var old = Connect(_authority.Client(seen: seen.Add));
        await HelloAsync(old);

        Write("server.pem", "nothing");
        await Service.OutputAsync("server.pem', which cannot be used:");
        await HelloAsync(Connect(_authority.Client(seen: seen.Add)));

        Use(second, "pem and key");
        await Service.OutputAsync("server.pem has changed and is in use.");
        await HelloAsync(Connect(_authority.Client(seen: seen.Add)));
        await HelloAsync(old);

        Assert.Equal(["CN=first", "CN=first", "CN=second"], seen);
    }

    [Fact]
    public async Task Mutual_TLS_lets_in_who_has_a_certificate_of_the_authority()
    {
        using var server = _authority.Certify("server");
        using var client = _authority.Certify("client");
        using var stranger = new Authority().Certify("client");
        Use(server, "pem");
        Service.Settings["RouteService__Grpc__ClientCaPath"] = Write("ca.pem", _authority.Pem);
        await StartAsync();

        await HelloAsync(Connect(_authority.Client(client)));
        await RefusalAsync(StatusCode.Unavailable, HelloAsync(Connect(_authority.Client())));
        await RefusalAsync(StatusCode.Unavailable, HelloAsync(Connect(_authority.Client(stranger))));
        await HelloAsync(Connect(_authority.Client(client)));
    }

    [Fact]
    public async Task Mutual_TLS_knows_intermediate_authorities_by_their_root()
    {
        using var server = _authority.Certify("server");
        using var intermediate = new Authority("An intermediate", _authority);
        using var client = intermediate.Certify("client");
        Use(server, "pem");
        Service.Settings["RouteService__Grpc__ClientCaPath"] = Write("ca.pem", $"{intermediate.Pem}\n{_authority.Pem}\n");
        await StartAsync();

        await HelloAsync(Connect(_authority.Client(client)));
    }

    [Fact]
    public async Task Failed_handshakes_are_told_with_their_reason_and_not_each_of_them()
    {
        using var server = _authority.Certify("server");
        using var stranger = new Authority("Another").Certify("client");
        Use(server, "pem");
        Service.Settings["RouteService__Grpc__ClientCaPath"] = Write("ca.pem", _authority.Pem);
        await StartAsync();

        for (var i = 0; i < 5; i++)
        {
            // UNAVAILABLE, or INTERNAL: in TLS 1.3 the client has ended its handshake when the service refuses it.
            await Assert.ThrowsAsync<RpcException>(() => HelloAsync(Connect(_authority.Client(stranger))));
        }

        var output = await Service.OutputAsync("A TLS handshake failed: ");
        Assert.Contains("errors in the certificate chain: PartialChain", output, StringComparison.Ordinal);
        Assert.Equal(2, output.Split("A TLS handshake failed: ").Length);
    }

    /// <summary>Records of TLS that are no ClientHello: an alert, a change of the cipher, data.</summary>
    [Theory]
    [InlineData("15030300020228")]
    [InlineData("140303000101")]
    [InlineData("170303000400000000")]
    [InlineData("474554202f20485454502f312e310d0a0d0a")]
    public async Task Clients_that_begin_without_a_handshake_are_told_and_not_each_of_them(string record)
    {
        using var server = _authority.Certify("server");
        Use(server, "pem");
        await StartAsync();

        for (var i = 0; i < 5; i++)
        {
            using var client = new TcpClient("localhost", Service.GrpcPort);
            await client.GetStream().WriteAsync(Convert.FromHexString(record));
            try
            {
                while (await client.GetStream().ReadAsync(new byte[100]) > 0)
                {
                }
            }
            catch (IOException)
            {
                // It is reset.
            }
        }

        await HelloAsync(Connect(_authority.Client()));
        var output = await Service.OutputAsync("andshake");
        Assert.DoesNotContain("fail:", output);
        Assert.Equal(2, output.Split("since the last such line").Length);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Clients_without_HTTP_2_are_told_and_not_each_of_them(bool offersAnother)
    {
        using var server = _authority.Certify("server");
        Use(server, "pem");
        await StartAsync();

        for (var i = 0; i < 5; i++)
        {
            using var client = new TcpClient("localhost", Service.GrpcPort);
            await using var tls = new SslStream(client.GetStream());
            try
            {
                await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
                {
                    TargetHost = "localhost",
                    RemoteCertificateValidationCallback = (_, shown, _, _) => shown!.GetSerialNumberString() == server.SerialNumber,
                    ApplicationProtocols = offersAnother ? [SslApplicationProtocol.Http11] : null,
                });
                Assert.Equal(0, await tls.ReadAsync(new byte[1]));
            }
            catch (Exception e) when (offersAnother && e is AuthenticationException or IOException)
            {
                // The handshake itself fails where the two have no protocol in common.
            }
        }

        var output = await Service.OutputAsync(offersAnother ? "A TLS handshake failed: " : "A client does not offer HTTP/2 in its TLS handshake");
        Assert.Equal(2, output.Split(offersAnother ? "A TLS handshake failed: " : "A client does not offer HTTP/2").Length);
        Assert.DoesNotContain("fail:", output);
        await HelloAsync(Connect(_authority.Client()));
    }

    [Fact]
    public async Task An_intermediate_authority_without_its_root_is_refused()
    {
        using var server = _authority.Certify("server");
        using var intermediate = new Authority("An intermediate", _authority);
        Use(server, "pem");
        Service.Settings["RouteService__Grpc__ClientCaPath"] = Write("ca.pem", intermediate.Pem);

        await AssertRefusedAsync(
            "RouteService__Grpc__ClientCaPath has the intermediate authority 'CN=An intermediate' without the root that it leads to; "
            + "add the certificate of 'CN=An authority'.",
            Service.Settings);
    }

    [Theory]
    [InlineData("CertificateKeyPath is set, and RouteService__Grpc__CertificatePath is not", "CertificateKeyPath", "server.key")]
    [InlineData("CertificatePassword is set, and RouteService__Grpc__CertificatePath is not", "CertificatePassword", "secret")]
    [InlineData("RouteService__Grpc__ClientCaPath is set, and RouteService__Grpc__CertificatePath is not", "ClientCaPath", "ca.pem")]
    [InlineData("RouteService__Grpc__CertificatePath is 'ca.pem', which cannot be used", "CertificatePath", "ca.pem")]
    public async Task A_wrong_setting_is_told_in_one_line(string complaint, string name, string value)
    {
        Write("ca.pem", _authority.Pem);

        await AssertRefusedAsync(
            complaint, new Dictionary<string, string>(RunningService.Environment) { [$"RouteService__Grpc__{name}"] = value });
    }

    [Theory]
    [InlineData("encrypted pem", null, "which cannot be used: the key is encrypted; set RouteService__Grpc__CertificatePassword.")]
    [InlineData("pem and encrypted key", null, "of RouteService__Grpc__CertificateKeyPath: the key is encrypted; set RouteService__Grpc__CertificatePassword.")]
    [InlineData("pem and encrypted key", "wr0ng", "the key is not that of the certificate, or RouteService__Grpc__CertificatePassword is not its password.")]
    [InlineData("pem", "wr0ng", "the key is not encrypted, and RouteService__Grpc__CertificatePassword is set; remove one.")]
    [InlineData("old", "wr0ng", "the key is encrypted in an old form; expected PKCS #8")]
    public async Task A_key_and_its_password_belong_together(string form, string? password, string complaint)
    {
        using var certificate = _authority.Certify("server");
        Use(certificate, form is "old" ? "pem" : form);
        Service.Settings.Remove("RouteService__Grpc__CertificatePassword");
        if (password is not null)
        {
            Service.Settings["RouteService__Grpc__CertificatePassword"] = password;
        }

        if (form is "old")
        {
            Write("server.pem", $"{certificate.ExportCertificatePem()}\n-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n");
        }

        await AssertRefusedAsync(complaint, Service.Settings);
    }

    private static string Encrypt(X509Certificate2 certificate) => certificate.GetECDsaPrivateKey()!.ExportEncryptedPkcs8PrivateKeyPem(
        "secret", new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1_000));

    private async Task AssertRefusedAsync(string complaint, Dictionary<string, string> settings)
    {
        var answer = await Command.RunServiceAsync([], settings, Service.Folder);

        Assert.Equal(1, answer.ExitCode);
        Assert.Contains(complaint, answer.Error);
        Assert.Single(answer.Error.Trim().Split('\n'));
    }

    private void Use(X509Certificate2 certificate, string form)
    {
        var path = Path.Combine(Service.Folder, "server.pem");
        Service.Settings["RouteService__Grpc__CertificatePath"] = path;
        var key = certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem();
        switch (form)
        {
            case "pfx":
                File.WriteAllBytes(path, certificate.Export(X509ContentType.Pfx, "secret"));
                Service.Settings["RouteService__Grpc__CertificatePassword"] = "secret";
                break;

            case "pem":
                Write("server.pem", $"{certificate.ExportCertificatePem()}\n{key}\n");
                break;

            case "encrypted pem":
                Service.Settings["RouteService__Grpc__CertificatePassword"] = "secret";
                Write("server.pem", $"{certificate.ExportCertificatePem()}\n{Encrypt(certificate)}\n");
                break;

            case "pem and encrypted key":
                Service.Settings["RouteService__Grpc__CertificatePassword"] = "secret";
                Service.Settings["RouteService__Grpc__CertificateKeyPath"] = Write("server.key", Encrypt(certificate));
                Write("server.pem", certificate.ExportCertificatePem());
                break;

            default:
                // The key first: between the two writes the pair does not fit, as it can be in life.
                Service.Settings["RouteService__Grpc__CertificateKeyPath"] = Write("server.key", key);
                Write("server.pem", certificate.ExportCertificatePem());
                break;
        }
    }
}
