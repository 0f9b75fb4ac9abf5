using System.Net;
using Grpc.AspNetCore.Connections;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Grpc.AspNetCore.Tests;

/// <summary>An echo service on a port of its own, with our client and a bare HTTP client before it.</summary>
internal sealed class EchoServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private EchoServer(WebApplication app)
    {
        _app = app;
        Address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        Channel = GrpcChannel.ForAddress(Address, new GrpcChannelOptions { MaxReceiveMessageSize = null });
        Http = new HttpClient { BaseAddress = new Uri(Address) };
    }

    public string Address { get; }

    public GrpcChannel Channel { get; }

    public CallInvoker Calls => Channel.CreateCallInvoker();

    public HttpClient Http { get; }

    public static async Task<EchoServer> StartAsync(
        Script? script = null,
        Action<GrpcServiceOptions>? options = null,
        Action<IServiceCollection>? services = null,
        HttpProtocols protocols = HttpProtocols.Http2,
        GrpcConnectionOptions? connections = null,
        Func<double>? chance = null,
        Action<WebApplication>? map = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            listen.Protocols = protocols;
            listen.UseGrpcConnections(connections ?? new GrpcConnectionOptions(), chance);
        }));
        builder.Services.AddSingleton(script ?? new Script());
        builder.Services.AddGrpc(options ?? (static _ => { }));
        services?.Invoke(builder.Services);
        var app = builder.Build();
        app.MapGrpcService<EchoService>();
        map?.Invoke(app);
        app.MapGet("/plain/page", () => "a page");
        await app.StartAsync();
        return new EchoServer(app);
    }

    public IServiceProvider Services => _app.Services;

    public Task StopAsync() => _app.StopAsync();

    public AsyncUnaryCall<string> Unary(string request, CallOptions options = default) => Calls.AsyncUnaryCall(Echo.Unary, null, options, request);

    public AsyncServerStreamingCall<string> ServerStream(string request, CallOptions options = default) =>
        Calls.AsyncServerStreamingCall(Echo.ServerStream, null, options, request);

    public AsyncDuplexStreamingCall<string, string> Duplex(CallOptions options = default) => Calls.AsyncDuplexStreamingCall(Echo.Duplex, null, options);

    /// <summary>Sends a request of the test's own making.</summary>
    public async Task<WireResponse> SendAsync(
        byte[] body, string path = "/tests.Echo/Unary", string contentType = "application/grpc", HttpMethod? method = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method ?? HttpMethod.Post, path)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(body),
        };
        request.Content.Headers.TryAddWithoutValidation("content-type", contentType);
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await Http.SendAsync(request);
        return new WireResponse(
            (int)response.StatusCode,
            await response.Content.ReadAsByteArrayAsync(),
            response.Headers.Concat(response.Content.Headers).ToDictionary(header => header.Key.ToLowerInvariant(), header => string.Join(",", header.Value)),
            response.TrailingHeaders.ToDictionary(header => header.Key.ToLowerInvariant(), header => string.Join(",", header.Value)));
    }

    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        Http.Dispose();
        await _app.DisposeAsync();
    }
}

/// <summary>A response as it came over the wire.</summary>
internal sealed record WireResponse(int HttpStatus, byte[] Body, IReadOnlyDictionary<string, string> Headers, IReadOnlyDictionary<string, string> Trailers)
{
    /// <summary>grpc-status, from the trailers or of a trailers-only response.</summary>
    public StatusCode Status => (StatusCode)int.Parse(Trailers.GetValueOrDefault("grpc-status") ?? Headers["grpc-status"]);

    public string? Message => Trailers.GetValueOrDefault("grpc-message") ?? Headers.GetValueOrDefault("grpc-message");
}
