using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Grpc.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Grpc.AspNetCore.Tests;

/// <summary>What a request must be, and what becomes of one that is not (PROTOCOL-HTTP2.md).</summary>
public sealed class RequestTests
{
    private static readonly byte[] Hello = [0, 0, 0, 0, 5, .. "hello"u8];

    [Theory]
    [InlineData("application/grpc")]
    [InlineData("application/grpc+proto")]
    [InlineData("application/grpc; charset=utf-8")]
    [InlineData("APPLICATION/GRPC")]
    public async Task These_content_types_are_gRPC(string contentType)
    {
        await using var server = await EchoServer.StartAsync();

        var response = await server.SendAsync(Hello, contentType: contentType);

        Assert.Equal((200, StatusCode.OK), (response.HttpStatus, response.Status));
        Assert.Equal("application/grpc", response.Headers["content-type"]);
        Assert.Equal(Hello, response.Body);
    }

    [Theory]
    [InlineData("application/json")]
    [InlineData("application/grpc-web")]
    [InlineData("application/grpcx")]
    [InlineData("")]
    public async Task Others_are_415(string contentType)
    {
        await using var server = await EchoServer.StartAsync();

        Assert.Equal(415, (await server.SendAsync(Hello, contentType: contentType)).HttpStatus);
    }

    [Fact]
    public async Task GET_is_405()
    {
        await using var server = await EchoServer.StartAsync();

        Assert.Equal(405, (await server.SendAsync(Hello, method: HttpMethod.Put)).HttpStatus);
    }

    [Fact]
    public async Task HTTP_1_is_told_to_upgrade()
    {
        await using var server = await EchoServer.StartAsync(protocols: HttpProtocols.Http1);
        using var content = new ByteArrayContent(Hello);
        content.Headers.TryAddWithoutValidation("content-type", "application/grpc");

        var response = await server.Http.PostAsync("/tests.Echo/Unary", content);

        Assert.Equal(HttpStatusCode.UpgradeRequired, response.StatusCode);
        Assert.Contains("HTTP/2", response.Headers.GetValues("grpc-message").Single());
    }

    [Theory]
    [InlineData("/tests.Echo/Nothing")]
    [InlineData("/tests.Nobody/Unary")]
    public async Task An_unknown_method_is_UNIMPLEMENTED(string path)
    {
        await using var server = await EchoServer.StartAsync();

        var response = await server.SendAsync(Hello, path);

        Assert.Equal((200, StatusCode.Unimplemented), (response.HttpStatus, response.Status));
        Assert.Contains(path, response.Message);
    }

    [Fact]
    public async Task What_is_not_gRPC_is_left_to_the_rest_of_the_application()
    {
        await using var server = await EchoServer.StartAsync();

        Assert.Equal("a page"u8.ToArray(), (await server.SendAsync([], "/plain/page", "text/plain", HttpMethod.Get)).Body);
        Assert.Equal(404, (await server.SendAsync([], "/no/page", "text/plain", HttpMethod.Get)).HttpStatus);
    }

    [Fact]
    public async Task Unknown_methods_can_be_left_to_the_rest_of_the_application()
    {
        await using var server = await EchoServer.StartAsync(options: options => options.IgnoreUnknownServices = true);

        Assert.Equal(404, (await server.SendAsync(Hello, "/tests.Nobody/Unary")).HttpStatus);
    }

    [Fact]
    public async Task A_request_of_no_message_or_two_is_UNIMPLEMENTED()
    {
        await using var server = await EchoServer.StartAsync();

        Assert.Equal(StatusCode.Unimplemented, (await server.SendAsync([])).Status);
        Assert.Equal(StatusCode.Unimplemented, (await server.SendAsync([.. Hello, .. Hello])).Status);
        Assert.Equal(StatusCode.Unimplemented, (await server.SendAsync([.. Hello, .. Hello], "/tests.Echo/ServerStream")).Status);
        Assert.Equal(StatusCode.OK, (await server.SendAsync([], "/tests.Echo/ClientStream")).Status);
    }

    [Theory]
    [InlineData("/tests.Echo/Unary")]
    [InlineData("/tests.Echo/ClientStream")]
    [InlineData("/tests.Echo/Duplex")]
    public async Task A_truncated_message_is_INTERNAL(string path)
    {
        await using var server = await EchoServer.StartAsync();
        for (var length = 1; length < Hello.Length; length++)
        {
            var response = await server.SendAsync(Hello[..length], path);
            Assert.Equal((StatusCode.Internal, "The stream ended in the middle of a message."), (response.Status, response.Message));
        }
    }

    [Fact]
    public async Task A_compressed_flag_that_is_none_or_has_no_encoding_is_INTERNAL()
    {
        await using var server = await EchoServer.StartAsync();

        Assert.Equal(StatusCode.Internal, (await server.SendAsync([2, .. Hello[1..]])).Status);
        Assert.Equal(StatusCode.Internal, (await server.SendAsync([1, .. Hello[1..]])).Status);
    }

    [Fact]
    public async Task A_message_over_the_limit_is_RESOURCE_EXHAUSTED_with_both_sizes()
    {
        await using var server = await EchoServer.StartAsync(options: options => options.MaxReceiveMessageSize = 4);

        var response = await server.SendAsync(Hello);

        Assert.Equal(StatusCode.ResourceExhausted, response.Status);
        Assert.Equal("Received message of 5 bytes is larger than the limit of 4 bytes.", response.Message);
    }

    [Fact]
    public async Task A_header_that_announces_four_gigabytes_is_refused_at_once()
    {
        await using var server = await EchoServer.StartAsync();

        Assert.Equal(StatusCode.ResourceExhausted, (await server.SendAsync([0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3])).Status);
    }

    [Fact]
    public async Task A_compressed_request_is_read()
    {
        await using var server = await EchoServer.StartAsync();

        var response = await server.SendAsync(Compressed("hello"), headers: ("grpc-encoding", "gzip"));

        Assert.Equal(StatusCode.OK, response.Status);
        Assert.Equal(Hello, response.Body);
    }

    [Fact]
    public async Task A_decompression_bomb_is_stopped_at_the_limit()
    {
        await using var server = await EchoServer.StartAsync(options: options => options.MaxReceiveMessageSize = 10_000);

        var response = await server.SendAsync(Compressed(new string('x', 1_000_000)), headers: ("grpc-encoding", "gzip"));

        Assert.Equal(StatusCode.ResourceExhausted, response.Status);
        Assert.Contains("10000", response.Message);
    }

    [Fact]
    public async Task What_is_not_gzip_is_INTERNAL()
    {
        await using var server = await EchoServer.StartAsync();

        Assert.Equal(StatusCode.Internal, (await server.SendAsync([1, .. Hello[1..]], headers: ("grpc-encoding", "gzip"))).Status);
    }

    [Fact]
    public async Task An_unknown_encoding_is_UNIMPLEMENTED_with_what_is_accepted()
    {
        await using var server = await EchoServer.StartAsync();

        var response = await server.SendAsync(Hello, headers: ("grpc-encoding", "br"));

        Assert.Equal(StatusCode.Unimplemented, response.Status);
        Assert.Equal("identity,gzip", response.Headers["grpc-accept-encoding"]);
    }

    [Theory]
    [InlineData("1")]
    [InlineData("S")]
    [InlineData("123456789S")]
    [InlineData("1x")]
    [InlineData("-1S")]
    public async Task A_timeout_that_is_none_is_told(string timeout)
    {
        await using var server = await EchoServer.StartAsync();

        var response = await server.SendAsync(Hello, headers: ("grpc-timeout", timeout));

        Assert.Equal(StatusCode.Internal, response.Status);
        Assert.Contains($"'{timeout}'", response.Message);
    }

    [Theory]
    [InlineData("99H", 99 * 3600.0)]
    [InlineData("90M", 90 * 60.0)]
    [InlineData("99999999S", 99_999_999.0)]
    [InlineData("99999999m", 99_999.999)]
    [InlineData("60000000u", 60.0)]
    public async Task A_timeout_of_any_unit_is_the_deadline(string timeout, double seconds)
    {
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = (_, context) => Task.FromResult($"{(context.Deadline - DateTime.UtcNow).TotalSeconds}"),
        });
        var before = DateTime.UtcNow;

        var response = await server.SendAsync(Hello, headers: ("grpc-timeout", timeout));

        Assert.Equal(StatusCode.OK, response.Status);
        var left = double.Parse(Encoding.UTF8.GetString(response.Body[5..]));
        Assert.InRange(left, seconds - (DateTime.UtcNow - before).TotalSeconds - 1, seconds + 1);
    }

    [Theory]
    [InlineData("0S")]
    [InlineData("0n")]
    [InlineData("1n")]
    [InlineData("99999999n")]
    public async Task A_timeout_that_is_over_at_once_is_DEADLINE_EXCEEDED(string timeout)
    {
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = async (request, context) =>
            {
                await Task.Delay(Timeout.Infinite, context.CancellationToken);
                return request;
            },
        });

        Assert.Equal(StatusCode.DeadlineExceeded, (await server.SendAsync(Hello, headers: ("grpc-timeout", timeout))).Status);
    }

    [Fact]
    public async Task HTTP_1_to_a_port_of_HTTP_2_is_told_so()
    {
        await using var server = await EchoServer.StartAsync();
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPEndPoint.Parse(new Uri(server.Address).Authority));
        await socket.SendAsync("POST /tests.Echo/Unary HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"u8.ToArray());

        using var answer = new StreamReader(new NetworkStream(socket));

        Assert.Matches("^HTTP/1.1 400 (.|\n|\r)*HTTP/1.x request was sent to an HTTP/2 only endpoint", await answer.ReadToEndAsync());
    }

    [Fact]
    public async Task A_reset_reaches_the_handlers_token()
    {
        var (entered, cancelled) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using var server = await EchoServer.StartAsync(new Script
        {
            Duplex = async (requests, _, context) =>
            {
                context.CancellationToken.Register(cancelled.SetResult);
                entered.SetResult();
                await requests.MoveNext();
            },
        });
        await using var connection = await RawConnection.OpenAsync(server.Address);
        await connection.CallAsync(1, "/tests.Echo/Duplex");
        await entered.Task.WaitAsync(TimeSpan.FromMinutes(1));

        // CANCEL.
        await connection.SendAsync(RawConnection.Frame(RawConnection.Reset, 0, 1, 0, 0, 0, 8));

        await cancelled.Task.WaitAsync(TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task Text_metadata_keeps_its_values_apart_and_its_commas()
    {
        string[] seen = [];
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = (request, context) =>
            {
                seen = [.. context.RequestHeaders.GetAll("x-text").Select(entry => entry.Value)];
                return Task.FromResult(request);
            },
        });
        await using var connection = await RawConnection.OpenAsync(server.Address);

        await connection.CallAsync(1, "/tests.Echo/Unary", ("x-text", "one"), ("x-text", "two, three"));
        await connection.SendAsync(RawConnection.Frame(RawConnection.Data, RawConnection.EndStream, 1, Hello));
        await connection.ReadAsync(RawConnection.Data);

        Assert.Equal(["one", "two, three"], seen);
    }

    [Fact]
    public async Task A_request_longer_than_HTTP_allows_bodies_by_default_is_read_where_messages_may_be_that_long()
    {
        const int Length = 31 * 1024 * 1024;
        await using var server = await EchoServer.StartAsync(
            new Script { Unary = (request, _) => Task.FromResult($"{request.Length}") }, options => options.MaxReceiveMessageSize = null);

        Assert.Equal($"{Length}", await server.Unary(new string('x', Length)));
    }

    [Theory]
    [InlineData("x-raw-bin", "AAH/", "0001FF")]
    [InlineData("x-raw-bin", "AAE", "0001")]
    [InlineData("x-raw-bin", "AAE=", "0001")]
    [InlineData("x-raw-bin", "AA,AQ==, Ag", "00|01|02")]
    [InlineData("x-raw-bin", "", "")]
    public async Task Binary_metadata_is_read_with_padding_or_none_and_comma_joined(string name, string value, string bytes)
    {
        var seen = new List<string>();
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = (request, context) =>
            {
                seen.AddRange(context.RequestHeaders.GetAll("x-raw-bin").Select(entry => Convert.ToHexString(entry.ValueBytes)));
                return Task.FromResult(request);
            },
        });

        Assert.Equal(StatusCode.OK, (await server.SendAsync(Hello, headers: (name, value))).Status);
        Assert.Equal(bytes, string.Join('|', seen));
    }

    [Fact]
    public async Task Binary_metadata_that_is_not_base64_is_INVALID_ARGUMENT_to_who_reads_it()
    {
        await using var server = await EchoServer.StartAsync(new Script { Unary = (request, context) => Task.FromResult($"{context.RequestHeaders.Count}") });

        var response = await server.SendAsync(Hello, headers: ("x-raw-bin", "?!"));

        Assert.Equal((StatusCode.InvalidArgument, "The metadata 'x-raw-bin' is not base64."), (response.Status, response.Message));
    }

    [Fact]
    public async Task The_protocols_own_headers_are_no_metadata()
    {
        List<string> keys = [];
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = (request, context) =>
            {
                keys.AddRange(context.RequestHeaders.Select(entry => entry.Key));
                return Task.FromResult(request);
            },
        });

        await server.SendAsync(Hello, headers: [("grpc-timeout", "10S"), ("grpc-accept-encoding", "gzip"), ("te", "trailers"), ("x-mine", "1")]);

        Assert.Contains("x-mine", keys);
        Assert.DoesNotContain(keys, key => key.StartsWith("grpc-") || key is "te" or "content-type" or "host");
    }

    [Fact]
    public async Task An_interceptor_stands_around_every_kind_of_call_the_first_outermost()
    {
        var order = new List<string>();
        await using var server = await EchoServer.StartAsync(
            options: options =>
            {
                options.Interceptors.Add<Outer>();
                options.Interceptors.Add<Inner>(order);
            },
            services: services => services.AddSingleton(new Outer(order)));

        await server.SendAsync(Hello);
        await server.SendAsync(Hello, "/tests.Echo/ClientStream");
        await server.SendAsync(Hello, "/tests.Echo/ServerStream");
        await server.SendAsync(Hello, "/tests.Echo/Duplex");

        Assert.Equal(Enumerable.Repeat((string[])["outer", "inner"], 4).SelectMany(pair => pair), order);
    }

    private static byte[] Compressed(string text)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest))
        {
            gzip.Write(Encoding.UTF8.GetBytes(text));
        }

        var payload = compressed.ToArray();
        return [1, (byte)(payload.Length >> 24), (byte)(payload.Length >> 16), (byte)(payload.Length >> 8), (byte)payload.Length, .. payload];
    }

    private class Recorder(string name, List<string> order) : Core.Interceptors.Interceptor
    {
        public override Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
            TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
        {
            order.Add(name);
            return continuation(request, context);
        }

        public override Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
            IAsyncStreamReader<TRequest> requestStream, ServerCallContext context, ClientStreamingServerMethod<TRequest, TResponse> continuation)
        {
            order.Add(name);
            return continuation(requestStream, context);
        }

        public override Task ServerStreamingServerHandler<TRequest, TResponse>(
            TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
        {
            order.Add(name);
            return continuation(request, responseStream, context);
        }

        public override Task DuplexStreamingServerHandler<TRequest, TResponse>(
            IAsyncStreamReader<TRequest> requestStream,
            IServerStreamWriter<TResponse> responseStream,
            ServerCallContext context,
            DuplexStreamingServerMethod<TRequest, TResponse> continuation)
        {
            order.Add(name);
            return continuation(requestStream, responseStream, context);
        }
    }

    private sealed class Outer(List<string> order) : Recorder("outer", order);

    private sealed class Inner(List<string> order) : Recorder("inner", order);
}
