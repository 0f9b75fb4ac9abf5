using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using RouteService.Contracts.Hello;
using RouteService.Contracts.Routeguide;

namespace RouteService.Operations.Tests;

/// <summary>Behind HAProxy, which terminates TLS and goes on in plain HTTP/2 with ":scheme: https", as other gateways do.</summary>
public sealed class GatewayTests : ServiceTest
{
    [Fact]
    public async Task Calls_come_through_a_gateway_that_terminates_TLS()
    {
        await StartAsync();
        using var authority = new Authority();
        using var certificate = authority.Certify("gateway");
        var key = certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem();
        var pem = Write("gateway.pem", $"{certificate.ExportCertificatePem()}\n{key}\n");
        await using var haproxy = await HAProxy.StartAsync(Service.Folder, $"ssl crt {pem} alpn h2", Service.GrpcPort);
        var channel = Connect($"https://localhost:{haproxy.Port}", authority.Client());

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
}
