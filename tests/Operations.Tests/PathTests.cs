using System.Net;
using System.Security.Cryptography;
using System.Text;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Reflection.V1Alpha;
using RouteService.Contracts.Routeguide;

namespace RouteService.Operations.Tests;

/// <summary>A method has one path, whether callers are told apart or not.</summary>
public sealed class PathTests : ServiceTest
{
    private const string Key = "a-key-that-may-chat";

    private static readonly (string Path, byte[] Message)[] Methods =
    [
        ("/helloworld.Greeter/SayHello", RawConnection.Message("you")),
        ("/HelloService/LotsOfReplies", RawConnection.Message("you")),
        ("/HelloService/LotsOfGreetings", RawConnection.Message("you")),
        ("/HelloService/BidiHello", RawConnection.Message("you")),
        ("/routeguide.RouteGuide/GetFeature", RawConnection.Message(new Point { Latitude = 1 })),
        ("/routeguide.RouteGuide/ListFeatures", RawConnection.Message(new Rectangle { Lo = new Point(), Hi = new Point() })),
        ("/routeguide.RouteGuide/RecordRoute", RawConnection.Message(new Point { Latitude = 1 })),
        ("/routeguide.RouteGuide/RouteChat", RawConnection.Message(new RouteNote { Location = new Point() })),
        ("/grpc.health.v1.Health/Check", RawConnection.Message(new HealthCheckRequest())),
        ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Services),
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Services),
    ];

    private static byte[] Services => RawConnection.Message(new ServerReflectionRequest { ListServices = "*" });

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Any_other_path_is_unimplemented(bool isAuthorized, bool isAnonymous)
    {
        if (isAuthorized)
        {
            var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Key)));
            Service.Settings["RouteService__Auth__Enabled"] = "true";
            Service.Settings["RouteService__Auth__ApiKeysPath"] = Write("keys", $"a-client routes.chat {hash}\n");
        }

        await StartAsync();
        (string, string?)[] metadata = isAnonymous ? [] : [("x-api-key", Key)];
        await using var connection = await RawConnection.OpenAsync(Service.GrpcPort);
        var stream = 1;
        foreach (var (path, message) in Methods)
        {
            string[] others = ["GetFeature", "ListFeatures", "RecordRoute"];
            var isRefused = isAuthorized && others.Contains(path[(path.LastIndexOf('/') + 1)..]);
            Assert.Equal(
                isAnonymous && !path.Contains("Health", StringComparison.Ordinal) ? StatusCode.Unauthenticated
                : isRefused ? StatusCode.PermissionDenied : StatusCode.OK,
                await StatusAsync(path));
            foreach (var other in Others(path))
            {
                Assert.True(await StatusAsync(other) is StatusCode.Unimplemented, other);
            }

            async Task<StatusCode> StatusAsync(string called)
            {
                var answer = await connection.AnswerAsync(stream, called, message, metadata);
                stream += 2;
                return answer.Status;
            }
        }

        static IEnumerable<string> Others(string path)
        {
            var last = path.LastIndexOf('/');
            var (service, method) = (path[..last], path[(last + 1)..]);
            yield return path.ToLowerInvariant();
            yield return path.ToUpperInvariant();
            yield return $"{path}/";
            yield return $"{path}//";
            yield return $"/{path}";
            yield return $"{service}//{method}";
            yield return $"/x/..{path}";
            yield return $"/.{path}";
            yield return $"{service}/./{method}";
            yield return $"{service}/x/../{method}";
            yield return $"{service}/%{(int)method[0]:X2}{method[1..]}";
            yield return $"/%{(int)service[1]:X2}{service[2..]}/{method}";
            yield return $"{service}%2F{method}";
            yield return $"{path}%20";
            yield return $"{path}?";
            yield return $"{path}?a=b";
            yield return $"{path}#a";
            yield return $"{path};a=b";
            yield return $"{path}/x";
            yield return $"{service}/Nothing";
            yield return $"/no.Service/{method}";
            yield return service;
            yield return "/";
        }
    }

    [Theory]
    [InlineData("/healthz/live")]
    [InlineData("/healthz/ready")]
    [InlineData("/healthz/startup")]
    [InlineData("/metrics")]
    public async Task The_gRPC_port_has_nothing_of_the_management_port(string path)
    {
        await StartAsync();
        using var http = new HttpClient { DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };

        using var answer = await http.GetAsync($"http://localhost:{Service.GrpcPort}{path}");

        Assert.Equal((HttpStatusCode.NotFound, ""), (answer.StatusCode, await answer.Content.ReadAsStringAsync()));
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("PUT")]
    [InlineData("OPTIONS")]
    public async Task A_method_is_called_by_POST(string method)
    {
        await StartAsync();
        await using var connection = await RawConnection.OpenAsync(Service.GrpcPort);

        var answer = await connection.AnswerAsync(1, Methods[0].Path, Methods[0].Message, (":method", method));

        Assert.Equal((StatusCode.Unimplemented, "404"), (answer.Status, answer.Http));
    }
}
