using System.Globalization;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using static Grpc.Tests.Client.Answers;
using static Grpc.Tests.Client.Calls;

namespace Grpc.Tests.Client;

/// <summary>Messages that stream, either way.</summary>
public sealed class StreamTests
{
    [Fact]
    public async Task A_response_stream_gives_every_message_in_order()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            var body = Enumerable.Range(0, 10_000).SelectMany(static i => Message(i.ToString(CultureInfo.InvariantCulture))).ToArray();
            foreach (var piece in body.Chunk(777))
            {
                await http.Grpc().SendAsync(piece);
            }

            http.Response.AppendTrailer("x-sum", "all");
            http.Response.End();
        });
        using var call = server.Channel.ServerStreaming();

        var responses = await call.ResponseStream.ToListAsync();

        Assert.Equal(Enumerable.Range(0, 10_000).Select(static i => i.ToString(CultureInfo.InvariantCulture)), responses, StringComparer.Ordinal);
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
        Assert.Equal("all", call.GetTrailers().GetValue("x-sum"));
        Assert.False(await call.ResponseStream.MoveNext(CancellationToken.None));
    }

    [Fact]
    public async Task A_message_comes_as_soon_as_the_server_sends_it()
    {
        var more = new SemaphoreSlim(0);
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            for (var i = 0; i < 3; i++)
            {
                await http.Grpc().SendAsync(Message(new string((char)('a' + i), 20_000 * i)));
                await more.WaitAsync();
            }

            http.Response.End();
        });
        using var call = server.Channel.ServerStreaming();

        for (var i = 0; i < 3; i++)
        {
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
            Assert.Equal(20_000 * i, call.ResponseStream.Current.Length);
            more.Release();
        }

        Assert.False(await call.ResponseStream.MoveNext(CancellationToken.None));
    }

    [Fact]
    public async Task A_response_stream_may_be_empty()
    {
        await using var server = await ScriptedServer.StartAsync(http =>
        {
            http.Grpc().Headers["grpc-status"] = "0";
            return Task.CompletedTask;
        });
        using var call = server.Channel.ServerStreaming();

        Assert.Empty(await call.ResponseStream.ToListAsync());
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task An_error_comes_after_the_messages_before_it()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await http.Grpc().SendAsync(Message("one"), Message("two"));
            http.Response.AppendTrailer("x-at", "2");
            http.Response.End(8, "full");
        });
        using var call = server.Channel.ServerStreaming();

        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal("two", call.ResponseStream.Current);
        var failure = await FailureOf(call.ResponseStream.MoveNext(CancellationToken.None));

        Assert.Equal((StatusCode.ResourceExhausted, "full"), (failure.StatusCode, failure.Status.Detail));
        Assert.Equal("2", failure.Trailers.GetValue("x-at"));
        Assert.Equal(StatusCode.ResourceExhausted, (await FailureOf(call.ResponseStream.MoveNext(CancellationToken.None))).StatusCode);
    }

    [Fact]
    public async Task Two_reads_at_once_are_a_wrong_use()
    {
        await using var server = await ScriptedServer.StartAsync(http => Task.Delay(Timeout.Infinite, http.RequestAborted));
        using var call = server.Channel.ServerStreaming();

        var first = call.ResponseStream.MoveNext(CancellationToken.None);

        await Assert.ThrowsAsync<InvalidOperationException>(() => call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.False(first.IsCompleted);
    }

    [Fact]
    public async Task A_client_stream_is_answered_by_one_message()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            var all = new List<string>();
            await foreach (var request in http.RequestsAsync())
            {
                all.Add(request);
            }

            await http.Grpc().SendAsync(Message(string.Join(',', all)));
            http.Response.End();
        });
        using var call = server.Channel.ClientStreaming();

        foreach (var request in (string[])["a", "b", "", "c"])
        {
            await call.RequestStream.WriteAsync(request);
        }

        await call.RequestStream.CompleteAsync();

        Assert.Equal("a,b,,c", await call);
    }

    [Fact]
    public async Task A_lone_request_leaves_at_once_and_both_sides_may_take_turns()
    {
        await using var server = await ScriptedServer.StartAsync(Echo);
        using var call = server.Channel.Duplex();

        for (var i = 0; i < 100; i++)
        {
            await call.RequestStream.WriteAsync($"ping {i}");
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
            Assert.Equal($"ping {i}", call.ResponseStream.Current);
        }

        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext(CancellationToken.None));
    }

    [Fact]
    public async Task The_headers_of_a_stream_leave_before_its_first_request()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await http.Grpc().SendAsync(Message("welcome"));
            await Echo(http);
        });
        using var call = server.Channel.Duplex();

        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
        Assert.Equal("welcome", call.ResponseStream.Current);
    }

    [Fact]
    public async Task Requests_ahead_of_the_server_wait_for_it()
    {
        var read = new TaskCompletionSource();
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await read.Task;
            var count = 0;
            await foreach (var request in http.RequestsAsync())
            {
                count += request.Length;
            }

            await http.Grpc().SendAsync(Message(count.ToString(CultureInfo.InvariantCulture)));
            http.Response.End();
        });
        using var call = server.Channel.ClientStreaming();
        var request = new string('x', 10_000);
        var written = 0;
        var write = Task.CompletedTask;
        while (write.IsCompletedSuccessfully || await Task.WhenAny(write, Task.Delay(TimeSpan.FromSeconds(1))) == write)
        {
            write = call.RequestStream.WriteAsync(request);
            written++;
        }

        Assert.True(written * 10_000L < 4_000_000, $"{written} requests were taken.");
        read.SetResult();
        await write.WaitAsync(Patience);
        await call.RequestStream.CompleteAsync();
        Assert.Equal((written * 10_000).ToString(CultureInfo.InvariantCulture), await call);
    }

    [Fact]
    public async Task Large_requests_arrive_whole()
    {
        await using var server = await ScriptedServer.StartAsync(Echo);
        using var call = server.Channel.Duplex();
        var large = string.Concat(Enumerable.Range(0, 300_000).Select(static i => (char)('a' + (i % 26))));

        var reading = call.ResponseStream.ToListAsync();
        for (var i = 0; i < 20; i++)
        {
            await call.RequestStream.WriteAsync(large);
        }

        await call.RequestStream.CompleteAsync();

        Assert.Equal(Enumerable.Repeat(large, 20), await reading, StringComparer.Ordinal);
    }

    [Fact]
    public async Task Requests_with_a_buffer_hint_arrive_with_the_next()
    {
        await using var server = await ScriptedServer.StartAsync(Echo);
        using var call = server.Channel.Duplex();

        call.RequestStream.WriteOptions = new WriteOptions(WriteFlags.BufferHint);
        await call.RequestStream.WriteAsync("a");
        await call.RequestStream.WriteAsync("b");
        await call.RequestStream.CompleteAsync();

        Assert.Equal("a b", string.Join(' ', await call.ResponseStream.ToListAsync()));
    }

    [Fact]
    public async Task A_request_after_the_last_is_a_wrong_use()
    {
        await using var server = await ScriptedServer.StartAsync(Echo);
        using var call = server.Channel.Duplex();
        await call.RequestStream.CompleteAsync();

        await Assert.ThrowsAsync<InvalidOperationException>(() => call.RequestStream.WriteAsync("late"));
        await call.RequestStream.CompleteAsync();
    }

    [Fact]
    public async Task Two_writes_at_once_are_a_wrong_use()
    {
        await using var server = await ScriptedServer.StartAsync(http => Task.Delay(Timeout.Infinite, http.RequestAborted));
        using var call = server.Channel.ClientStreaming();
        var large = new string('x', 1_000_000);
        Task write;
        do
        {
            write = call.RequestStream.WriteAsync(large);
        }
        while (write.IsCompletedSuccessfully);

        await Assert.ThrowsAsync<InvalidOperationException>(() => call.RequestStream.WriteAsync("b"));
        await Assert.ThrowsAsync<InvalidOperationException>(() => call.RequestStream.CompleteAsync());

        call.Dispose();
        Assert.Equal(StatusCode.Cancelled, (await FailureOf(write)).StatusCode);
    }

    [Fact]
    public async Task A_request_to_a_call_that_the_server_has_ended_throws_its_status()
    {
        await using var server = await ScriptedServer.StartAsync(http =>
        {
            http.Grpc().Headers["grpc-status"] = "7";
            http.Response.Headers["grpc-message"] = "go away";
            return Task.CompletedTask;
        });
        using var call = server.Channel.ClientStreaming();
        await FailureOf(call.ResponseAsync);

        var failure = await FailureOf(call.RequestStream.WriteAsync("late"));

        Assert.Equal((StatusCode.PermissionDenied, "go away"), (failure.StatusCode, failure.Status.Detail));
    }

    [Fact]
    public async Task A_writer_that_waits_learns_how_the_call_ended()
    {
        var end = new TaskCompletionSource();
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await end.Task;
            http.Grpc().Headers["grpc-status"] = "8";
        });
        using var call = server.Channel.ClientStreaming();
        var large = new string('x', 1_000_000);
        Task write;
        do
        {
            write = call.RequestStream.WriteAsync(large);
        }
        while (write.IsCompletedSuccessfully);

        end.SetResult();

        Assert.Equal(StatusCode.ResourceExhausted, (await FailureOf(write)).StatusCode);
        Assert.Equal(StatusCode.ResourceExhausted, (await FailureOf(call.ResponseAsync)).StatusCode);
    }

    [Fact]
    public async Task A_server_may_answer_before_the_requests_end()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await http.Grpc().SendAsync(Message("enough"));
            http.Response.End();
        });
        using var call = server.Channel.ClientStreaming();

        Assert.Equal("enough", await call.ResponseAsync.WaitAsync(Patience));
        Assert.Equal(StatusCode.OK, (await FailureOf(call.RequestStream.WriteAsync("late"))).StatusCode);
    }

    [Fact]
    public async Task A_writer_finds_that_the_server_takes_no_more_and_the_status_comes_after_the_responses()
    {
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await http.Grpc().SendAsync(Message("enough"));
            http.Response.End(11, "no more");
        });
        using var call = server.Channel.Duplex();

        var failure = await FailureOf(WriteForeverAsync(call.RequestStream));

        Assert.Equal(StatusCode.Cancelled, failure.StatusCode);
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal("enough", call.ResponseStream.Current);
        Assert.Equal("no more", (await FailureOf(call.ResponseStream.MoveNext(CancellationToken.None))).Status.Detail);

        static async Task WriteForeverAsync(IClientStreamWriter<string> requests)
        {
            while (true)
            {
                await requests.WriteAsync(new string('x', 1000));
            }
        }
    }

    [Fact]
    public async Task A_request_that_cannot_be_written_leaves_the_stream_as_it_was()
    {
        await using var server = await ScriptedServer.StartAsync(Echo);
        var picky = Marshallers.Create<string>(
            static (text, context) =>
            {
                var bytes = System.Text.Encoding.UTF8.GetBytes(text);
                context.SetPayloadLength(bytes.Length);
                bytes.CopyTo(context.GetBufferWriter().GetSpan(bytes.Length));
                context.GetBufferWriter().Advance(bytes.Length);
                if (text is "bad")
                {
                    throw new FormatException("bad");
                }

                context.Complete();
            },
            static context => System.Text.Encoding.UTF8.GetString(context.PayloadAsNewBuffer()));
        var method = new Method<string, string>(MethodType.DuplexStreaming, "tests.Echo", "Duplex", picky, picky);
        using var call = server.Channel.CreateCallInvoker().AsyncDuplexStreamingCall(method, null, default);

        await call.RequestStream.WriteAsync("good");
        await Assert.ThrowsAsync<FormatException>(() => call.RequestStream.WriteAsync("bad"));
        await call.RequestStream.WriteAsync("better");
        await call.RequestStream.CompleteAsync();

        Assert.Equal("good better", string.Join(' ', await call.ResponseStream.ToListAsync()));
    }

    [Fact]
    public async Task A_stream_refused_before_its_first_request_is_sent_again()
    {
        var calls = 0;
        await using var server = await ScriptedServer.StartAsync(http =>
        {
            if (Interlocked.Increment(ref calls) == 1)
            {
                http.Features.GetRequiredFeature<IHttpResetFeature>().Reset(7);
                return Task.CompletedTask;
            }

            http.Grpc();
            return Echo(http);
        });
        using var call = server.Channel.Duplex();
        await call.ResponseHeadersAsync.WaitAsync(Patience);

        await call.RequestStream.WriteAsync("again");
        await call.RequestStream.CompleteAsync();

        Assert.Equal("again", Assert.Single(await call.ResponseStream.ToListAsync()));
    }

    private static async Task Echo(HttpContext http)
    {
        http.Grpc();
        await http.Response.StartAsync();
        await http.Response.Body.FlushAsync();
        await foreach (var request in http.RequestsAsync())
        {
            await http.Response.SendAsync(Message(request));
        }

        http.Response.End();
    }
}
