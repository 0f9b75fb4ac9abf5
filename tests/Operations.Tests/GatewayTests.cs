using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Grpc.Net.Client;
using RouteService.Contracts.Hello;
using RouteService.Contracts.Routeguide;

namespace RouteService.Operations.Tests;

/// <summary>Behind HAProxy, which terminates TLS and goes on in plain HTTP/2 with ":scheme: https", as other gateways do.</summary>
public sealed class GatewayTests : ServiceTest
{
    private const string Program = "/usr/sbin/haproxy";

    [Fact]
    public async Task Calls_come_through_a_gateway_that_terminates_TLS()
    {
        Assert.SkipUnless(File.Exists(Program), "haproxy is missing: apt-get install haproxy");
        await StartAsync();
        using var authority = new Authority();
        using var certificate = authority.Certify("gateway");
        var port = FreePort();
        var key = certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem();
        var pem = Write("gateway.pem", $"{certificate.ExportCertificatePem()}\n{key}\n");
        var configuration = Write("haproxy.cfg", $"""
            defaults
              mode http
              timeout client 60s
              timeout server 60s
              timeout connect 5s
            frontend gateway
              bind 127.0.0.1:{port} ssl crt {pem} alpn h2
              default_backend service
            backend service
              server one 127.0.0.1:{Service.GrpcPort} proto h2

            """);
        using var haproxy = Process.Start(new ProcessStartInfo(Program, ["-db", "-f", configuration]) { RedirectStandardError = true })!;
        try
        {
            var channel = Connect($"https://localhost:{port}", authority.Client());
            await WaitForAsync(port, haproxy);

            Assert.Equal("Hello, you!", (await HelloAsync(channel)).Message);
            await RefusalAsync(StatusCode.InvalidArgument, new RouteGuide.RouteGuideClient(channel)
                .GetFeatureAsync(new Point { Latitude = 900_000_001 }, deadline: Soon).ResponseAsync);
            using var call = new HelloService.HelloServiceClient(channel).BidiHello(deadline: Soon);
            foreach (var name in (string[])["A", "B"])
            {
                await call.RequestStream.WriteAsync(new HelloRequest { Greeting = name });
                Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
                Assert.Equal($"Hello, {name}!", call.ResponseStream.Current.Reply);
            }

            await call.RequestStream.CompleteAsync();
            Assert.False(await call.ResponseStream.MoveNext(CancellationToken.None));
        }
        finally
        {
            haproxy.Kill();
            await haproxy.WaitForExitAsync();
        }
    }

    private static async Task WaitForAsync(int port, Process haproxy)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            Assert.False(haproxy.HasExited, haproxy.HasExited ? await haproxy.StandardError.ReadToEndAsync(patience.Token) : "");
            try
            {
                using var socket = new TcpClient();
                await socket.ConnectAsync(IPAddress.Loopback, port, patience.Token);
                return;
            }
            catch (SocketException)
            {
                await Task.Delay(50, patience.Token);
            }
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
