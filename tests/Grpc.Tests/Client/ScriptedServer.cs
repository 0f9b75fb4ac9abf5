using System.Buffers;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Grpc.Net.Client;
using Grpc.Wire;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Grpc.Tests.Client;

/// <summary>An HTTP/2 server that answers every call as its script says, well or badly, and a channel to it.</summary>
internal sealed class ScriptedServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private ScriptedServer(WebApplication app, GrpcChannelOptions options)
    {
        _app = app;
        Address = app.Urls.Single();
        Channel = GrpcChannel.ForAddress(Address, options);
    }

    public string Address { get; }

    public GrpcChannel Channel { get; }

    public static async Task<ScriptedServer> StartAsync(
        Func<HttpContext, Task> script,
        GrpcChannelOptions? options = null,
        HttpProtocols protocols = HttpProtocols.Http2,
        IPAddress? address = null,
        int port = 0,
        Action? onConnection = null,
        int maxStreams = 100,
        X509Certificate2? certificate = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(address ?? IPAddress.Loopback, port, listen =>
            {
                listen.Protocols = protocols;
                if (certificate is not null)
                {
                    listen.UseHttps(certificate);
                }

                listen.Use(next => connection =>
                {
                    onConnection?.Invoke();
                    return next(connection);
                });
            });
            kestrel.Limits.Http2.MaxStreamsPerConnection = maxStreams;
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Limits.MaxRequestBodySize = null;
        });
        var app = builder.Build();
        app.Run(new RequestDelegate(script));
        await app.StartAsync();
        return new ScriptedServer(app, options ?? new GrpcChannelOptions());
    }

    /// <summary>Goes away, its connections with it; the channel stays.</summary>
    public async Task StopAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _app.StopAsync(now.Token);
    }

    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        await StopAsync();
        await _app.DisposeAsync();
    }
}

/// <summary>What a script answers with.</summary>
internal static class Answers
{
    public static HttpResponse Grpc(this HttpContext http)
    {
        if (!http.Response.HasStarted)
        {
            http.Response.ContentType = "application/grpc";
        }

        return http.Response;
    }

    public static Task SendAsync(this HttpResponse response, params byte[][] pieces) => response.Body.WriteAsync(pieces.SelectMany(static piece => piece).ToArray()).AsTask();

    public static void End(this HttpResponse response, int status = 0, string? message = null)
    {
        response.AppendTrailer("grpc-status", status.ToString(System.Globalization.CultureInfo.InvariantCulture));
        if (message is not null)
        {
            response.AppendTrailer("grpc-message", message);
        }
    }

    public static byte[] Message(string text) => Message(Encoding.UTF8.GetBytes(text));

    public static byte[] Message(byte[] payload, bool compressed = false)
    {
        var frame = new byte[MessageFrame.HeaderLength + payload.Length];
        MessageFrame.WriteHeader(frame, compressed, payload.Length);
        payload.CopyTo(frame, MessageFrame.HeaderLength);
        return frame;
    }

    /// <summary>The messages of the request, to its end.</summary>
    public static async IAsyncEnumerable<string> RequestsAsync(this HttpContext http)
    {
        var body = http.Request.BodyReader;
        while (true)
        {
            var read = await body.ReadAsync();
            var buffer = read.Buffer;
            while (MessageFrame.TryRead(ref buffer, null, out _, out var payload))
            {
                yield return Encoding.UTF8.GetString(payload);
            }

            body.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted)
            {
                yield break;
            }
        }
    }
}
