using Grpc.Core;
using RouteService.Api.Greetings;
using RouteService.Contracts.Hello;
using RouteService.Contracts.Helloworld;
using HelloRequest = RouteService.Contracts.Hello.HelloRequest;

namespace RouteService.Api.Tests;

public sealed class GreetingsTests
{
    [Theory]
    [InlineData("you", "Hello, you!", "Hello again, you!")]
    [InlineData("", "Hello, !", "Hello again, !")]
    [InlineData("Zoë 👋", "Hello, Zoë 👋!", "Hello again, Zoë 👋!")]
    public async Task Greeter_says_hello_and_hello_again(string name, string hello, string again)
    {
        await using var service = Service.Start();
        var greeter = new Greeter.GreeterClient(service.Channel);
        var request = new Contracts.Helloworld.HelloRequest { Name = name };

        Assert.Equal(hello, (await greeter.SayHelloAsync(request)).Message);
        Assert.Equal(again, (await greeter.SayHelloAgainAsync(request)).Message);
        Assert.Equal(hello, greeter.SayHello(request).Message);
    }

    [Fact]
    public async Task SayHello_names_the_greeting()
    {
        await using var service = Service.Start();

        Assert.Equal("Hello, A!", (await Client(service).SayHelloAsync(new HelloRequest { Greeting = "A" })).Reply);
    }

    [Fact]
    public async Task LotsOfReplies_are_five_and_numbered()
    {
        await using var service = Service.Start();
        using var call = Client(service).LotsOfReplies(new HelloRequest { Greeting = "A" });

        Assert.Equal(
            ["Hello, A! (1)", "Hello, A! (2)", "Hello, A! (3)", "Hello, A! (4)", "Hello, A! (5)"],
            await call.ResponseStream.ReadAllAsync().Select(response => response.Reply).ToListAsync());
    }

    [Theory]
    [InlineData("Hello, A, B, C!", "A", "B", "C")]
    [InlineData("Hello, A!", "A")]
    [InlineData("Hello, !")]
    public async Task LotsOfGreetings_are_answered_once_in_order(string reply, params string[] greetings)
    {
        await using var service = Service.Start();

        Assert.Equal(reply, await GreetAllAsync(service, greetings));
    }

    [Fact]
    public async Task LotsOfGreetings_has_a_bound()
    {
        await using var service = Service.Start(greetings: new GreetingOptions { MaxReplyLength = 10 });

        var refusal = await Assert.ThrowsAsync<RpcException>(() => GreetAllAsync(service, ["12345", "12345"]));

        Assert.Equal(StatusCode.ResourceExhausted, refusal.StatusCode);
        Assert.Contains("10 characters", refusal.Status.Detail);
    }

    [Fact]
    public async Task BidiHello_answers_each_as_it_comes()
    {
        await using var service = Service.Start();
        using var call = Client(service).BidiHello();

        foreach (var greeting in (string[])["A", "B", "C"])
        {
            // The next is sent only when the answer to this one is there.
            await call.RequestStream.WriteAsync(new HelloRequest { Greeting = greeting });
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
            Assert.Equal($"Hello, {greeting}!", call.ResponseStream.Current.Reply);
        }

        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    private static Contracts.Hello.HelloService.HelloServiceClient Client(Service service) => new(service.Channel);

    private static async Task<string> GreetAllAsync(Service service, string[] greetings)
    {
        using var call = Client(service).LotsOfGreetings();
        foreach (var greeting in greetings)
        {
            await call.RequestStream.WriteAsync(new HelloRequest { Greeting = greeting });
        }

        await call.RequestStream.CompleteAsync();
        return (await call.ResponseAsync).Reply;
    }
}
