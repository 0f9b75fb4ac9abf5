using System.Text;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using static Grpc.Tests.Client.Answers;
using static Grpc.Tests.Client.Calls;

namespace Grpc.Tests.Client;

/// <summary>What becomes of a server's answers, the good and the bad.</summary>
public sealed class ResponseTests
{
    [Fact]
    public async Task A_unary_call_returns_the_message_with_headers_status_and_trailers()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            http.Grpc().Headers["x-header"] = "first";
            await http.Response.SendAsync(Message("hi"));
            http.Response.AppendTrailer("x-trailer", "last");
            http.Response.End();
        });
        using var call = server.Channel.Unary();

        Assert.Equal("hi", await call);
        Assert.Equal("first", (await call.ResponseHeadersAsync).GetValue("x-header"));
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
        Assert.Equal("last", call.GetTrailers().GetValue("x-trailer"));
        Assert.Null(call.GetTrailers().GetValue("grpc-status"));
    }

    [Fact]
    public async Task A_blocking_call_returns_the_message()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await http.Grpc().SendAsync(Message("hi"));
            http.Response.End();
        });

        var response = await Task.Run(() => server.Channel.CreateCallInvoker().BlockingUnaryCall(UnaryMethod, null, default, "hello"));

        Assert.Equal("hi", response);
    }

    [Fact]
    public async Task A_blocking_call_throws_its_status_and_keeps_its_deadline()
    {
        await using var server = await ScriptedServer.StartAsync(http =>
        {
            http.Grpc().Headers["grpc-status"] = "5";
            return Task.CompletedTask;
        });
        var calls = server.Channel.CreateCallInvoker();

        Assert.Equal(StatusCode.NotFound, Assert.Throws<RpcException>(() => calls.BlockingUnaryCall(UnaryMethod, null, default, "hello")).StatusCode);
        var past = new CallOptions(deadline: DateTime.MinValue);
        Assert.Equal(StatusCode.DeadlineExceeded, Assert.Throws<RpcException>(() => calls.BlockingUnaryCall(UnaryMethod, null, past, "hello")).StatusCode);
    }

    [Fact]
    public async Task The_request_is_what_the_specification_asks_for()
    {
        var seen = new TaskCompletionSource<string>();
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            var request = http.Request;
            seen.SetResult(string.Join(
                '|', request.Method, request.Scheme, request.Path, request.ContentType, request.Headers.TE, request.Headers["grpc-accept-encoding"], request.Headers.ContentLength));
            await http.Grpc().SendAsync(Message("hi"));
            http.Response.End();
        });

        await server.Channel.Unary();

        Assert.Equal("POST|http|/tests.Echo/Unary|application/grpc|trailers|identity,gzip|", await seen.Task);
    }

    [Theory]
    [InlineData(400, StatusCode.Internal)]
    [InlineData(401, StatusCode.Unauthenticated)]
    [InlineData(403, StatusCode.PermissionDenied)]
    [InlineData(404, StatusCode.Unimplemented)]
    [InlineData(429, StatusCode.Unavailable)]
    [InlineData(502, StatusCode.Unavailable)]
    [InlineData(503, StatusCode.Unavailable)]
    [InlineData(504, StatusCode.Unavailable)]
    [InlineData(302, StatusCode.Unknown)]
    [InlineData(500, StatusCode.Unknown)]
    public async Task An_HTTP_status_becomes_the_status_of_the_mapping(int http, object expected)
    {
        await using var server = await ScriptedServer.StartAsync(context =>
        {
            context.Response.StatusCode = http;
            return Task.CompletedTask;
        });

        var failure = await FailureOf(server.Channel.Unary().ResponseAsync);

        Assert.Equal(expected, failure.StatusCode);
        Assert.Contains(http.ToString(System.Globalization.CultureInfo.InvariantCulture), failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_status_among_the_headers_is_the_whole_answer()
    {
        await using var server = await ScriptedServer.StartAsync(http =>
        {
            http.Grpc().Headers["grpc-status"] = "9";
            http.Response.Headers["grpc-message"] = "no %E2%98%95 left%21 100%";
            http.Response.Headers["x-why"] = "empty";
            return Task.CompletedTask;
        });
        using var call = server.Channel.Unary();

        var failure = await FailureOf(call.ResponseAsync);

        Assert.Equal(StatusCode.FailedPrecondition, failure.StatusCode);
        Assert.Equal("no ☕ left! 100%", failure.Status.Detail);
        Assert.Equal("empty", failure.Trailers.GetValue("x-why"));
        Assert.Equal("empty", call.GetTrailers().GetValue("x-why"));
    }

    [Fact]
    public async Task A_status_has_precedence_over_an_HTTP_status()
    {
        await using var server = await ScriptedServer.StartAsync(http =>
        {
            http.Response.StatusCode = 503;
            http.Response.Headers["grpc-status"] = "7";
            return Task.CompletedTask;
        });

        Assert.Equal(StatusCode.PermissionDenied, (await FailureOf(server.Channel.Unary().ResponseAsync)).StatusCode);
    }

    [Fact]
    public async Task A_response_without_a_status_is_unknown()
    {
        await using var server = await ScriptedServer.StartAsync(http => http.Grpc().SendAsync(Message("hi")));

        var failure = await FailureOf(server.Channel.Unary().ResponseAsync);

        Assert.Equal(StatusCode.Unknown, failure.StatusCode);
        Assert.Equal("The response ended without a grpc-status.", failure.Status.Detail);
    }

    [Theory]
    [InlineData("99")]
    [InlineData("-1")]
    [InlineData("fine")]
    public async Task A_status_that_is_none_is_unknown_and_named(string status)
    {
        await using var server = await ScriptedServer.StartAsync(http =>
        {
            http.Grpc().Headers["grpc-status"] = status;
            return Task.CompletedTask;
        });

        var failure = await FailureOf(server.Channel.Unary().ResponseAsync);

        Assert.Equal(StatusCode.Unknown, failure.StatusCode);
        Assert.Contains($"'{status}'", failure.Status.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("text/html")]
    [InlineData("application/grpc-web")]
    [InlineData(null)]
    public async Task A_response_of_another_content_type_is_unknown_and_named(string? type)
    {
        await using var server = await ScriptedServer.StartAsync(http =>
        {
            http.Response.ContentType = type;
            return http.Response.Body.WriteAsync("<html>"u8.ToArray()).AsTask();
        });

        var failure = await FailureOf(server.Channel.Unary().ResponseAsync);

        Assert.Equal(StatusCode.Unknown, failure.StatusCode);
        Assert.Contains($"'{type}'", failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_unary_response_of_no_message_is_internal()
    {
        await using var server = await ScriptedServer.StartAsync(http =>
        {
            http.Grpc().End();
            return Task.CompletedTask;
        });

        Assert.Equal(StatusCode.Internal, (await FailureOf(server.Channel.Unary().ResponseAsync)).StatusCode);
    }

    [Fact]
    public async Task A_unary_response_of_two_messages_is_internal()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await http.Grpc().SendAsync(Message("one"), Message("two"));
            http.Response.End();
        });

        Assert.Equal(StatusCode.Internal, (await FailureOf(server.Channel.Unary().ResponseAsync)).StatusCode);
    }

    [Fact]
    public async Task An_error_after_a_message_is_the_outcome()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await http.Grpc().SendAsync(Message("one"));
            http.Response.End(10, "changed my mind");
        });

        var failure = await FailureOf(server.Channel.Unary().ResponseAsync);

        Assert.Equal((StatusCode.Aborted, "changed my mind"), (failure.StatusCode, failure.Status.Detail));
    }

    [Fact]
    public async Task A_message_cut_short_is_internal()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await http.Grpc().SendAsync(Message("whole"), Message("cut short")[..^3]);
            http.Response.End();
        });
        using var call = server.Channel.ServerStreaming();

        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        var failure = await FailureOf(call.ResponseStream.MoveNext(CancellationToken.None));

        Assert.Equal((StatusCode.Internal, "The stream ended in the middle of a message."), (failure.StatusCode, failure.Status.Detail));
    }

    [Fact]
    public async Task A_message_over_the_limit_is_resource_exhausted_with_both_sizes()
    {
        await using var server = await ScriptedServer.StartAsync(
            async http =>
            {
                await http.Grpc().SendAsync(Message(new string('x', 101)));
                http.Response.End();
            },
            new GrpcChannelOptions { MaxReceiveMessageSize = 100 });

        var failure = await FailureOf(server.Channel.Unary().ResponseAsync);

        Assert.Equal(StatusCode.ResourceExhausted, failure.StatusCode);
        Assert.Contains("101", failure.Status.Detail, StringComparison.Ordinal);
        Assert.Contains("100", failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_default_limit_is_four_mebibytes()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await foreach (var size in http.RequestsAsync())
            {
                await http.Grpc().SendAsync(Message(new byte[int.Parse(size, System.Globalization.CultureInfo.InvariantCulture)]));
            }

            http.Response.End();
        });

        Assert.Equal(4 * 1024 * 1024, (await server.Channel.Unary("4194304")).Length);
        Assert.Equal(StatusCode.ResourceExhausted, (await FailureOf(server.Channel.Unary("4194305").ResponseAsync)).StatusCode);
    }

    [Fact]
    public async Task A_request_over_the_limit_is_not_sent()
    {
        var called = false;
        await using var server = await ScriptedServer.StartAsync(
            http =>
            {
                called = true;
                return Task.CompletedTask;
            },
            new GrpcChannelOptions { MaxSendMessageSize = 3 });

        var failure = await FailureOf(server.Channel.Unary("four").ResponseAsync);

        Assert.Equal(StatusCode.ResourceExhausted, failure.StatusCode);
        Assert.False(called);
    }

    [Theory]
    [InlineData(0x0, StatusCode.Internal, "NO_ERROR")]
    [InlineData(0x1, StatusCode.Internal, "PROTOCOL_ERROR")]
    [InlineData(0x2, StatusCode.Internal, "INTERNAL_ERROR")]
    [InlineData(0x3, StatusCode.Internal, "FLOW_CONTROL_ERROR")]
    [InlineData(0x6, StatusCode.Internal, "FRAME_SIZE_ERROR")]
    [InlineData(0x8, StatusCode.Cancelled, "CANCEL")]
    [InlineData(0x9, StatusCode.Internal, "COMPRESSION_ERROR")]
    [InlineData(0xa, StatusCode.Internal, "CONNECT_ERROR")]
    [InlineData(0xb, StatusCode.ResourceExhausted, "ENHANCE_YOUR_CALM")]
    [InlineData(0xc, StatusCode.PermissionDenied, "INADEQUATE_SECURITY")]
    public async Task A_reset_becomes_the_status_of_its_code(int code, object expected, string name)
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await http.Grpc().SendAsync(Message("one"));
            await http.Response.Body.FlushAsync();
            http.Features.GetRequiredFeature<IHttpResetFeature>().Reset(code);
        });
        using var call = server.Channel.ServerStreaming();

        var failure = await FailureOf(call.ResponseStream.ToListAsync());

        Assert.Equal(expected, failure.StatusCode);
        Assert.Contains(name, failure.Status.Detail, StringComparison.Ordinal);
        Assert.NotNull(failure.Status.DebugException);
    }

    [Fact]
    public async Task A_stream_refused_every_time_is_unavailable()
    {
        await using var server = await ScriptedServer.StartAsync(http =>
        {
            http.Features.GetRequiredFeature<IHttpResetFeature>().Reset(0x7);
            return Task.CompletedTask;
        });

        Assert.Equal(StatusCode.Unavailable, (await FailureOf(server.Channel.Unary().ResponseAsync)).StatusCode);
    }

    [Fact]
    public async Task A_stream_refused_once_is_sent_again()
    {
        var calls = 0;
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            if (Interlocked.Increment(ref calls) == 1)
            {
                http.Features.GetRequiredFeature<IHttpResetFeature>().Reset(0x7);
                return;
            }

            await foreach (var request in http.RequestsAsync())
            {
                await http.Grpc().SendAsync(Message(request));
            }

            http.Response.End();
        });

        Assert.Equal("hello", await server.Channel.Unary("hello"));
    }

    [Fact]
    public async Task Nobody_listening_is_unavailable()
    {
        string address;
        await using (var server = await ScriptedServer.StartAsync(_ => Task.CompletedTask))
        {
            address = server.Address;
        }

        using var channel = GrpcChannel.ForAddress(address);

        Assert.Equal(StatusCode.Unavailable, (await FailureOf(channel.Unary().ResponseAsync)).StatusCode);
    }

    [Fact]
    public async Task A_server_of_HTTP_1_alone_is_internal_and_named()
    {
        await using var server = await ScriptedServer.StartAsync(
            _ => Task.CompletedTask, protocols: Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http1);

        var failure = await FailureOf(server.Channel.Unary().ResponseAsync);

        Assert.Equal(StatusCode.Internal, failure.StatusCode);
        Assert.Contains("HTTP_1_1_REQUIRED", failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_that_cannot_be_read_is_internal_and_ends_the_call()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await http.Grpc().SendAsync(Message("not a number"));
            http.Response.End();
        });
        var method = new Method<string, string>(
            MethodType.Unary, "tests.Echo", "Unary", Text, Marshallers.Create(Encoding.UTF8.GetBytes, static string (_) => throw new FormatException("What is this?")));
        using var call = server.Channel.CreateCallInvoker().AsyncUnaryCall(method, null, default, "hello");

        var failure = await FailureOf(call.ResponseAsync);

        Assert.Equal(StatusCode.Internal, failure.StatusCode);
        Assert.Contains("What is this?", failure.Status.Detail, StringComparison.Ordinal);
        Assert.IsType<FormatException>(failure.Status.DebugException);
    }

    [Fact]
    public async Task Status_and_trailers_before_the_end_are_a_wrong_use()
    {
        await using var server = await ScriptedServer.StartAsync(http => Task.Delay(Timeout.Infinite, http.RequestAborted));
        using var call = server.Channel.Unary();

        Assert.Throws<InvalidOperationException>(() => call.GetStatus());
        Assert.Throws<InvalidOperationException>(() => call.GetTrailers());
    }

    [Fact]
    public async Task Headers_come_before_the_first_message()
    {
        var sendMessage = new TaskCompletionSource();
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            http.Grpc().Headers["x-early"] = "yes";
            await http.Response.StartAsync();
            await http.Response.Body.FlushAsync();
            await sendMessage.Task;
            await http.Response.SendAsync(Message("hi"));
            http.Response.End();
        });
        using var call = server.Channel.Unary();

        Assert.Equal("yes", (await call.ResponseHeadersAsync.WaitAsync(Patience)).GetValue("x-early"));
        Assert.False(call.ResponseAsync.IsCompleted);

        sendMessage.SetResult();
        Assert.Equal("hi", await call);
    }

    [Fact]
    public async Task Headers_of_a_call_that_never_reached_a_server_fail_as_the_call_does()
    {
        string address;
        await using (var server = await ScriptedServer.StartAsync(_ => Task.CompletedTask))
        {
            address = server.Address;
        }

        using var channel = GrpcChannel.ForAddress(address);
        using var call = channel.Unary();

        Assert.Equal(StatusCode.Unavailable, (await FailureOf(call.ResponseHeadersAsync)).StatusCode);
    }

    [Fact]
    public async Task Metadata_of_the_response_may_be_binary_padded_or_not_and_comma_joined()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            http.Grpc().Headers["x-raw-bin"] = "AQI=, AwQ,BQ";
            http.Response.Headers["x-text"] = new(["a", "b"]);
            http.Response.Headers["x-broken-bin"] = "!!!";
            await http.Response.SendAsync(Message("hi"));
            http.Response.End();
        });
        using var call = server.Channel.Unary();

        var headers = await call.ResponseHeadersAsync;

        byte[][] expected = [[1, 2], [3, 4], [5]];
        Assert.Equal(expected, headers.GetAll("x-raw-bin").Select(entry => entry.ValueBytes));
        Assert.Equal("a b", string.Join(' ', headers.GetAll("x-text").Select(entry => entry.Value)));
        Assert.Empty(headers.GetAll("x-broken-bin"));
        Assert.Equal("hi", await call);
    }
}
