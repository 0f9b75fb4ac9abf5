using System.Text;
using Grpc.Core;
using Grpc.Net.Client;

namespace Grpc.Tests.Client;

/// <summary>A service of strings, with a method of each kind.</summary>
internal static class Calls
{
    public static readonly Marshaller<string> Text = Marshallers.Create(Encoding.UTF8.GetBytes, Encoding.UTF8.GetString);

    public static readonly Method<string, string> UnaryMethod = new(MethodType.Unary, "tests.Echo", "Unary", Text, Text);
    public static readonly Method<string, string> ServerStreamingMethod = new(MethodType.ServerStreaming, "tests.Echo", "ServerStreaming", Text, Text);
    public static readonly Method<string, string> ClientStreamingMethod = new(MethodType.ClientStreaming, "tests.Echo", "ClientStreaming", Text, Text);
    public static readonly Method<string, string> DuplexMethod = new(MethodType.DuplexStreaming, "tests.Echo", "Duplex", Text, Text);

    public static AsyncUnaryCall<string> Unary(this GrpcChannel channel, string request = "hello", CallOptions options = default) =>
        channel.CreateCallInvoker().AsyncUnaryCall(UnaryMethod, null, options, request);

    public static AsyncServerStreamingCall<string> ServerStreaming(this GrpcChannel channel, string request = "hello", CallOptions options = default) =>
        channel.CreateCallInvoker().AsyncServerStreamingCall(ServerStreamingMethod, null, options, request);

    public static AsyncClientStreamingCall<string, string> ClientStreaming(this GrpcChannel channel, CallOptions options = default) =>
        channel.CreateCallInvoker().AsyncClientStreamingCall(ClientStreamingMethod, null, options);

    public static AsyncDuplexStreamingCall<string, string> Duplex(this GrpcChannel channel, CallOptions options = default) =>
        channel.CreateCallInvoker().AsyncDuplexStreamingCall(DuplexMethod, null, options);

    /// <summary>How a call failed.</summary>
    public static async Task<RpcException> FailureOf(Task call) => await Assert.ThrowsAsync<RpcException>(() => call).WaitAsync(Patience);

    public static async Task<List<string>> ToListAsync(this IAsyncStreamReader<string> responses)
    {
        var all = new List<string>();
        while (await responses.MoveNext(CancellationToken.None).WaitAsync(Patience))
        {
            all.Add(responses.Current);
        }

        return all;
    }

    /// <summary>How long a test waits for what must come, before it is called a failure rather than a slow machine.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
}
