using System.Text;
using Grpc.Core;

namespace Grpc.AspNetCore.Tests;

/// <summary>A service of texts, in the shape of generated code.</summary>
internal static class Echo
{
    public const string Name = "tests.Echo";

    private static readonly Marshaller<string> Text = Marshallers.Create(Encoding.UTF8.GetBytes, Encoding.UTF8.GetString);

    public static readonly Method<string, string> Unary = new(MethodType.Unary, Name, nameof(Unary), Text, Text);
    public static readonly Method<string, string> ClientStream = new(MethodType.ClientStreaming, Name, nameof(ClientStream), Text, Text);
    public static readonly Method<string, string> ServerStream = new(MethodType.ServerStreaming, Name, nameof(ServerStream), Text, Text);
    public static readonly Method<string, string> Duplex = new(MethodType.DuplexStreaming, Name, nameof(Duplex), Text, Text);

    public static void BindService(ServiceBinderBase binder, EchoBase? service)
    {
        binder.AddMethod(Unary, service is null ? null : new UnaryServerMethod<string, string>(service.Unary));
        binder.AddMethod(ClientStream, service is null ? null : new ClientStreamingServerMethod<string, string>(service.ClientStream));
        binder.AddMethod(ServerStream, service is null ? null : new ServerStreamingServerMethod<string, string>(service.ServerStream));
        binder.AddMethod(Duplex, service is null ? null : new DuplexStreamingServerMethod<string, string>(service.Duplex));
    }

    [BindServiceMethod(typeof(Echo), nameof(BindService))]
    public abstract class EchoBase
    {
        public virtual Task<string> Unary(string request, ServerCallContext context) => throw new RpcException(new Status(StatusCode.Unimplemented, ""));

        public virtual Task<string> ClientStream(IAsyncStreamReader<string> requests, ServerCallContext context) =>
            throw new RpcException(new Status(StatusCode.Unimplemented, ""));

        public virtual Task ServerStream(string request, IServerStreamWriter<string> responses, ServerCallContext context) =>
            throw new RpcException(new Status(StatusCode.Unimplemented, ""));

        public virtual Task Duplex(IAsyncStreamReader<string> requests, IServerStreamWriter<string> responses, ServerCallContext context) =>
            throw new RpcException(new Status(StatusCode.Unimplemented, ""));
    }
}

/// <summary>What the handlers of a test do.</summary>
internal sealed class Script
{
    public Func<string, ServerCallContext, Task<string>> Unary { get; init; } = (request, _) => Task.FromResult(request);

    public Func<IAsyncStreamReader<string>, ServerCallContext, Task<string>> ClientStream { get; init; } =
        async (requests, _) => string.Concat(await requests.ReadAllAsync().ToListAsync());

    public Func<string, IServerStreamWriter<string>, ServerCallContext, Task> ServerStream { get; init; } =
        async (request, responses, _) =>
        {
            foreach (var part in request.Split(' '))
            {
                await responses.WriteAsync(part);
            }
        };

    public Func<IAsyncStreamReader<string>, IServerStreamWriter<string>, ServerCallContext, Task> Duplex { get; init; } =
        async (requests, responses, _) =>
        {
            await foreach (var request in requests.ReadAllAsync())
            {
                await responses.WriteAsync(request);
            }
        };
}

internal sealed class EchoService(Script script) : Echo.EchoBase
{
    public override Task<string> Unary(string request, ServerCallContext context) => script.Unary(request, context);

    public override Task<string> ClientStream(IAsyncStreamReader<string> requests, ServerCallContext context) => script.ClientStream(requests, context);

    public override Task ServerStream(string request, IServerStreamWriter<string> responses, ServerCallContext context) =>
        script.ServerStream(request, responses, context);

    public override Task Duplex(IAsyncStreamReader<string> requests, IServerStreamWriter<string> responses, ServerCallContext context) =>
        script.Duplex(requests, responses, context);
}
