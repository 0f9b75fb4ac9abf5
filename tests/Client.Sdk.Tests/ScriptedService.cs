using System.Collections.Concurrent;
using System.Net;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RouteService.Contracts.Routeguide;
using Proto = RouteService.Contracts.Routeguide;
using V1 = RouteService.Contracts.V1;

namespace RouteService.Client.Tests;

/// <summary>A RouteGuide and a Features that do as their script says, well or badly, and remember what they were asked.</summary>
internal sealed class ScriptedService : IAsyncDisposable
{
    private readonly WebApplication _app;

    private ScriptedService(WebApplication app, Script script)
    {
        _app = app;
        Script = script;
        Port = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()).Port;
    }

    public Script Script { get; }

    public int Port { get; }

    public string Address => $"http://127.0.0.1:{Port}";

    public static async Task<ScriptedService> StartAsync(Script script, int port = 0, Action<ListenOptions>? listen = null, Action<GrpcServiceOptions>? grpc = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, options =>
        {
            options.Protocols = HttpProtocols.Http2;
            listen?.Invoke(options);
        }));
        builder.Services.Configure<HostOptions>(static host => host.ShutdownTimeout = TimeSpan.FromSeconds(1));
        builder.Services.AddSingleton(script);
        builder.Services.AddGrpc(options => grpc?.Invoke(options));
        var app = builder.Build();
        app.Use((http, next) =>
        {
            script.Requests.Add(http.Request.Headers.ToDictionary(static header => header.Key.ToLowerInvariant(), static header => header.Value.ToString()));
            return next(http);
        });
        app.MapGrpcService<Guide>();
        app.MapGrpcService<Catalog>();
        await app.StartAsync();
        return new ScriptedService(app, script);
    }

    /// <summary>Goes away in order: GOAWAY first, and what is still under way after a second is dropped.</summary>
    public Task StopAsync() => _app.StopAsync();

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    internal sealed class Guide(Script script) : RouteGuide.RouteGuideBase
    {
        public override Task<Proto.Feature> GetFeature(Point request, ServerCallContext context) => script.GetFeature(request, context, script.Next());

        public override Task ListFeatures(Rectangle request, IServerStreamWriter<Proto.Feature> responseStream, ServerCallContext context) =>
            script.ListFeatures(responseStream, context, script.Next());

        public override Task<Proto.RouteSummary> RecordRoute(IAsyncStreamReader<Point> requestStream, ServerCallContext context) =>
            script.RecordRoute(requestStream, context, script.Next());

        public override Task RouteChat(IAsyncStreamReader<Proto.RouteNote> requestStream, IServerStreamWriter<Proto.RouteNote> responseStream, ServerCallContext context) =>
            script.RouteChat(requestStream, responseStream, context, script.Next());
    }

    internal sealed class Catalog(Script script) : V1.Features.FeaturesBase
    {
        public override Task<V1.Feature> UpdateFeature(V1.UpdateFeatureRequest request, ServerCallContext context) =>
            script.UpdateFeature(request, context, script.Next());

        public override Task<V1.SearchFeaturesResponse> SearchFeatures(V1.SearchFeaturesRequest request, ServerCallContext context) =>
            script.SearchFeatures(request, context, script.Next());

        public override Task StreamFeatures(V1.StreamFeaturesRequest request, IServerStreamWriter<V1.StreamFeaturesResponse> responseStream, ServerCallContext context) =>
            script.StreamFeatures(request, responseStream, context, script.Next());

        public override Task WatchFeatures(V1.WatchFeaturesRequest request, IServerStreamWriter<V1.WatchFeaturesResponse> responseStream, ServerCallContext context) =>
            script.WatchFeatures(request, responseStream, context, script.Next());

        public override Task<V1.ImportFeaturesResponse> ImportFeatures(IAsyncStreamReader<V1.ImportFeaturesRequest> requestStream, ServerCallContext context) =>
            script.ImportFeatures(requestStream, context, script.Next());
    }
}

/// <summary>What the service does; the number that each is given counts its calls from 1.</summary>
internal sealed class Script
{
    private int _calls;

    public ConcurrentBag<Dictionary<string, string>> Requests { get; } = [];

    public int Calls => Volatile.Read(ref _calls);

    public Func<Point, ServerCallContext, int, Task<Proto.Feature>> GetFeature { get; init; } =
        static (point, _, _) => Task.FromResult(new Proto.Feature { Name = "here", Location = point });

    public Func<IServerStreamWriter<Proto.Feature>, ServerCallContext, int, Task> ListFeatures { get; init; } = static (_, _, _) => Task.CompletedTask;

    public Func<IAsyncStreamReader<Point>, ServerCallContext, int, Task<Proto.RouteSummary>> RecordRoute { get; init; } =
        static async (points, _, _) =>
        {
            var summary = new Proto.RouteSummary();
            while (await points.MoveNext(default))
            {
                summary.PointCount++;
            }

            return summary;
        };

    public Func<IAsyncStreamReader<Proto.RouteNote>, IServerStreamWriter<Proto.RouteNote>, ServerCallContext, int, Task> RouteChat { get; init; } =
        static (_, _, _, _) => Task.CompletedTask;

    public Func<V1.UpdateFeatureRequest, ServerCallContext, int, Task<V1.Feature>> UpdateFeature { get; init; } =
        static (request, _, _) => Task.FromResult(request.Feature);

    public Func<V1.SearchFeaturesRequest, ServerCallContext, int, Task<V1.SearchFeaturesResponse>> SearchFeatures { get; init; } =
        static (_, _, _) => Task.FromResult(new V1.SearchFeaturesResponse());

    public Func<V1.StreamFeaturesRequest, IServerStreamWriter<V1.StreamFeaturesResponse>, ServerCallContext, int, Task> StreamFeatures { get; init; } =
        static (_, _, _, _) => Task.CompletedTask;

    public Func<V1.WatchFeaturesRequest, IServerStreamWriter<V1.WatchFeaturesResponse>, ServerCallContext, int, Task> WatchFeatures { get; init; } =
        static (_, _, _, _) => Task.CompletedTask;

    public Func<IAsyncStreamReader<V1.ImportFeaturesRequest>, ServerCallContext, int, Task<V1.ImportFeaturesResponse>> ImportFeatures { get; init; } =
        static (_, _, _) => Task.FromResult(new V1.ImportFeaturesResponse());

    public int Next() => Interlocked.Increment(ref _calls);

    public static RpcException Error(StatusCode code, string detail = "as the script says", params (string Key, string Value)[] trailers)
    {
        var metadata = new Metadata();
        foreach (var (key, value) in trailers)
        {
            metadata.Add(key, value);
        }

        return new RpcException(new Status(code, detail), metadata);
    }

    /// <summary>An error with a reason, as docs/chat.md has them.</summary>
    public static RpcException Refusal(StatusCode code, string reason, params (string Key, string Value)[] metadata) => new Google.Rpc.Status
    {
        Code = (int)code,
        Message = "as the script says",
        Details =
        {
            Google.Protobuf.WellKnownTypes.Any.Pack(
                new Google.Rpc.ErrorInfo { Reason = reason, Domain = "routeservice", Metadata = { metadata.ToDictionary() } }),
        },
    }.ToRpcException();

    /// <summary>INVALID_ARGUMENT with this field.</summary>
    public static RpcException Invalid(string field) => new Google.Rpc.Status
    {
        Code = (int)StatusCode.InvalidArgument,
        Message = "as the script says",
        Details =
        {
            Google.Protobuf.WellKnownTypes.Any.Pack(new Google.Rpc.BadRequest
            {
                FieldViolations = { new Google.Rpc.BadRequest.Types.FieldViolation { Field = field, Description = "as the script says" } },
            }),
        },
    }.ToRpcException();

    /// <summary>Resets the stream in the place of a status.</summary>
    public static void Reset(ServerCallContext context) => context.GetHttpContext().Abort();
}
