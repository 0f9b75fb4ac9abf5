using System.Buffers;
using System.IO.Compression;
using System.Text;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;
using Grpc.Wire;
using Microsoft.AspNetCore.Http;
using static Grpc.Tests.Client.Answers;
using static Grpc.Tests.Client.Calls;

namespace Grpc.Tests.Client;

/// <summary>What a call sends besides its message: metadata, credentials, encodings.</summary>
public sealed class RequestTests
{
    [Fact]
    public async Task Metadata_is_sent_as_headers_and_binary_in_base64()
    {
        await using var server = await ScriptedServer.StartAsync(http => SendHeadersAsync(http, "x-text", "x-raw-bin", "expires", "grpc-timeout", "te"));
        var metadata = new Metadata
        {
            { "X-Text", "a" },
            { "x-text", "b" },
            { "x-raw-bin", [0, 255, 16] },
            { "x-raw-bin", [1] },
            { "expires", "never" },
            { "grpc-timeout", "1n" },
            { "te", "nothing" },
        };

        Assert.Equal("x-text=a,b; x-raw-bin=AP8Q,AQ; expires=never; grpc-timeout=; te=trailers", await server.Channel.Unary(options: new CallOptions(metadata)));
    }

    [Fact]
    public async Task The_user_agent_is_the_runtimes()
    {
        await using var server = await ScriptedServer.StartAsync(http => SendHeadersAsync(http, "user-agent"));

        Assert.StartsWith("user-agent=grpc-dotnet-bundled/", await server.Channel.Unary(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_host_of_a_call_is_its_authority()
    {
        await using var server = await ScriptedServer.StartAsync(http => SendHeadersAsync(http, "host"));

        Assert.Equal(
            "host=elsewhere.example", await server.Channel.CreateCallInvoker().AsyncUnaryCall(UnaryMethod, "elsewhere.example", default, "hello"));
    }

    [Fact]
    public async Task A_value_that_no_header_can_hold_ends_the_call_unsent()
    {
        await using var server = await ScriptedServer.StartAsync(http => SendHeadersAsync(http, "x-text"));

        var failure = await FailureOf(server.Channel.Unary(options: new CallOptions([new("x-text", "☕")])).ResponseAsync);

        Assert.Equal(StatusCode.Internal, failure.StatusCode);
    }

    [Fact]
    public async Task Requests_are_compressed_where_the_call_asks_for_it()
    {
        await using var server = await ScriptedServer.StartAsync(DescribeRequestsAsync);
        var gzip = new CallOptions([new("grpc-internal-encoding-request", "gzip")]);
        var text = new string('x', 10_000);

        Assert.Equal($"gzip: compressed {text}", await server.Channel.Unary(text, gzip));
        Assert.Equal($"gzip: plain {text}", await server.Channel.Unary(text, gzip.WithWriteOptions(new WriteOptions(WriteFlags.NoCompress))));
        Assert.Equal($": plain {text}", await server.Channel.Unary(text));
    }

    [Fact]
    public async Task Each_request_of_a_stream_may_be_compressed_or_not()
    {
        await using var server = await ScriptedServer.StartAsync(DescribeRequestsAsync);
        using var call = server.Channel.ClientStreaming(new CallOptions([new("grpc-internal-encoding-request", "gzip")]));

        await call.RequestStream.WriteAsync("a");
        call.RequestStream.WriteOptions = new WriteOptions(WriteFlags.NoCompress);
        await call.RequestStream.WriteAsync("b");
        await call.RequestStream.CompleteAsync();

        Assert.Equal("gzip: compressed a plain b", await call);
    }

    [Fact]
    public async Task An_encoding_that_is_not_known_here_ends_the_call_unsent()
    {
        await using var server = await ScriptedServer.StartAsync(DescribeRequestsAsync);

        var failure = await FailureOf(server.Channel.Unary(options: new CallOptions([new("grpc-internal-encoding-request", "zip")])).ResponseAsync);

        Assert.Equal(StatusCode.Internal, failure.StatusCode);
        Assert.Contains("'zip'", failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Responses_may_be_compressed()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            http.Grpc().Headers["grpc-encoding"] = "gzip";
            await http.Response.SendAsync(Message(Gzip("zipped"), compressed: true), Message("plain"));
            http.Response.End();
        });
        using var call = server.Channel.ServerStreaming();

        Assert.Equal("zipped plain", string.Join(' ', await call.ResponseStream.ToListAsync()));
    }

    [Theory]
    [InlineData("gzip", "not gzip at all", "not valid gzip")]
    [InlineData("zip", "", "'zip'")]
    [InlineData("identity", "", "no grpc-encoding")]
    [InlineData(null, "", "no grpc-encoding")]
    public async Task A_compressed_response_that_cannot_be_read_is_internal(string? encoding, string payload, string reason)
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            http.Grpc().Headers["grpc-encoding"] = encoding;
            await http.Response.SendAsync(Message(Encoding.UTF8.GetBytes(payload), compressed: true));
            http.Response.End();
        });

        var failure = await FailureOf(server.Channel.Unary().ResponseAsync);

        Assert.Equal(StatusCode.Internal, failure.StatusCode);
        Assert.Contains(reason, failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_decompression_bomb_stops_at_the_limit()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            http.Grpc().Headers["grpc-encoding"] = "gzip";
            await http.Response.SendAsync(Message(Gzip(new string('0', 50_000_000)), compressed: true));
            http.Response.End();
        });

        Assert.Equal(StatusCode.ResourceExhausted, (await FailureOf(server.Channel.Unary().ResponseAsync)).StatusCode);
    }

    [Fact]
    public async Task Call_credentials_are_not_sent_without_TLS()
    {
        await using var server = await ScriptedServer.StartAsync(http => SendHeadersAsync(http, "authorization"));

        var failure = await FailureOf(server.Channel.Unary(options: new CallOptions(credentials: Token("call"))).ResponseAsync);

        Assert.Equal(StatusCode.Unauthenticated, failure.StatusCode);
    }

    [Fact]
    public async Task Call_credentials_are_sent_without_TLS_where_that_is_asked_for()
    {
        await using var server = await ScriptedServer.StartAsync(
            http => SendHeadersAsync(http, "authorization"),
            new GrpcChannelOptions
            {
                UnsafeUseInsecureChannelCallCredentials = true,
                Credentials = ChannelCredentials.Create(ChannelCredentials.Insecure, Token("channel")),
            });

        var tokens = await server.Channel.Unary(options: new CallOptions(credentials: CallCredentials.Compose(Token("one"), Token("two"))));

        Assert.Equal(
            $"authorization=one {server.Address}/tests.Echo Unary,two {server.Address}/tests.Echo Unary,channel {server.Address}/tests.Echo Unary", tokens);
    }

    [Fact]
    public async Task Credentials_that_fail_end_the_call_with_their_status()
    {
        await using var server = await ScriptedServer.StartAsync(
            http => SendHeadersAsync(http), new GrpcChannelOptions { UnsafeUseInsecureChannelCallCredentials = true });
        var failing = CallCredentials.FromInterceptor((_, _) => throw new RpcException(new Status(StatusCode.Unauthenticated, "no token today")));

        var failure = await FailureOf(server.Channel.Unary(options: new CallOptions(credentials: failing)).ResponseAsync);

        Assert.Equal((StatusCode.Unauthenticated, "no token today"), (failure.StatusCode, failure.Status.Detail));
    }

    [Fact]
    public async Task Interceptors_stand_around_the_call_from_the_outermost_in()
    {
        await using var server = await ScriptedServer.StartAsync(http => SendHeadersAsync(http, "x-by"));
        var invoker = server.Channel.CreateCallInvoker().Intercept(new Stamp("outer"), new Stamp("inner"));

        Assert.Equal("x-by=outer,inner", await invoker.AsyncUnaryCall(UnaryMethod, null, default, "hello"));
    }

    private static CallCredentials Token(string name) => CallCredentials.FromInterceptor((context, metadata) =>
    {
        metadata.Add("authorization", $"{name} {context.ServiceUrl} {context.MethodName}");
        return Task.CompletedTask;
    });

    private static byte[] Gzip(string text)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
        {
            gzip.Write(Encoding.UTF8.GetBytes(text));
        }

        return packed.ToArray();
    }

    private static async Task SendHeadersAsync(HttpContext http, params string[] names)
    {
        var headers = names.Select(name => $"{name}={http.Request.Headers[name]}");
        await http.Grpc().SendAsync(Message(string.Join("; ", headers)));
        http.Response.End();
    }

    private static async Task DescribeRequestsAsync(HttpContext http)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);
        var unread = new ReadOnlySequence<byte>(body.ToArray());
        var answer = $"{http.Request.Headers["grpc-encoding"]}:";
        while (MessageFrame.TryRead(ref unread, null, out var compressed, out var payload))
        {
            using var plain = new MemoryStream(payload.ToArray());
            using Stream reader = compressed ? new GZipStream(plain, CompressionMode.Decompress) : plain;
            answer += $" {(compressed ? "compressed" : "plain")} {await new StreamReader(reader).ReadToEndAsync()}";
        }

        await http.Grpc().SendAsync(Message(answer));
        http.Response.End();
    }

    private sealed class Stamp(string name) : Interceptor
    {
        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
            TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncUnaryCallContinuation<TRequest, TResponse> continuation)
        {
            Metadata headers = [.. context.Options.Headers ?? [], new("x-by", name)];
            return continuation(request, new(context.Method, context.Host, context.Options.WithHeaders(headers)));
        }
    }
}
