using Grpc.Core;

namespace Grpc.AspNetCore.Tests;

/// <summary>Deadlines, cancellation and clients that vanish: a call ends once, and nothing that comes after does harm.</summary>
public sealed class EndTests
{
    private static readonly byte[] Hello = [0, 0, 0, 0, 5, .. "hello"u8];
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData("/tests.Echo/Unary")]
    [InlineData("/tests.Echo/ServerStream")]
    public async Task A_deadline_is_answered_at_once_though_the_handler_goes_on(string path)
    {
        var goOn = new TaskCompletionSource();
        var late = new TaskCompletionSource<Exception?>();
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = async (request, context) =>
            {
                await goOn.Task;
                late.SetResult(null);
                return request;
            },
            ServerStream = async (request, responses, _) =>
            {
                await responses.WriteAsync("before");
                await goOn.Task;
                late.SetResult(await Record.ExceptionAsync(() => responses.WriteAsync("too late")));
            },
        });

        // A bare HTTP client, which has no timer of its own.
        var response = await server.SendAsync(Hello, path, headers: ("grpc-timeout", "100m")).WaitAsync(Patience);

        Assert.Equal((StatusCode.DeadlineExceeded, "Deadline Exceeded"), (response.Status, response.Message));
        goOn.SetResult();
        var exception = await late.Task.WaitAsync(Patience);
        Assert.True(path.EndsWith("Unary") || exception is InvalidOperationException, $"{exception}");
        Assert.Equal(StatusCode.OK, (await server.SendAsync(Hello, "/tests.Echo/ClientStream")).Status);
    }

    [Fact]
    public async Task A_deadline_fires_the_token_and_ends_a_read_that_waits()
    {
        var token = new TaskCompletionSource();
        var read = new TaskCompletionSource<Exception?>();
        await using var server = await EchoServer.StartAsync(new Script
        {
            Duplex = async (requests, _, context) =>
            {
                context.CancellationToken.Register(token.SetResult);
                Assert.InRange(context.Deadline, DateTime.UtcNow.AddSeconds(-30), DateTime.UtcNow.AddSeconds(30));
                read.SetResult(await Record.ExceptionAsync(() => requests.MoveNext(CancellationToken.None)));
            },
        });
        using var call = server.Duplex(new CallOptions(deadline: DateTime.UtcNow.AddMilliseconds(200)));

        var end = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(default));

        Assert.Equal(StatusCode.DeadlineExceeded, end.StatusCode);
        await token.Task.WaitAsync(Patience);
        Assert.NotNull(await read.Task.WaitAsync(Patience));
    }

    [Fact]
    public async Task Handler_and_deadline_race_and_each_call_has_one_end()
    {
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = async (request, _) =>
            {
                await Task.Delay(20);
                return request;
            },
        });

        var ends = await Task.WhenAll(Enumerable.Range(0, 500).Select(async i =>
        {
            var response = await server.SendAsync(Hello, headers: ("grpc-timeout", $"{15 + (i % 10)}m"));
            return (response.Status, Whole: response.Status != StatusCode.OK || response.Body.AsSpan().SequenceEqual(Hello));
        }));

        Assert.All(ends, end => Assert.True(end.Status is StatusCode.OK or StatusCode.DeadlineExceeded && end.Whole, $"{end}"));
        Assert.Equal(StatusCode.OK, (await server.SendAsync(Hello)).Status);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_client_that_cancels_fires_the_token(bool withDeadline)
    {
        var entered = new TaskCompletionSource();
        var cancelled = new TaskCompletionSource();
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = async (request, context) =>
            {
                context.CancellationToken.Register(cancelled.SetResult);
                entered.SetResult();
                await Task.Delay(Timeout.Infinite, context.CancellationToken);
                return request;
            },
        });
        var call = server.Unary("hello", new CallOptions(deadline: withDeadline ? DateTime.UtcNow.AddMinutes(1) : null));
        await entered.Task.WaitAsync(Patience);

        call.Dispose();

        await cancelled.Task.WaitAsync(Patience);
    }

    [Fact]
    public async Task A_handler_that_writes_to_a_client_that_is_gone_is_stopped()
    {
        var ended = new TaskCompletionSource<Exception?>();
        await using var server = await EchoServer.StartAsync(new Script
        {
            ServerStream = async (_, responses, _) =>
            {
                // Looks at no token.
                ended.SetResult(await Record.ExceptionAsync(async () =>
                {
                    while (true)
                    {
                        await responses.WriteAsync("more");
                    }
                }));
            },
        });
        var call = server.ServerStream("");
        Assert.True(await call.ResponseStream.MoveNext(default));

        call.Dispose();

        Assert.NotNull(await ended.Task.WaitAsync(Patience));
    }

    [Fact]
    public async Task Streams_cancelled_by_the_thousand_leave_a_server_that_answers()
    {
        await using var server = await EchoServer.StartAsync(new Script
        {
            ServerStream = async (_, responses, context) =>
            {
                while (!context.CancellationToken.IsCancellationRequested)
                {
                    await responses.WriteAsync("x", context.CancellationToken);
                }
            },
        });

        for (var round = 0; round < 20; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 50).Select(async i =>
            {
                using var call = server.ServerStream("");
                if (i % 2 == 0)
                {
                    await call.ResponseStream.MoveNext(default);
                }
            }));
        }

        Assert.Equal("hello", await server.Unary("hello"));
    }

    [Fact]
    public async Task Reads_and_writes_after_the_end_are_refused()
    {
        IAsyncStreamReader<string>? requests = null;
        IServerStreamWriter<string>? responses = null;
        await using var server = await EchoServer.StartAsync(new Script
        {
            Duplex = (reader, writer, _) =>
            {
                (requests, responses) = (reader, writer);
                return Task.CompletedTask;
            },
        });
        using var call = server.Duplex();
        Assert.False(await call.ResponseStream.MoveNext(default));

        await Assert.ThrowsAsync<InvalidOperationException>(() => requests!.MoveNext());
        await Assert.ThrowsAsync<InvalidOperationException>(() => responses!.WriteAsync("too late"));
    }

    [Fact]
    public async Task Two_reads_at_once_are_refused()
    {
        var second = new TaskCompletionSource<Exception?>();
        await using var server = await EchoServer.StartAsync(new Script
        {
            Duplex = async (requests, _, _) =>
            {
                var first = requests.MoveNext();
                second.SetResult(await Record.ExceptionAsync(() => requests.MoveNext()));
                await first;
            },
        });
        using var call = server.Duplex();

        Assert.IsType<InvalidOperationException>(await second.Task.WaitAsync(Patience));
        await call.RequestStream.CompleteAsync();
    }

    [Fact]
    public async Task The_deadline_of_a_call_being_served_is_passed_on()
    {
        EchoServer? inner = null;
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = async (request, context) =>
                await inner!.Unary(request, new CallOptions(propagationToken: context.CreatePropagationToken())),
        });
        inner = await EchoServer.StartAsync(new Script { Unary = (_, context) => Task.FromResult($"{context.Deadline < DateTime.MaxValue}") });
        await using var _ = inner;

        Assert.Equal("True", await server.Unary("", new CallOptions(deadline: DateTime.UtcNow.AddMinutes(1))));
        Assert.Equal("False", await server.Unary(""));
    }
}
