using System.Buffers;
using System.Net;
using Google.Protobuf;
using Grpc.AspNetCore.Connections;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RouteService.Contracts.Routeguide;

namespace RouteService.Runtime.Bench;

internal static class Servers
{
    /// <summary>The runtime, with the echo service.</summary>
    public static Task<WebApplication> StartRuntimeAsync() => StartAsync(
        builder =>
        {
            builder.Services.AddSingleton<EchoService>();
            builder.Services.AddGrpc();
        },
        app => app.MapGrpcService<EchoService>());

    /// <summary>
    /// Kestrel alone, which answers with the bytes of a gRPC response and knows nothing of gRPC: what a unary call costs without us, and what a
    /// stream does with a flush for each message.
    /// </summary>
    public static Task<WebApplication> StartKestrelAsync() => StartAsync(static _ => { }, static app => app.Run(static http =>
        http.Request.Path.Value!.EndsWith("ListFeatures", StringComparison.Ordinal) ? StreamAsync(http) : EchoAsync(http)));

    public static string Address(this WebApplication app) =>
        new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()).Authority;

    private static async Task<WebApplication> StartAsync(Action<WebApplicationBuilder> add, Action<WebApplication> map)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(IPAddress.Loopback, 0, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                listen.UseGrpcConnections(new GrpcConnectionOptions());
            });
        });
        add(builder);
        var app = builder.Build();
        map(app);
        await app.StartAsync();
        return app;
    }

    private static async Task EchoAsync(HttpContext http)
    {
        var body = await ReadAsync(http);
        http.Response.ContentType = "application/grpc";
        foreach (var part in body)
        {
            http.Response.BodyWriter.Write(part.Span);
        }

        http.Request.BodyReader.AdvanceTo(body.End);
        http.Response.AppendTrailer("grpc-status", "0");
    }

    private static async Task StreamAsync(HttpContext http)
    {
        var body = await ReadAsync(http);
        var count = Rectangle.Parser.ParseFrom(body.Slice(5)).Lo.Latitude;
        http.Request.BodyReader.AdvanceTo(body.End);
        http.Response.ContentType = "application/grpc";
        var answer = new Feature { Location = new Point { Latitude = 403487200, Longitude = -746590500 } };
        for (var i = 0; i < count; i++)
        {
            var length = answer.CalculateSize();
            var span = http.Response.BodyWriter.GetSpan(5 + length);
            span[..4].Clear();
            span[4] = (byte)length;
            answer.WriteTo(span.Slice(5, length));
            http.Response.BodyWriter.Advance(5 + length);
            await http.Response.BodyWriter.FlushAsync(http.RequestAborted);
        }

        http.Response.AppendTrailer("grpc-status", "0");
    }

    private static async ValueTask<ReadOnlySequence<byte>> ReadAsync(HttpContext http)
    {
        while (true)
        {
            var read = await http.Request.BodyReader.ReadAsync();
            if (read.IsCompleted)
            {
                return read.Buffer;
            }

            http.Request.BodyReader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }
}
