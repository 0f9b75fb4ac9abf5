using System.Collections.Concurrent;
using System.Net;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RouteService.Operations.Tests.Otlp;

namespace RouteService.Operations.Tests;

/// <summary>Takes what is exported by OTLP, over gRPC or as protobuf over HTTP/1.1, and keeps it.</summary>
internal sealed class Collector : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<ResourceData> _traces = new();
    private readonly ConcurrentQueue<ResourceData> _metrics = new();
    private readonly ConcurrentQueue<ResourceData> _logs = new();

    private Collector(WebApplication app) => _app = app;

    public string Endpoint => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();

    public IEnumerable<Span> Spans => Items(_traces, Span.Parser);

    public IEnumerable<Metric> Metrics => Items(_metrics, Metric.Parser);

    public IEnumerable<LogRecord> Logs => Items(_logs, LogRecord.Parser);

    /// <summary>Where all of it came from.</summary>
    public IEnumerable<string> Resources => _traces.Concat(_metrics).Concat(_logs)
        .Select(static data => string.Join(';', data.Resource.Attributes.Select(static attribute => $"{attribute.Key}={attribute.Value.StringValue}")));

    public static async Task<Collector> StartAsync(string protocol)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(
            IPAddress.Loopback, 0, listen => listen.Protocols = protocol == "grpc" ? HttpProtocols.Http2 : HttpProtocols.Http1));
        var app = builder.Build();
        var collector = new Collector(app);
        foreach (var (name, kept) in (IEnumerable<(string, ConcurrentQueue<ResourceData>)>)
            [("trace", collector._traces), ("metrics", collector._metrics), ("logs", collector._logs)])
        {
            app.MapPost($"/v1/{(name == "trace" ? "traces" : name)}", http => KeepAsync(http, kept, headerLength: 0));
            app.MapPost(
                $"/opentelemetry.proto.collector.{name}.v1.{char.ToUpperInvariant(name[0])}{name[1..]}Service/Export",
                http => KeepAsync(http, kept, headerLength: 5));
        }

        await app.StartAsync();
        return collector;
    }

    /// <summary>Waits until this has come.</summary>
    public static Task<T> ShouldComeAsync<T>(Func<T?> find, string what)
        where T : class => ShouldComeAsync(find, () => what);

    /// <inheritdoc cref="ShouldComeAsync{T}(Func{T}, string)" />
    public static async Task<T> ShouldComeAsync<T>(Func<T?> find, Func<string> what)
        where T : class
    {
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            if (find() is { } found)
            {
                return found;
            }

            Assert.True(TimeProvider.System.GetElapsedTime(started) < ServiceTest.Patience, $"There has come no {what()}.");
            await Task.Delay(100);
        }
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private static async Task KeepAsync(HttpContext http, ConcurrentQueue<ResourceData> kept, int headerLength)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);
        foreach (var data in Export.Parser.ParseFrom(body.ToArray().AsSpan(headerLength).ToArray()).ResourceData)
        {
            kept.Enqueue(data);
        }

        // An empty answer: with gRPC's five bytes before it, or without.
        http.Response.ContentType = headerLength > 0 ? "application/grpc" : "application/x-protobuf";
        if (headerLength > 0)
        {
            http.Response.AppendTrailer("grpc-status", "0");
        }

        await http.Response.Body.WriteAsync(new byte[headerLength]);
    }

    private static IEnumerable<T> Items<T>(IEnumerable<ResourceData> data, MessageParser<T> parser)
        where T : IMessage<T> => data.SelectMany(static one => one.ScopeData).SelectMany(static scope => scope.Items).Select(item => parser.ParseFrom(item));
}
