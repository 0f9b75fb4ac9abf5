using System.Diagnostics;
using System.Net.Http;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;

namespace Grpc.Interop.Tests;

/// <summary>The cases in three pairings, without TLS and with it: ours with ours, ours with Python's server, Python's client with ours.</summary>
public sealed class InteropTests(InteropTests.Servers servers) : IClassFixture<InteropTests.Servers>
{
    public static TheoryData<string, bool> Cases => [.. from name in InteropCases.All.Keys from tls in (bool[])[false, true] select (name, tls)];

    public static TheoryData<bool> Security => [false, true];

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Our_client_with_our_server(string name, bool tls)
    {
        using var channel = servers.Open(servers.Ours(tls));

        await InteropCases.All[name](channel);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Our_client_with_Pythons_server(string name, bool tls)
    {
        Assert.SkipWhen(servers.Missing is not null, servers.Missing ?? "");
        using var channel = servers.Open(servers.Pythons(tls));

        await InteropCases.WithoutProbe[name](channel);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Pythons_client_with_our_server(string name, bool tls)
    {
        Assert.SkipWhen(servers.Missing is not null, servers.Missing ?? "");

        using var client = servers.StartPython("interop_client.py", new Uri(servers.Ours(tls)).Authority, name, tls ? servers.CertificateFile : "");
        var error = await client.StandardError.ReadToEndAsync();
        await client.WaitForExitAsync();
        Assert.True(client.ExitCode == 0, error);
    }

    [Theory]
    [MemberData(nameof(Security))]
    public Task Channel_soak_with_our_server(bool tls) => InteropCases.ChannelSoak(() => servers.Open(servers.Ours(tls)));

    [Theory]
    [MemberData(nameof(Security))]
    public Task Channel_soak_with_Pythons_server(bool tls)
    {
        Assert.SkipWhen(servers.Missing is not null, servers.Missing ?? "");
        return InteropCases.ChannelSoak(() => servers.Open(servers.Pythons(tls)));
    }

    /// <summary>Our host and Python's, each without TLS and with it.</summary>
    public sealed class Servers : IAsyncLifetime
    {
        private const string Python = "/usr/bin/python3";

        private readonly X509Certificate2 _certificate = TestCertificate.Make();
        private readonly string _folder = Directory.CreateTempSubdirectory("grpc-interop-").FullName;
        private readonly WebApplication[] _hosts;
        private readonly string[] _pythonAddresses = ["", ""];
        private readonly List<Process> _pythons = [];

        public Servers()
        {
            _hosts = [InteropHost.Build(0, certificate: null), InteropHost.Build(0, _certificate)];
        }

        public string CertificateFile => Path.Combine(_folder, "certificate.pem");

        public string? Missing { get; private set; }

        public string Ours(bool tls) => _hosts[tls ? 1 : 0].Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();

        public string Pythons(bool tls) => _pythonAddresses[tls ? 1 : 0];

        internal GrpcChannel Open(string address) => GrpcChannel.ForAddress(address, new GrpcChannelOptions
        {
            HttpHandler = new SocketsHttpHandler
            {
                SslOptions = new SslClientAuthenticationOptions
                {
                    RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate!.GetCertHashString() == _certificate.GetCertHashString(),
                },
            },
            DisposeHttpClient = true,
        });

        public async ValueTask InitializeAsync()
        {
            await File.WriteAllTextAsync(CertificateFile, _certificate.ExportCertificatePem());
            await File.WriteAllTextAsync(Path.Combine(_folder, "key.pem"), _certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
            foreach (var host in _hosts)
            {
                await host.StartAsync();
            }

            if (!File.Exists(Python) || !File.Exists("/usr/bin/protoc") || !Directory.Exists("/usr/lib/python3/dist-packages/grpc"))
            {
                Missing = "Python's grpcio is missing: apt-get install python3-grpcio protobuf-compiler";
                return;
            }

            var protos = Path.Combine(AppContext.BaseDirectory, "protos");
            using var protoc = Process.Start("/usr/bin/protoc", ["-I", protos, $"--python_out={_folder}", .. Directory.GetFiles(protos, "*.proto", SearchOption.AllDirectories)]);
            await protoc.WaitForExitAsync();
            Assert.Equal(0, protoc.ExitCode);

            // The package of Python's own gRPC is also called "grpc", so ours goes by another name, in its imports too.
            var stubs = Path.Combine(_folder, "grpc_testing_stubs");
            Directory.Move(Path.Combine(_folder, "grpc", "testing"), stubs);
            Directory.Delete(Path.Combine(_folder, "grpc"), recursive: true);
            foreach (var stub in Directory.GetFiles(stubs))
            {
                await File.WriteAllTextAsync(stub, (await File.ReadAllTextAsync(stub)).Replace("from grpc.testing import", "from grpc_testing_stubs import"));
            }

            foreach (var tls in (bool[])[false, true])
            {
                var server = StartPython("interop_server.py", tls ? CertificateFile : "", tls ? Path.Combine(_folder, "key.pem") : "");
                _pythons.Add(server);
                var port = await server.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException(await server.StandardError.ReadToEndAsync());
                _pythonAddresses[tls ? 1 : 0] = $"{(tls ? "https" : "http")}://localhost:{port}";
            }
        }

        public Process StartPython(string script, params IEnumerable<string> arguments) => Process.Start(
            new ProcessStartInfo(Python, [Path.Combine(AppContext.BaseDirectory, "python", script), .. arguments])
            {
                Environment = { ["PYTHONPATH"] = _folder, ["PYTHONDONTWRITEBYTECODE"] = "1" },
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;

        public async ValueTask DisposeAsync()
        {
            foreach (var python in _pythons)
            {
                python.Kill();
                await python.WaitForExitAsync();
                python.Dispose();
            }

            foreach (var host in _hosts)
            {
                await host.DisposeAsync();
            }

            _certificate.Dispose();
            Directory.Delete(_folder, recursive: true);
        }
    }
}
