using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.AspNetCore.Tests.Protos;
using Grpc.Core;
using Grpc.Reflection.V1;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Answer = Grpc.Reflection.V1.ServerReflectionResponse.MessageResponseOneofCase;

namespace Grpc.AspNetCore.Tests;

/// <summary>Both reflection services; v1alpha has the messages of v1 under another name.</summary>
public sealed class ReflectionTests
{
    private const string V1 = "grpc.reflection.v1.ServerReflection";
    private const string V1Alpha = "grpc.reflection.v1alpha.ServerReflection";

    [Theory]
    [InlineData(V1)]
    [InlineData(V1Alpha)]
    public async Task Services_are_listed_but_those_that_cannot_be_described(string service)
    {
        var answer = Assert.Single(await AskAsync(service, new ServerReflectionRequest { ListServices = "" }));

        Assert.Equal(["grpc.health.v1.Health", V1, V1Alpha, "tests.Things"], answer.ListServicesResponse.Service.Select(one => one.Name));
    }

    [Theory]
    [InlineData(V1)]
    [InlineData(V1Alpha)]
    public async Task A_file_comes_with_all_it_imports(string service)
    {
        var answer = Assert.Single(await AskAsync(service, new ServerReflectionRequest { FileByFilename = "things.proto" }));

        Assert.Equal(["things.proto", "google/protobuf/duration.proto", "parts.proto"], FilesOf(answer));
    }

    [Theory]
    [InlineData("tests.Things", "things.proto")]
    [InlineData("tests.Things.Take", "things.proto")]
    [InlineData("tests.Thing", "things.proto")]
    [InlineData(".tests.Thing", "things.proto")]
    [InlineData("tests.Thing.inner", "things.proto")]
    [InlineData("tests.Thing.choice", "things.proto")]
    [InlineData("tests.Thing.Inner", "things.proto")]
    [InlineData("tests.Thing.Inner.Color", "things.proto")]
    [InlineData("tests.Thing.Inner.BLUE", "things.proto")]
    [InlineData("tests.note", "things.proto")]
    [InlineData("tests.Holder.weight", "things.proto")]
    [InlineData("tests.Part.name", "parts.proto")]
    [InlineData("google.protobuf.Duration", "google/protobuf/duration.proto")]
    [InlineData("grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto")]
    public async Task A_symbol_of_any_kind_is_found_in_its_file(string symbol, string file)
    {
        foreach (var service in (string[])[V1, V1Alpha])
        {
            var answer = Assert.Single(await AskAsync(service, new ServerReflectionRequest { FileContainingSymbol = symbol }));
            Assert.Equal(file, FilesOf(answer)[0]);
        }
    }

    [Theory]
    [InlineData(V1)]
    [InlineData(V1Alpha)]
    public async Task Extensions_are_found_by_the_message_they_extend(string service)
    {
        var answers = await AskAsync(
            service,
            new ServerReflectionRequest { AllExtensionNumbersOfType = "tests.Thing" },
            new ServerReflectionRequest { AllExtensionNumbersOfType = "tests.Part" },
            new ServerReflectionRequest { FileContainingExtension = new ExtensionRequest { ContainingType = "tests.Thing", ExtensionNumber = 101 } });

        Assert.Equal([101, 102], answers[0].AllExtensionNumbersResponse.ExtensionNumber);
        Assert.Equal("tests.Thing", answers[0].AllExtensionNumbersResponse.BaseTypeName);
        Assert.Empty(answers[1].AllExtensionNumbersResponse.ExtensionNumber);
        Assert.Equal("things.proto", FilesOf(answers[2])[0]);
    }

    [Theory]
    [InlineData(V1)]
    [InlineData(V1Alpha)]
    public async Task What_is_not_there_is_NOT_FOUND_and_the_stream_goes_on(string service)
    {
        ServerReflectionRequest[] requests =
        [
            new() { Host = "a", FileByFilename = "no.proto" },
            new() { Host = "b", FileContainingSymbol = "tests.Nothing" },
            new() { Host = "c", FileContainingExtension = new ExtensionRequest { ContainingType = "tests.Thing", ExtensionNumber = 199 } },
            new() { Host = "d", FileContainingExtension = new ExtensionRequest { ContainingType = "tests.Nothing", ExtensionNumber = 1 } },
            new() { Host = "e", AllExtensionNumbersOfType = "tests.Nothing" },
            new() { Host = "f" },
            new() { Host = "g", FileByFilename = "parts.proto" },
        ];

        var answers = await AskAsync(service, requests);

        Assert.Equal(requests.Select(request => (request.Host, request)), answers.Select(answer => (answer.ValidHost, answer.OriginalRequest)));
        Assert.Equal([5, 5, 5, 5, 5, 3], answers.Take(6).Select(answer => answer.ErrorResponse.ErrorCode));
        Assert.All(answers.Take(6), answer => Assert.NotEmpty(answer.ErrorResponse.ErrorMessage));
        Assert.Equal(Answer.FileDescriptorResponse, answers[6].MessageResponseCase);
    }

    [Theory]
    [InlineData(V1)]
    [InlineData(V1Alpha)]
    public async Task From_the_files_of_every_service_all_can_be_built(string service)
    {
        var services = Assert.Single(await AskAsync(service, new ServerReflectionRequest { ListServices = "*" })).ListServicesResponse.Service;

        foreach (var name in services.Select(one => one.Name))
        {
            var answer = Assert.Single(await AskAsync(service, new ServerReflectionRequest { FileContainingSymbol = name }));
            var files = answer.FileDescriptorResponse.FileDescriptorProto.ToDictionary(file => FileDescriptorProto.Parser.ParseFrom(file).Name);
            var sorted = new List<string>();
            Add(FilesOf(answer)[0]);
            var built = FileDescriptor.BuildFromByteStrings(sorted.Select(file => files[file]));
            Assert.Contains(name, built[^1].Services.Select(one => one.FullName));

            // What a file imports must be there before it.
            void Add(string file)
            {
                foreach (var import in FileDescriptorProto.Parser.ParseFrom(files[file]).Dependency.Where(import => !sorted.Contains(import)))
                {
                    Add(import);
                }

                sorted.Add(file);
            }
        }
    }

    private static async Task<List<ServerReflectionResponse>> AskAsync(string service, params ServerReflectionRequest[] requests)
    {
        await using var server = await EchoServer.StartAsync(
            services: services =>
            {
                services.AddGrpcReflection();
                services.AddGrpcHealthChecks();
            },
            map: app =>
            {
                app.MapGrpcService<ThingsService>();
                app.MapGrpcHealthChecksService();
                app.MapGrpcReflectionService();
            });
        var method = new Method<ServerReflectionRequest, ServerReflectionResponse>(
            MethodType.DuplexStreaming,
            service,
            "ServerReflectionInfo",
            Marshallers.Create(message => message.ToByteArray(), ServerReflectionRequest.Parser.ParseFrom),
            Marshallers.Create(message => message.ToByteArray(), ServerReflectionResponse.Parser.ParseFrom));
        using var call = server.Calls.AsyncDuplexStreamingCall(method, null, default);
        foreach (var request in requests)
        {
            await call.RequestStream.WriteAsync(request);
        }

        await call.RequestStream.CompleteAsync();
        return await call.ResponseStream.ReadAllAsync().ToListAsync();
    }

    private static List<string> FilesOf(ServerReflectionResponse answer) =>
        [.. answer.FileDescriptorResponse.FileDescriptorProto.Select(file => FileDescriptorProto.Parser.ParseFrom(file).Name)];

    private sealed class ThingsService : Things.ThingsBase;
}
