using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using static Grpc.Tests.Client.Answers;
using static Grpc.Tests.Client.Calls;

namespace Grpc.Tests.Client;

/// <summary>Deadlines, cancellation and disposal: how this side ends a call.</summary>
public sealed class EndTests
{
    private readonly ManualClock _clock = new();

    [Fact]
    public async Task A_deadline_that_passes_ends_the_call_and_tells_the_server()
    {
        var aborted = new TaskCompletionSource();
        var timeout = new TaskCompletionSource<string>();
        await using var server = await ScriptedServer.StartAsync(
            async http =>
            {
                timeout.SetResult(http.Request.Headers["grpc-timeout"].ToString());
                await Aborted(http);
                aborted.SetResult();
            },
            new GrpcChannelOptions { Clock = _clock });
        using var call = server.Channel.Unary(options: new CallOptions(deadline: _clock.Now.AddSeconds(5)));
        Assert.Equal("5000000u", await timeout.Task.WaitAsync(Patience));

        _clock.Advance(TimeSpan.FromSeconds(4.999));
        Assert.False(call.ResponseAsync.IsCompleted);
        _clock.Advance(TimeSpan.FromMilliseconds(1));

        Assert.Equal(StatusCode.DeadlineExceeded, (await FailureOf(call.ResponseAsync)).StatusCode);
        Assert.Equal(StatusCode.DeadlineExceeded, call.GetStatus().StatusCode);
        await aborted.Task.WaitAsync(Patience);
        Assert.Equal(0, _clock.Running);
    }

    [Fact]
    public async Task A_deadline_that_is_past_ends_the_call_unsent()
    {
        var called = false;
        await using var server = await ScriptedServer.StartAsync(
            _ =>
            {
                called = true;
                return Task.CompletedTask;
            },
            new GrpcChannelOptions { Clock = _clock });

        var failure = await FailureOf(server.Channel.Unary(options: new CallOptions(deadline: _clock.Now)).ResponseAsync);

        Assert.Equal(StatusCode.DeadlineExceeded, failure.StatusCode);
        Assert.False(called);
    }

    [Fact]
    public async Task A_deadline_further_off_than_a_timer_can_wait_is_kept()
    {
        await using var server = await ScriptedServer.StartAsync(Aborted, new GrpcChannelOptions { Clock = _clock });
        using var call = server.Channel.Unary(options: new CallOptions(deadline: _clock.Now.AddDays(100)));

        _clock.Advance(TimeSpan.FromDays(60));
        _clock.Advance(TimeSpan.FromDays(39.9));
        Assert.False(call.ResponseAsync.IsCompleted);
        _clock.Advance(TimeSpan.FromDays(0.1));

        Assert.Equal(StatusCode.DeadlineExceeded, (await FailureOf(call.ResponseAsync)).StatusCode);
    }

    [Theory]
    [InlineData("grpc-status")]
    [InlineData("reset")]
    public async Task A_server_that_cancels_at_the_deadline_first_makes_no_difference(string how)
    {
        await using var server = await ScriptedServer.StartAsync(
            http =>
            {
                // The timer of the client stays behind its clock here, as one does on a busy machine.
                _clock.Stall(TimeSpan.FromSeconds(6));
                if (how is "reset")
                {
                    http.Features.GetRequiredFeature<IHttpResetFeature>().Reset(8);
                }
                else
                {
                    http.Grpc().Headers["grpc-status"] = "1";
                }

                return Task.CompletedTask;
            },
            new GrpcChannelOptions { Clock = _clock });

        var failure = await FailureOf(server.Channel.Unary(options: new CallOptions(deadline: _clock.Now.AddSeconds(5))).ResponseAsync);

        Assert.Equal(StatusCode.DeadlineExceeded, failure.StatusCode);
    }

    [Fact]
    public async Task A_call_that_ends_in_time_leaves_no_timer()
    {
        await using var server = await ScriptedServer.StartAsync(Hi, new GrpcChannelOptions { Clock = _clock });

        Assert.Equal("hi", await server.Channel.Unary(options: new CallOptions(deadline: _clock.Now.AddSeconds(5))));
        Assert.Equal(0, _clock.Running);
    }

    [Fact]
    public async Task A_deadline_of_local_time_is_a_wrong_use()
    {
        await using var server = await ScriptedServer.StartAsync(Hi);
        var local = DateTime.SpecifyKind(_clock.Now, DateTimeKind.Local);

        Assert.Throws<InvalidOperationException>(() => server.Channel.Unary(options: new CallOptions(deadline: local)));
    }

    [Fact]
    public async Task A_token_cancels_the_call_and_tells_the_server()
    {
        using var cancel = new CancellationTokenSource();
        var aborted = new TaskCompletionSource();
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await cancel.CancelAsync();
            await Aborted(http);
            aborted.SetResult();
        });
        using var call = server.Channel.Unary(options: new CallOptions(cancellationToken: cancel.Token));

        Assert.Equal(StatusCode.Cancelled, (await FailureOf(call.ResponseAsync)).StatusCode);
        await aborted.Task.WaitAsync(Patience);
    }

    [Fact]
    public async Task A_token_that_has_fired_keeps_the_call_from_being_sent()
    {
        var called = false;
        await using var server = await ScriptedServer.StartAsync(_ =>
        {
            called = true;
            return Task.CompletedTask;
        });

        var failure = await FailureOf(server.Channel.Unary(options: new CallOptions(cancellationToken: new CancellationToken(canceled: true))).ResponseAsync);

        Assert.Equal(StatusCode.Cancelled, failure.StatusCode);
        Assert.False(called);
    }

    [Fact]
    public async Task A_token_of_one_read_cancels_the_call_between_messages()
    {
        var aborted = new TaskCompletionSource();
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await http.Grpc().SendAsync(Message("one"));
            await Aborted(http);
            aborted.SetResult();
        });
        using var call = server.Channel.ServerStreaming();
        using var cancel = new CancellationTokenSource();
        Assert.True(await call.ResponseStream.MoveNext(cancel.Token));

        var next = call.ResponseStream.MoveNext(cancel.Token);
        await cancel.CancelAsync();

        Assert.Equal(StatusCode.Cancelled, (await FailureOf(next)).StatusCode);
        Assert.Equal(StatusCode.Cancelled, call.GetStatus().StatusCode);
        await aborted.Task.WaitAsync(Patience);
    }

    [Fact]
    public async Task Disposal_cancels_the_call_and_lets_its_reader_go()
    {
        var aborted = new TaskCompletionSource();
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            await http.Grpc().SendAsync(Message("one"));
            await Aborted(http);
            aborted.SetResult();
        });
        var call = server.Channel.ServerStreaming();
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        var next = call.ResponseStream.MoveNext(CancellationToken.None);

        call.Dispose();

        Assert.Equal(StatusCode.Cancelled, (await FailureOf(next)).StatusCode);
        Assert.Equal(StatusCode.Cancelled, call.GetStatus().StatusCode);
        Assert.Empty(call.GetTrailers());
        await aborted.Task.WaitAsync(Patience);
    }

    [Fact]
    public async Task Disposal_after_the_end_changes_nothing()
    {
        await using var server = await ScriptedServer.StartAsync(Hi);
        var call = server.Channel.Unary();
        await call;

        call.Dispose();

        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task Cancellation_can_be_asked_for_as_such()
    {
        using var cancel = new CancellationTokenSource();
        await using var server = await ScriptedServer.StartAsync(
            async http =>
            {
                await cancel.CancelAsync();
                await Aborted(http);
            },
            new GrpcChannelOptions { ThrowOperationCanceledOnCancellation = true });

        var failure = await Assert.ThrowsAsync<OperationCanceledException>(
            async () => await server.Channel.Unary(options: new CallOptions(cancellationToken: cancel.Token)));

        Assert.Equal(cancel.Token, failure.CancellationToken);
        Assert.Equal(StatusCode.Cancelled, Assert.IsType<RpcException>(failure.InnerException).StatusCode);
    }

    [Fact]
    public async Task A_served_call_passes_its_deadline_and_cancellation_on()
    {
        using var served = new CancellationTokenSource();
        var timeout = new TaskCompletionSource<string>();
        await using var server = await ScriptedServer.StartAsync(
            async http =>
            {
                timeout.SetResult(http.Request.Headers["grpc-timeout"].ToString());
                await Aborted(http);
            },
            new GrpcChannelOptions { Clock = _clock });
        var options = new CallOptions(
            deadline: _clock.Now.AddSeconds(9), propagationToken: new CallPropagationToken(_clock.Now.AddSeconds(3), served.Token));
        using var call = server.Channel.Unary(options: options);
        Assert.Equal("3000000u", await timeout.Task.WaitAsync(Patience));

        await served.CancelAsync();

        Assert.Equal(StatusCode.Cancelled, (await FailureOf(call.ResponseAsync)).StatusCode);
    }

    [Fact]
    public async Task A_channel_disposed_of_cancels_its_calls_and_takes_no_more()
    {
        var arrived = new TaskCompletionSource();
        await using var server = await ScriptedServer.StartAsync(async http =>
        {
            arrived.SetResult();
            await Aborted(http);
        });
        var call = server.Channel.Unary();
        await arrived.Task.WaitAsync(Patience);

        server.Channel.Dispose();

        Assert.Equal(StatusCode.Cancelled, (await FailureOf(call.ResponseAsync)).StatusCode);
        Assert.Throws<ObjectDisposedException>(() => server.Channel.Unary());
    }

    [Fact]
    public async Task A_failure_that_nobody_looks_at_stays_with_its_call()
    {
        var unobserved = new List<Exception>();
        EventHandler<UnobservedTaskExceptionEventArgs> onUnobserved = (_, e) => unobserved.Add(e.Exception);
        TaskScheduler.UnobservedTaskException += onUnobserved;
        try
        {
            await using var server = await ScriptedServer.StartAsync(http =>
            {
                http.Grpc().Headers["grpc-status"] = "8";
                return Task.CompletedTask;
            });
            for (var i = 0; i < 20; i++)
            {
                await FailUnseenAsync(server.Channel);
            }

            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        finally
        {
            TaskScheduler.UnobservedTaskException -= onUnobserved;
        }

        // Other tests run at the same time, and leave reads of theirs behind.
        Assert.DoesNotContain(unobserved, e => e.InnerException is RpcException { StatusCode: StatusCode.ResourceExhausted });

        static async Task FailUnseenAsync(GrpcChannel channel)
        {
            var call = channel.Unary();
            _ = call.ResponseHeadersAsync;
            await Task.WhenAny(call.ResponseAsync);
        }
    }

    private static Task Aborted(HttpContext http)
    {
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        http.RequestAborted.Register(aborted.SetResult);
        return aborted.Task;
    }

    private static async Task Hi(HttpContext http)
    {
        await http.Grpc().SendAsync(Message("hi"));
        http.Response.End();
    }
}
