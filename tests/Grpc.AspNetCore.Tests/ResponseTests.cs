using Grpc.Core;

namespace Grpc.AspNetCore.Tests;

/// <summary>What a handler does, and what the client gets of it.</summary>
public sealed class ResponseTests
{
    private static readonly byte[] Hello = [0, 0, 0, 0, 5, .. "hello"u8];
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task All_four_kinds_of_call_answer()
    {
        await using var server = await EchoServer.StartAsync();

        Assert.Equal("hello", await server.Unary("hello"));
        using var clientStream = server.Calls.AsyncClientStreamingCall(Echo.ClientStream, null, default);
        await clientStream.RequestStream.WriteAsync("a");
        await clientStream.RequestStream.WriteAsync("b");
        await clientStream.RequestStream.CompleteAsync();
        Assert.Equal("ab", await clientStream);
        using var serverStream = server.ServerStream("a b c");
        Assert.Equal(["a", "b", "c"], await serverStream.ResponseStream.ReadAllAsync().ToListAsync());
        using var duplex = server.Duplex();
        await duplex.RequestStream.WriteAsync("ping");
        Assert.True(await duplex.ResponseStream.MoveNext(default));
        Assert.Equal("ping", duplex.ResponseStream.Current);
        await duplex.RequestStream.CompleteAsync();
        Assert.False(await duplex.ResponseStream.MoveNext(default));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(16_384)]
    [InlineData(70_000)]
    [InlineData(3_000_000)]
    public async Task Messages_of_all_sizes_go_through(int length)
    {
        await using var server = await EchoServer.StartAsync();
        var text = new string('x', length);

        Assert.Equal(text, await server.Unary(text));
        using var call = server.ServerStream(text);
        Assert.Equal([text], await call.ResponseStream.ReadAllAsync().ToListAsync());
    }

    [Fact]
    public async Task A_stream_of_many_messages_comes_whole_and_in_order()
    {
        await using var server = await EchoServer.StartAsync(new Script
        {
            ServerStream = async (request, responses, _) =>
            {
                for (var i = 0; i < 100_000; i++)
                {
                    await responses.WriteAsync($"{i}");
                    if (i % 1_000 == 0)
                    {
                        // Some flushes are the queue's, others the threshold's.
                        await Task.Yield();
                    }
                }
            },
        });
        using var call = server.ServerStream("");

        Assert.Equal(Enumerable.Range(0, 100_000).Select(i => $"{i}"), await call.ResponseStream.ReadAllAsync().ToListAsync());
    }

    [Fact]
    public async Task A_lone_message_leaves_at_once()
    {
        var goOn = new TaskCompletionSource();
        await using var server = await EchoServer.StartAsync(new Script
        {
            ServerStream = async (_, responses, _) =>
            {
                await responses.WriteAsync("lone");
                await goOn.Task;
            },
        });
        using var call = server.ServerStream("");

        Assert.True(await call.ResponseStream.MoveNext(default).WaitAsync(Patience));

        goOn.SetResult();
        Assert.False(await call.ResponseStream.MoveNext(default));
    }

    [Fact]
    public async Task A_message_that_may_wait_comes_with_the_end()
    {
        await using var server = await EchoServer.StartAsync(new Script
        {
            ServerStream = async (_, responses, _) =>
            {
                responses.WriteOptions = new WriteOptions(WriteFlags.BufferHint);
                await responses.WriteAsync("a");
                await responses.WriteAsync("b");
            },
        });
        using var call = server.ServerStream("");

        Assert.Equal(["a", "b"], await call.ResponseStream.ReadAllAsync().ToListAsync());
    }

    [Fact]
    public async Task A_client_that_does_not_read_slows_the_handler()
    {
        var written = 0;
        await using var server = await EchoServer.StartAsync(new Script
        {
            ServerStream = async (_, responses, context) =>
            {
                var message = new string('x', 10_000);
                while (!context.CancellationToken.IsCancellationRequested)
                {
                    await responses.WriteAsync(message, context.CancellationToken);
                    Interlocked.Increment(ref written);
                }
            },
        });
        using var call = server.ServerStream("");
        Assert.True(await call.ResponseStream.MoveNext(default));

        // The windows of flow control, ours and the client's, hold some megabytes; when they are full the count stands still.
        int before;
        do
        {
            before = Volatile.Read(ref written);
            await Task.Delay(300);
        }
        while (before != Volatile.Read(ref written));

        Assert.InRange(before, 1, 5_000);
    }

    [Fact]
    public async Task Metadata_goes_both_ways_text_and_bytes()
    {
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = async (request, context) =>
            {
                await context.WriteResponseHeadersAsync([new("x-early", context.RequestHeaders.GetValue("x-text")!)]);
                context.ResponseTrailers.Add("x-raw-bin", context.RequestHeaders.GetValueBytes("x-raw-bin")!);
                context.ResponseTrailers.Add("x-many", "1");
                context.ResponseTrailers.Add("x-many", "2");
                return request;
            },
        });

        using var call = server.Unary("hello", new CallOptions([new("x-text", "plain"), new("x-raw-bin", [0, 1, 254, 255])]));

        Assert.Equal("hello", await call);
        Assert.Equal("plain", (await call.ResponseHeadersAsync).GetValue("x-early"));
        Assert.Equal([0, 1, 254, 255], call.GetTrailers().GetValueBytes("x-raw-bin"));
        Assert.Equal(["1", "2"], call.GetTrailers().GetAll("x-many").Select(entry => entry.Value));
    }

    [Fact]
    public async Task Early_headers_come_before_any_message()
    {
        var goOn = new TaskCompletionSource();
        await using var server = await EchoServer.StartAsync(new Script
        {
            ServerStream = async (_, responses, context) =>
            {
                await context.WriteResponseHeadersAsync([new("x-early", "yes")]);
                await goOn.Task;
            },
        });
        using var call = server.ServerStream("");

        Assert.Equal("yes", (await call.ResponseHeadersAsync.WaitAsync(Patience)).GetValue("x-early"));
        goOn.SetResult();
    }

    [Fact]
    public async Task An_error_before_anything_else_is_headers_alone()
    {
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = (_, _) => throw new RpcException(new Status(StatusCode.NotFound, "no ☕ here\n100 %"), [new("x-why", "because")]),
        });

        var response = await server.SendAsync(Hello);

        Assert.Equal("5", response.Headers["grpc-status"]);
        Assert.Equal("no %E2%98%95 here%0A100 %25", response.Headers["grpc-message"]);
        Assert.Equal("because", response.Headers["x-why"]);
        Assert.Empty(response.Trailers);
        Assert.Empty(response.Body);
    }

    [Fact]
    public async Task An_error_after_a_message_is_in_the_trailers()
    {
        await using var server = await EchoServer.StartAsync(new Script
        {
            ServerStream = async (request, responses, context) =>
            {
                await responses.WriteAsync(request);
                context.ResponseTrailers.Add("x-mine", "1");
                throw new RpcException(new Status(StatusCode.Aborted, "half-way"), [new("x-theirs", "2")]);
            },
        });

        var response = await server.SendAsync(Hello, "/tests.Echo/ServerStream");

        Assert.Equal(Hello, response.Body);
        Assert.Equal(("10", "half-way", "1", "2"), (response.Trailers["grpc-status"], response.Trailers["grpc-message"], response.Trailers["x-mine"], response.Trailers["x-theirs"]));
    }

    [Fact]
    public async Task A_status_that_the_handler_sets_is_the_calls()
    {
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = (request, context) =>
            {
                context.Status = new Status(StatusCode.OutOfRange, "set");
                return Task.FromResult(request);
            },
        });

        Assert.Equal((StatusCode.OutOfRange, "set"), await EndAsync(server.Unary("hello").ResponseAsync));
    }

    [Theory]
    [InlineData(false, "Exception was thrown by handler.")]
    [InlineData(true, "Exception was thrown by handler. InvalidOperationException: secret")]
    public async Task An_exception_of_the_handler_is_UNKNOWN_and_tells_its_text_only_when_asked_to(bool detailed, string message)
    {
        await using var server = await EchoServer.StartAsync(
            new Script { Unary = (_, _) => throw new InvalidOperationException("secret") }, options => options.EnableDetailedErrors = detailed);

        Assert.Equal((StatusCode.Unknown, message), await EndAsync(server.Unary("hello").ResponseAsync));
    }

    [Fact]
    public async Task A_handler_that_returns_nothing_is_CANCELLED()
    {
        await using var server = await EchoServer.StartAsync(new Script { Unary = (_, _) => Task.FromResult<string>(null!) });

        Assert.Equal((StatusCode.Cancelled, "No message returned from method."), await EndAsync(server.Unary("hello").ResponseAsync));
    }

    [Fact]
    public async Task A_response_over_its_limit_is_RESOURCE_EXHAUSTED_and_nothing_of_it_is_sent()
    {
        await using var server = await EchoServer.StartAsync(options: options => options.MaxSendMessageSize = 4);

        var response = await server.SendAsync(Hello);

        Assert.Equal(StatusCode.ResourceExhausted, response.Status);
        Assert.Empty(response.Body);
    }

    [Fact]
    public async Task Responses_are_compressed_where_the_client_takes_it_and_the_call_does_not_mind()
    {
        await using var server = await EchoServer.StartAsync(
            new Script
            {
                ServerStream = async (request, responses, _) =>
                {
                    await responses.WriteAsync(request);
                    responses.WriteOptions = new WriteOptions(WriteFlags.NoCompress);
                    await responses.WriteAsync("plain");
                },
            },
            options => options.ResponseCompressionAlgorithm = "gzip");
        byte[] request = [0, 0, 0, 1, 0, .. Enumerable.Repeat((byte)'x', 256)];

        var compressed = await server.SendAsync(request, "/tests.Echo/ServerStream", headers: ("grpc-accept-encoding", "identity, gzip"));
        var identity = await server.SendAsync(request, "/tests.Echo/ServerStream");

        Assert.Equal(("gzip", 1), (compressed.Headers["grpc-encoding"], compressed.Body[0]));
        Assert.True(compressed.Body.AsSpan().EndsWith((byte[])[0, 0, 0, 0, 5, .. "plain"u8]));
        Assert.False(identity.Headers.ContainsKey("grpc-encoding"));
        Assert.Equal(request, identity.Body[..request.Length]);
        using var call = server.ServerStream(new string('x', 1_000));
        Assert.Equal([new string('x', 1_000), "plain"], await call.ResponseStream.ReadAllAsync().ToListAsync());
    }

    [Theory]
    [InlineData(false, "gzip", 1)]
    [InlineData(true, "gzip", 0)]
    public async Task A_single_response_is_compressed_unless_its_call_minds(bool minds, string encoding, int flag)
    {
        await using var server = await EchoServer.StartAsync(
            new Script
            {
                Unary = (request, context) =>
                {
                    context.WriteOptions = minds ? new WriteOptions(WriteFlags.NoCompress) : null;
                    return Task.FromResult(request);
                },
            },
            options => options.ResponseCompressionAlgorithm = "gzip");

        var response = await server.SendAsync(Hello, headers: ("grpc-accept-encoding", "gzip"));

        Assert.Equal((encoding, flag), (response.Headers["grpc-encoding"], response.Body[0]));
        Assert.Equal("hello", await server.Unary("hello"));
    }

    [Fact]
    public async Task A_call_may_ask_for_compression_that_is_not_the_servers_habit()
    {
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = async (request, context) =>
            {
                await context.WriteResponseHeadersAsync([new("grpc-internal-encoding-request", "gzip")]);
                return request;
            },
        });

        var asked = await server.SendAsync(Hello, headers: ("grpc-accept-encoding", "gzip"));
        var notTaken = await server.SendAsync(Hello);

        Assert.Equal(("gzip", 1), (asked.Headers["grpc-encoding"], asked.Body[0]));
        Assert.Equal(Hello, notTaken.Body);
        Assert.False(asked.Headers.ContainsKey("grpc-internal-encoding-request"));
    }

    [Fact]
    public async Task A_handler_cannot_say_what_the_protocol_says()
    {
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = async (request, context) =>
            {
                await context.WriteResponseHeadersAsync([new("grpc-encoding", "br"), new("content-type", "text/html"), new("x-mine", "1")]);
                context.ResponseTrailers.Add("grpc-status", "13");
                context.ResponseTrailers.Add("grpc-message", "wrong");
                return request;
            },
        });

        var response = await server.SendAsync(Hello);

        Assert.Equal((StatusCode.OK, null, "1"), (response.Status, response.Message, response.Headers["x-mine"]));
        Assert.Equal("application/grpc", response.Headers["content-type"]);
        Assert.False(response.Headers.ContainsKey("grpc-encoding"));
    }

    [Fact]
    public async Task The_peer_the_host_and_the_method_are_known()
    {
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = (_, context) => Task.FromResult($"{context.Peer} {context.Host} {context.Method} {context.Deadline == DateTime.MaxValue} {context.AuthContext.IsPeerAuthenticated}"),
        });

        Assert.Matches(@"^ipv4:127\.0\.0\.1:\d+ 127\.0\.0\.1:\d+ /tests\.Echo/Unary True False$", await server.Unary(""));
    }

    private static async Task<(StatusCode, string)> EndAsync(Task call)
    {
        var end = await Assert.ThrowsAsync<RpcException>(() => call);
        return (end.StatusCode, end.Status.Detail);
    }
}
