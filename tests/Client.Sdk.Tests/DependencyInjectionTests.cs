using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace RouteService.Client.Tests;

public sealed class DependencyInjectionTests
{
    [Fact]
    public async Task One_client_is_shared_and_ends_with_the_container()
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        IRouteServiceClient client;
        await using (var provider = new ServiceCollection().AddRouteServiceClient(Configuration(("Address", service.Address))).BuildServiceProvider())
        {
            client = provider.GetRequiredService<IRouteServiceClient>();
            Assert.Same(client, provider.GetRequiredService<RouteServiceClient>());
            Assert.Equal("here", (await client.GetFeatureAsync(Places.Here))!.Name);
        }

        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.GetFeatureAsync(Places.Here));
    }

    [Fact]
    public async Task Named_clients_are_each_their_own()
    {
        await using var first = await ScriptedService.StartAsync(new Script());
        await using var second = await ScriptedService.StartAsync(new Script());
        await using var provider = new ServiceCollection()
            .AddRouteServiceClient("first", Configuration(("Address", first.Address)))
            .AddRouteServiceClient("second", configure: (options, _) => options.Address = second.Address)
            .AddTransient<Traveller>()
            .BuildServiceProvider();

        await provider.GetRequiredService<Traveller>().AskAsync();

        Assert.Equal((0, 1), (first.Script.Calls, second.Script.Calls));
        Assert.NotSame(provider.GetRequiredKeyedService<RouteServiceClient>("first"), provider.GetRequiredKeyedService<RouteServiceClient>("second"));
        Assert.Null(provider.GetService<IRouteServiceClient>());
    }

    [Fact]
    public async Task All_options_that_have_a_text_come_from_configuration_and_code_has_the_last_word()
    {
        await using var provider = new ServiceCollection().AddRouteServiceClient(
            Configuration(
                ("Address", "https://routes.example.com"), ("Timeout", "00:00:03"), ("StreamSilence", "00:00:07"), ("Retry:MaxAttempts", "2"), ("Retry:Delay", "00:00:00.050"),
                ("Hedging:Delay", "00:00:00.010"), ("CircuitBreaker:MinimumCalls", "9"), ("Tls:AuthorityFile", "ca.pem"), ("Compress", "true"), ("KeepAlive", "00:00:05")),
            static (options, _) => options.Timeout = TimeSpan.FromSeconds(4)).BuildServiceProvider();

        var options = provider.GetRequiredService<IOptions<RouteServiceClientOptions>>().Value;

        Assert.Equal(
            new RouteServiceClientOptions
            {
                Address = "https://routes.example.com",
                Timeout = TimeSpan.FromSeconds(4),
                StreamSilence = TimeSpan.FromSeconds(7),
                Retry = new() { MaxAttempts = 2, Delay = TimeSpan.FromMilliseconds(50) },
                Hedging = new() { Delay = TimeSpan.FromMilliseconds(10) },
                CircuitBreaker = new() { MinimumCalls = 9 },
                Tls = new() { AuthorityFile = "ca.pem" },
                Compress = true,
                KeepAlive = TimeSpan.FromSeconds(5),
            },
            options);
    }

    [Theory]
    [InlineData("Retry:MaxAttempts", "0", "The option Retry.MaxAttempts is to be from 1 to 100; it is '0'.")]
    [InlineData("Timeout", "-00:00:01", "The option Timeout is to be more than zero, or infinite; it is '-00:00:01'.")]
    [InlineData("Timeout", "soon", "'soon'")]
    public async Task What_is_wrong_is_told_when_the_host_starts(string key, string value, string complaint)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddRouteServiceClient(Configuration((key, value)));
        using var host = builder.Build();

        var error = await Assert.ThrowsAnyAsync<Exception>(() => host.StartAsync());

        Assert.Contains(complaint, error.Message);
    }

    [Fact]
    public async Task A_handler_of_the_users_sees_every_request()
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        var handler = new Counting();
        await using var provider = new ServiceCollection()
            .AddSingleton(handler)
            .AddRouteServiceClient(Configuration(("Address", service.Address)), static (options, services) => options.ConfigureHandler = sockets =>
            {
                var counting = services.GetRequiredService<Counting>();
                counting.InnerHandler = sockets;
                return counting;
            })
            .BuildServiceProvider();

        await provider.GetRequiredService<IRouteServiceClient>().GetFeatureAsync(Places.Here);

        Assert.Equal(["/routeguide.RouteGuide/GetFeature"], handler.Paths);
    }

    private static IConfiguration Configuration(params (string Key, string Value)[] values) =>
        new ConfigurationBuilder().AddInMemoryCollection(values.Select(static value => KeyValuePair.Create(value.Key, (string?)value.Value))).Build();

    private sealed class Traveller([FromKeyedServices("second")] IRouteServiceClient client)
    {
        public Task AskAsync() => client.GetFeatureAsync(Places.Here);
    }

    private sealed class Counting : DelegatingHandler
    {
        public List<string> Paths { get; } = [];

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Paths.Add(request.RequestUri!.AbsolutePath);
            return base.SendAsync(request, cancellationToken);
        }
    }
}
