using Grpc.Net.Client;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RouteService.Api.Greetings;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Tests;
using RouteService.Domain.Watch;

namespace RouteService.Api.Tests;

/// <summary>The program as it is composed, on free ports of its own, over a store that the test has in its hand.</summary>
internal sealed class Service : WebApplicationFactory<Program>
{
    private readonly Action<IServiceCollection> _replace;
    private readonly string? _folder;

    private Service(ScriptedStore store, Action<IServiceCollection> replace, string? folder = null)
    {
        Store = store;
        _replace = replace;
        _folder = folder;
        UseKestrel();
        StartServer();
        Channel = GrpcChannel.ForAddress(Addresses.First());
    }

    public ScriptedStore Store { get; }

    public GrpcChannel Channel { get; }

    /// <summary>The gRPC port's and the management port's.</summary>
    public IEnumerable<string> Addresses => Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>()
        .Addresses.Select(static address => address.Replace("[::]", "localhost", StringComparison.Ordinal));

    public static Service Start(ChatOptions? chat = null, GreetingOptions? greetings = null, TimeProvider? clock = null, params Feature[] features)
    {
        var store = new ScriptedStore(features);
        return new Service(store, services =>
        {
            services.AddSingleton<IFeatureStore>(store);
            services.AddSingleton<INoteLog>(new MemoryNoteLog());
            services.AddSingleton<IChangeLog>(new MemoryChangeLog());
            services.AddSingleton(chat ?? new ChatOptions());
            services.AddSingleton(greetings ?? new GreetingOptions());
            services.AddSingleton(clock ?? TimeProvider.System);
        });
    }

    /// <summary>The same over the embedded store in this folder, with the sample places, instead of the scripted one.</summary>
    public static Service StartEmbedded(string folder, WatchOptions? watch = null) =>
        new(new ScriptedStore(), services => services.AddSingleton(watch ?? new WatchOptions()), folder);

    /// <summary>What SIGTERM does.</summary>
    public Task StopAsync() => Services.GetRequiredService<IHost>().StopAsync();

    public override async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        await base.DisposeAsync();
    }

    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        builder.UseSetting("RouteService:Grpc:Port", "0");
        builder.UseSetting("RouteService:Management:Port", "0");
        if (_folder is not null)
        {
            builder.UseSetting("RouteService:Sqlite:Path", Path.Combine(_folder, "features.db"));
            builder.UseSetting("RouteService:Sqlite:NotesPath", Path.Combine(_folder, "notes.db"));
        }

        builder.ConfigureLogging(static logging => logging.ClearProviders());
        builder.ConfigureTestServices(_replace);
    }
}
