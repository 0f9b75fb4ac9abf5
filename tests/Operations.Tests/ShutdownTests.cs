using System.Net;
using Google.Protobuf;
using Grpc.Core;
using RouteService.Contracts.Hello;
using RouteService.Contracts.Routeguide;

namespace RouteService.Operations.Tests;

public sealed class ShutdownTests : ServiceTest
{
    [Theory]
    [InlineData(0)]
    [InlineData(500)]
    public async Task Streams_end_with_a_reason_and_the_program_well_before_its_grace(int streams)
    {
        await StartAsync();

        // Frame by frame, because .NET's client forgets a reason that it reads after the end of its connection, as 500 on a busy machine do.
        var chats = await Task.WhenAll(Enumerable.Range(0, streams).Select(async i =>
        {
            var note = RawConnection.Message(new RouteNote { Location = new Point { Latitude = i }, Message = "here" }.ToByteArray());
            var chat = await RawConnection.OpenAsync(Service.GrpcPort);
            await chat.CallAsync(1, "/routeguide.RouteGuide/RouteChat");
            await chat.MessageAsync(1, [.. note, .. note]);
            Assert.NotNull(await chat.ReadAsync(RawConnection.Data).WaitAsync(Patience));
            return chat;
        }));

        var exit = Service.StopAsync();

        var answers = await Task.WhenAll(chats.Select(static chat => chat.AnswerAsync(1).WaitAsync(Patience)));
        Assert.All(answers, static answer => Assert.Equal(
            (StatusCode.Unavailable, "The service is shutting down; call again, and another replica answers."),
            (answer.Status, answer.Fields.GetValueOrDefault("grpc-message"))));
        Assert.Equal(0, await exit);
        foreach (var chat in chats)
        {
            await chat.DisposeAsync();
        }
    }

    [Fact]
    public async Task It_is_not_ready_at_once_and_takes_calls_until_load_balancers_have_seen_it()
    {
        Service.Settings["RouteService__Shutdown__DelaySeconds"] = "4";
        await StartAsync();
        var channel = Connect();
        using var chat = new RouteGuide.RouteGuideClient(channel).RouteChat();
        await chat.RequestStream.WriteAsync(new RouteNote { Location = new Point(), Message = "one" });

        var exit = Service.StopAsync();
        await Service.WaitForReadinessAsync(HttpStatusCode.ServiceUnavailable);

        // A new connection, and the stream that is open.
        await HelloAsync(Connect());
        await chat.RequestStream.WriteAsync(new RouteNote { Location = new Point(), Message = "two" });
        Assert.True(await chat.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(HttpStatusCode.OK, (await Service.HealthAsync("live")).StatusCode);

        await LostAsync(chat.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(0, await exit);
    }

    [Fact]
    public async Task What_is_being_answered_is_answered()
    {
        await StartAsync();
        using var list = new RouteGuide.RouteGuideClient(Connect()).ListFeatures(
            new Rectangle { Lo = new Point { Latitude = -900000000, Longitude = -1800000000 }, Hi = new Point { Latitude = 900000000, Longitude = 1800000000 } });
        Assert.True(await list.ResponseStream.MoveNext(CancellationToken.None));

        var exit = Service.StopAsync();
        var count = 1;
        while (await list.ResponseStream.MoveNext(CancellationToken.None))
        {
            count++;
        }

        Assert.Equal(3966, count);
        Assert.Equal(0, await exit);
    }

    [Fact]
    public async Task Who_does_not_read_is_cut_off_when_the_grace_is_over()
    {
        Service.Settings["RouteService__Shutdown__GraceSeconds"] = "2";
        await StartAsync();
        using var hello = new HelloService.HelloServiceClient(Connect()).BidiHello();
        var greeting = new HelloRequest { Greeting = new string('x', 100_000) };
        using var full = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            while (true)
            {
                await hello.RequestStream.WriteAsync(greeting).WaitAsync(full.Token);
            }
        });

        Assert.Equal(0, await Service.StopAsync());
    }

    [Theory]
    [InlineData(RunningService.SigTerm, 143)]
    [InlineData(RunningService.SigInt, 130)]
    public async Task A_second_signal_ends_it_now(int signal, int code)
    {
        Service.Settings["RouteService__Shutdown__DelaySeconds"] = "600";
        await StartAsync();
        var exit = Service.StopAsync(signal);
        await Service.OutputAsync("Shutting down: reporting not ready");

        // Within a second it is still the first one.
        while (!Service.HasExited)
        {
            Service.TrySend(signal);
            await Task.Delay(100);
        }

        Assert.Equal(code, await exit);
        Assert.Contains("Ended by a second signal", Service.Output);
    }
}
