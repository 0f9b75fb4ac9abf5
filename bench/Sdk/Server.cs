using System.Net;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RouteService.Contracts.Routeguide;

namespace RouteService.Sdk.Bench;

/// <summary>A RouteGuide that answers at once, and does nothing else.</summary>
internal sealed class Server : IAsyncDisposable
{
    private readonly WebApplication _app;

    private Server(WebApplication app) => _app = app;

    public string Address => _app.Urls.First();

    public static async Task<Server> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddGrpc();
        builder.WebHost.ConfigureKestrel(static kestrel =>
            kestrel.Listen(IPAddress.Loopback, 0, static listen => listen.Protocols = HttpProtocols.Http2));
        var app = builder.Build();
        app.MapGrpcService<Guide>();
        await app.StartAsync();
        return new Server(app);
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private sealed class Guide : RouteGuide.RouteGuideBase
    {
        public override Task<Feature> GetFeature(Point request, ServerCallContext context) =>
            Task.FromResult(new Feature { Name = Answers.NameOf(0), Location = request });

        public override async Task<RouteSummary> RecordRoute(IAsyncStreamReader<Point> requestStream, ServerCallContext context)
        {
            var summary = new RouteSummary();
            while (await requestStream.MoveNext(CancellationToken.None))
            {
                summary.PointCount++;
            }

            return summary;
        }

        /// <summary>Acknowledges each post, as a sequenced stream (docs/chat.md).</summary>
        public override async Task RouteChat(
            IAsyncStreamReader<RouteNote> requestStream, IServerStreamWriter<RouteNote> responseStream, ServerCallContext context)
        {
            for (var sequence = 1L; await requestStream.MoveNext(CancellationToken.None); sequence++)
            {
                var note = requestStream.Current;
                note.Sequence = sequence;
                await responseStream.WriteAsync(note);
            }
        }
    }
}
