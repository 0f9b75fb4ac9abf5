using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RouteService.Api.Calls;
using RouteService.Api.Greetings;
using RouteService.Api.Hosting;
using RouteService.Api.Routes;
using RouteService.Api.Security;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Tests;

namespace RouteService.Api.Tests;

/// <summary>The services on a port of their own, over a store that the test has in its hand.</summary>
internal sealed class Service : IAsyncDisposable
{
    private readonly WebApplication _app;

    private Service(WebApplication app, ScriptedStore store)
    {
        _app = app;
        Store = store;
        Channel = GrpcChannel.ForAddress(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
    }

    public ScriptedStore Store { get; }

    public GrpcChannel Channel { get; }

    public static async Task<Service> StartAsync(ChatOptions? chat = null, GreetingOptions? greetings = null, params Feature[] features)
    {
        var store = new ScriptedStore(features);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        chat ??= new ChatOptions();
        builder.Services.AddSingleton<IFeatureStore>(store);
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddSingleton(greetings ?? new GreetingOptions());
        builder.Services.AddSingleton(chat);
        builder.Services.AddSingleton<INoteLog>(new MemoryNoteLog());
        builder.Services.AddSingleton<ChatMetrics>();
        builder.Services.AddSingleton<RouteChat>();
        builder.Services.AddSingleton(new LimitOptions());
        builder.Services.AddSecurity(new AuthOptions(), new LimitOptions());
        builder.Services.AddSingleton<CallBoundary>();
        builder.Services.AddGrpc(options => options.Interceptors.Add<CallBoundary>());
        builder.Services.AddGrpcReflection();
        builder.Services.AddHealth();
        Shutdown.Add(builder.Services, new ShutdownOptions());
        var app = builder.Build();
        app.MapGrpcService<GreeterService>();
        app.MapGrpcService<HelloService>();
        app.MapGrpcService<RouteGuideService>();
        app.MapGrpcReflectionService();
        app.MapHealth();
        await app.StartAsync();
        return new Service(app, store);
    }

    /// <summary>What SIGTERM does.</summary>
    public Task StopAsync() => _app.StopAsync();

    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        await _app.DisposeAsync();
    }
}
