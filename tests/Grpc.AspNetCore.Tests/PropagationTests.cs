using Grpc.Core;

namespace Grpc.AspNetCore.Tests;

/// <summary>What a call that a handler makes takes over from the one being served.</summary>
public sealed class PropagationTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_client_that_cancels_cancels_the_calls_behind_its_own()
    {
        var reached = new TaskCompletionSource();
        var cancelled = new TaskCompletionSource();
        await using var inner = await EchoServer.StartAsync(new Script
        {
            Unary = async (_, context) =>
            {
                context.CancellationToken.Register(cancelled.SetResult);
                reached.SetResult();
                await cancelled.Task;
                return "";
            },
        });
        await using var outer = await EchoServer.StartAsync(Forwarding(inner));
        using var call = outer.Unary("hello");
        await reached.Task.WaitAsync(Patience);

        call.Dispose();

        await cancelled.Task.WaitAsync(Patience);
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task Deadline_and_cancellation_are_each_passed_on_or_not(bool deadline, bool cancellation)
    {
        ContextPropagationToken? token = null;
        var ended = new TaskCompletionSource();
        await using var inner = await EchoServer.StartAsync(new Script { Unary = (_, context) => Task.FromResult($"{context.Deadline < DateTime.MaxValue}") });
        await using var outer = await EchoServer.StartAsync(new Script
        {
            Unary = async (request, context) =>
            {
                token = context.CreatePropagationToken(new ContextPropagationOptions(deadline, cancellation));
                context.CancellationToken.Register(ended.SetResult);
                return request is "wait" ? await new TaskCompletionSource<string>().Task.WaitAsync(context.CancellationToken) : "";
            },
        });
        using var cancel = new CancellationTokenSource();
        using var call = outer.Unary("wait", new CallOptions(deadline: DateTime.UtcNow.AddMinutes(5), cancellationToken: cancel.Token));
        while (token is null)
        {
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }

        Assert.Equal($"{deadline}", await inner.Unary("", new CallOptions(propagationToken: token)));
        await cancel.CancelAsync();
        await ended.Task.WaitAsync(Patience);

        var late = await Record.ExceptionAsync(async () => await inner.Unary("", new CallOptions().WithPropagationToken(token)));
        Assert.Equal(cancellation ? StatusCode.Cancelled : null, (late as RpcException)?.StatusCode);
    }

    [Fact]
    public async Task The_earlier_deadline_counts()
    {
        await using var inner = await EchoServer.StartAsync(new Script { Unary = (_, context) => Task.FromResult($"{context.Deadline:O}") });
        await using var outer = await EchoServer.StartAsync(new Script
        {
            Unary = async (own, context) => await inner.Unary(
                "", new CallOptions(deadline: DateTime.UtcNow.AddMinutes(int.Parse(own)), propagationToken: context.CreatePropagationToken())),
        });

        var served = DateTime.UtcNow.AddMinutes(30);
        Assert.InRange(await DeadlineAsync("60"), served.AddMinutes(-1), served.AddMinutes(1));
        Assert.InRange(await DeadlineAsync("10"), served.AddMinutes(-21), served.AddMinutes(-19));

        async Task<DateTime> DeadlineAsync(string own) =>
            DateTime.Parse(await outer.Unary(own, new CallOptions(deadline: served)), null, System.Globalization.DateTimeStyles.RoundtripKind);
    }

    private static Script Forwarding(EchoServer inner) => new()
    {
        Unary = async (request, context) => await inner.Unary(request, new CallOptions(propagationToken: context.CreatePropagationToken())),
    };
}
