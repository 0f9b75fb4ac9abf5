using System.Collections.Concurrent;
using System.Net;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using static RouteService.Client.Tests.Places;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Client.Tests;

public sealed class DependencyInjectionTests
{
    [Fact]
    public async Task A_client_is_one_for_all_with_options_of_configuration_and_then_of_code()
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        var services = new ServiceCollection();
        services.AddSingleton(new Tokens("of the container"));
        services.AddRouteServiceClient(
            Section("RouteService", ("Address", service.Address), ("Timeout", "00:00:03"), ("Retry:MaxAttempts", "2"), ("Hedging:Delay", "00:00:01"), ("Compress", "true")),
            static (options, provider) =>
            {
                options.Timeout *= 2;
                options.SendTokenWithoutTls = true;
                options.BearerToken = _ => new(provider.GetRequiredService<Tokens>().Value);
            });
        await using var provider = services.BuildServiceProvider();

        var client = provider.GetRequiredService<IRouteServiceClient>();
        Assert.NotNull(await client.GetFeatureAsync(Here));

        Assert.Same(client, provider.GetRequiredService<RouteServiceClient>());
        using (var scope = provider.CreateScope())
        {
            Assert.Same(client, scope.ServiceProvider.GetRequiredService<IRouteServiceClient>());
        }

        var options = provider.GetRequiredService<IOptions<RouteServiceClientOptions>>().Value;
        Assert.Equal((TimeSpan.FromSeconds(6), 2, TimeSpan.FromSeconds(1), true), (options.Timeout, options.Retry.MaxAttempts, options.Hedging!.Delay, options.Compress));
        Assert.Equal(TimeSpan.FromMilliseconds(100), options.Retry.Delay);
        var request = service.Script.Requests.Single();
        Assert.Equal(("Bearer of the container", "gzip"), (request["authorization"], request["grpc-encoding"]));
    }

    [Fact]
    public async Task Clients_by_name_have_options_of_their_own()
    {
        await using var east = await ScriptedService.StartAsync(new Script());
        await using var west = await ScriptedService.StartAsync(new Script());
        var services = new ServiceCollection();
        services.AddRouteServiceClient("east", Section("East", ("Address", east.Address)));
        services.AddRouteServiceClient("west", configure: (options, _) => options.Address = west.Address);
        services.AddSingleton<Traveller>();
        await using var provider = services.BuildServiceProvider();

        var traveller = provider.GetRequiredService<Traveller>();
        await traveller.East.GetFeatureAsync(Here);
        await traveller.East.GetFeatureAsync(Here);
        await traveller.West.GetFeatureAsync(Here);

        Assert.Equal((2, 1), (east.Script.Calls, west.Script.Calls));
        Assert.Same(traveller.East, provider.GetRequiredKeyedService<RouteServiceClient>("east"));
        Assert.Null(provider.GetService<IRouteServiceClient>());
    }

    [Fact]
    public async Task The_HTTP_handler_can_be_changed()
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        var services = new ServiceCollection();
        services.AddTransient<Stamp>();
        services.AddRouteServiceClient(configure: (options, provider) =>
        {
            options.Address = service.Address;
            options.ConfigureHandler = sockets =>
            {
                var stamp = provider.GetRequiredService<Stamp>();
                stamp.InnerHandler = sockets;
                return stamp;
            };
        });
        await using var provider = services.BuildServiceProvider();

        await provider.GetRequiredService<IRouteServiceClient>().GetFeatureAsync(Here);

        Assert.Equal("yes", service.Script.Requests.Single()["x-stamped"]);
    }

    [Fact]
    public async Task The_builder_adds_interceptors_handlers_and_credentials_of_the_container()
    {
        await using var service = await ScriptedService.StartAsync(new Script { GetFeature = static (point, _, call) => call == 1 ? throw Script.Error(StatusCode.Unavailable) : Task.FromResult(new Proto.Feature { Name = "here", Location = point }) });
        var services = new ServiceCollection();
        services.AddSingleton(new Tokens("of the container"));
        services.AddTransient<Stamp>();
        var builder = services.AddRouteServiceClient("routes", configure: (options, _) =>
        {
            options.Address = service.Address;
            options.SendTokenWithoutTls = true;
            options.Retry.Delay = TimeSpan.FromMilliseconds(1);
        });
        builder.AddInterceptor(static _ => new Order("outer")).AddInterceptor(static _ => new Order("inner"))
            .AddHttpMessageHandler(static provider => provider.GetRequiredService<Stamp>())
            .AddCallCredentials(static provider => CallCredentials.FromInterceptor((_, metadata) =>
            {
                metadata.Add("x-token", provider.GetRequiredService<Tokens>().Value);
                return Task.CompletedTask;
            }));
        await using var provider = services.BuildServiceProvider();

        await provider.GetRequiredKeyedService<IRouteServiceClient>("routes").GetFeatureAsync(Here);

        Assert.Equal("routes", builder.Name);
        Assert.Same(services, builder.Services);
        Assert.Equal(2, service.Script.Requests.Count);
        Assert.All(service.Script.Requests, static request => Assert.Equal(("outer,inner", "yes", "of the container"), (request["x-order"], request["x-stamped"], request["x-token"])));

        // Credentials are not sent for all to read, unless that is meant.
        services.AddRouteServiceClient(configure: (options, _) => options.Address = service.Address).AddCallCredentials(static _ => CallCredentials.FromInterceptor(static (_, _) => Task.CompletedTask));
        await using var open = services.BuildServiceProvider();
        Assert.Contains("SendTokenWithoutTls", Assert.Throws<ArgumentException>(() => open.GetRequiredService<IRouteServiceClient>()).Message);
    }

    [Fact]
    public async Task The_containers_logger_hears_of_connections_retries_breaks_resumptions_and_failures()
    {
        var logs = new Logs();
        await using var service = await ScriptedService.StartAsync(new Script
        {
            GetFeature = static (_, _, _) => throw Script.Error(StatusCode.Unavailable, "out"),
            ListFeatures = static async (stream, _, call) =>
            {
                await stream.WriteAsync(Feature(call));
                if (call == 3)
                {
                    throw Script.Error(StatusCode.Unavailable, "gone");
                }
            },
        });
        var services = new ServiceCollection();
        services.AddLogging(logging => logging.AddProvider(logs));
        services.AddRouteServiceClient(configure: (options, _) =>
        {
            options.Address = service.Address;
            options.Retry = new() { MaxAttempts = 2, Delay = TimeSpan.FromMilliseconds(1) };
        });
        await using var provider = services.BuildServiceProvider();
        var client = provider.GetRequiredService<IRouteServiceClient>();

        await Assert.ThrowsAsync<RouteServiceException>(() => client.GetFeatureAsync(Here));
        Assert.Equal(2, (await ToListAsync(client.ListFeaturesAsync(BoundingBox.World))).Count);
        await service.StopAsync();
        while (!logs.Lines.Any(static line => line.StartsWith("2 ", StringComparison.Ordinal)))
        {
            await Task.Delay(10);
        }

        Assert.Contains($"1 Connected to {service.Address}.", logs.Lines);
        Assert.Contains(logs.Lines, static line => line.StartsWith("3 routeguide.RouteGuide/GetFeature failed with Status(StatusCode=\"Unavailable\", Detail=\"out\"); attempt 2 follows in", StringComparison.Ordinal));
        Assert.Contains(logs.Lines, static line => line.StartsWith("4 routeguide.RouteGuide/ListFeatures broke off after 1 messages", StringComparison.Ordinal));
        Assert.Contains(logs.Lines, static line => line.StartsWith("5 routeguide.RouteGuide/ListFeatures has resumed", StringComparison.Ordinal));
        Assert.Contains("6 routeguide.RouteGuide/GetFeature failed after 2 attempts and 0 messages: Unavailable. out", logs.Lines);
    }

    [Fact]
    public async Task A_client_is_made_on_a_channel_or_an_invoker_of_the_application()
    {
        await using var service = await ScriptedService.StartAsync(new Script { GetFeature = static (point, _, call) => call == 1 ? throw Script.Error(StatusCode.Unavailable) : Task.FromResult(new Proto.Feature { Name = "here", Location = point }) });
        using var channel = GrpcChannel.ForAddress(service.Address);
        await using (var client = new RouteServiceClient(channel, new RouteServiceClientOptions { Retry = { Delay = TimeSpan.FromMilliseconds(1) } }))
        {
            Assert.NotNull(await client.GetFeatureAsync(Here));
            await client.ConnectAsync();
            Assert.Equal(ConnectionState.Ready, client.State);
        }

        // The channel is the application's.
        await using (var client = new RouteServiceClient(channel.Intercept(new Order("application"))))
        {
            Assert.NotNull(await client.GetFeatureAsync(Here));
            Assert.Throws<InvalidOperationException>(() => client.State);
            await Assert.ThrowsAsync<InvalidOperationException>(() => client.ConnectAsync());
            await using var chat = await client.JoinChatAsync([Here]);
        }

        Assert.Contains(service.Script.Requests, static request => request.GetValueOrDefault("x-order") == "application");
        Assert.Throws<ArgumentException>(() => new RouteServiceClient(channel, new RouteServiceClientOptions { Timeout = TimeSpan.Zero }));
        Assert.Throws<ArgumentNullException>("channel", () => new RouteServiceClient((GrpcChannel)null!));
        Assert.Throws<ArgumentNullException>("invoker", () => new RouteServiceClient((CallInvoker)null!));
    }

    [Fact]
    public async Task A_client_ends_with_its_container()
    {
        await using var service = await ScriptedService.StartAsync(new Script());
        var services = new ServiceCollection();
        services.AddRouteServiceClient(configure: (options, _) => options.Address = service.Address);
        var provider = services.BuildServiceProvider();
        var client = provider.GetRequiredService<IRouteServiceClient>();
        await client.GetFeatureAsync(Here);

        await provider.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.GetFeatureAsync(Here));

        // One that nobody has asked for has made no connection, and one that was is disposed of without await as well.
        var other = services.BuildServiceProvider();
        client = other.GetRequiredService<IRouteServiceClient>();
        other.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.GetFeatureAsync(Here));
    }

    [Theory]
    [InlineData("Routes:Retry:MaxAttempts: The option Retry.MaxAttempts must be from 1 to 100; it is '0'.", "Retry:MaxAttempts", "0")]
    [InlineData("Routes:Timeout: The option Timeout must be more than zero", "Timeout", "00:00:00")]
    [InlineData("Routes:Tls: The option Tls must be null, or the address one of https://", "Tls:AuthorityFile", "ca.pem")]
    [InlineData("'Routes:Timeout'", "Timeout", "soon")]
    [InlineData("'Routes:Retry:MaxAttempts'", "Retry:MaxAttempts", "many")]
    [InlineData("Routes:Address: ", "Address", "localhost:50051")]
    [InlineData("Routes:Address: ", "Address", "http://localhost:50051/path")]
    public async Task Wrong_configuration_is_told_at_the_start_by_its_key(string complaint, string key, string value)
    {
        foreach (var name in (string?[])[null, "east"])
        {
            var builder = Host.CreateEmptyApplicationBuilder(null);
            builder.Configuration.AddInMemoryCollection([new($"Routes:{key}", value)]);
            if (name is null)
            {
                builder.Services.AddRouteServiceClient(builder.Configuration.GetSection("Routes"));
            }
            else
            {
                builder.Services.AddRouteServiceClient(name, builder.Configuration.GetSection("Routes"));
            }

            using var host = builder.Build();

            var error = await Assert.ThrowsAnyAsync<Exception>(() => host.StartAsync());
            Assert.True(error is OptionsValidationException or InvalidOperationException, error.ToString());
            Assert.Contains(complaint, error.Message);
        }
    }

    [Fact]
    public void A_name_is_needed_for_a_client_by_name()
    {
        Assert.Throws<ArgumentException>("name", () => { new ServiceCollection().AddRouteServiceClient(""); });
        Assert.Throws<ArgumentNullException>("services", () => { ((IServiceCollection)null!).AddRouteServiceClient(); });
    }

    private static IConfigurationSection Section(string name, params (string Key, string Value)[] values) => new ConfigurationBuilder()
        .AddInMemoryCollection(values.Select(value => KeyValuePair.Create($"{name}:{value.Key}", (string?)value.Value))).Build().GetSection(name);

    private sealed record Tokens(string Value);

    private sealed class Traveller([FromKeyedServices("east")] IRouteServiceClient east, [FromKeyedServices("west")] IRouteServiceClient west)
    {
        public IRouteServiceClient East { get; } = east;

        public IRouteServiceClient West { get; } = west;
    }

    /// <summary>Adds its name to those of the interceptors around it.</summary>
    private sealed class Order(string name) : Interceptor
    {
        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
            TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncUnaryCallContinuation<TRequest, TResponse> continuation)
        {
            var headers = context.Options.Headers ?? [];
            var before = headers.FirstOrDefault(static entry => entry.Key == "x-order");
            headers.Add("x-order", name);
            if (before is not null)
            {
                headers.Remove(before);
                headers.Remove(headers.Last());
                headers.Add("x-order", $"{before.Value},{name}");
            }

            return continuation(request, new(context.Method, context.Host, context.Options.WithHeaders(headers)));
        }
    }

    private sealed class Logs : ILoggerProvider, ILogger
    {
        private readonly ConcurrentQueue<string> _lines = new();

        public IReadOnlyCollection<string> Lines => [.. _lines];

        public ILogger CreateLogger(string categoryName) => categoryName == "RouteService.Client" ? this : NullLogger.Instance;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            _lines.Enqueue($"{eventId.Id} {formatter(state, exception)}");

        public void Dispose()
        {
        }
    }

    private sealed class Stamp : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Assert.Equal(HttpVersion.Version20, request.Version);
            request.Headers.Add("x-stamped", "yes");
            return base.SendAsync(request, cancellationToken);
        }
    }
}
