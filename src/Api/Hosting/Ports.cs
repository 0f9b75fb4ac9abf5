using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using RouteService.Api.Errors;
using RouteService.Api.Security;
using RouteService.Api.Telemetry;

namespace RouteService.Api.Hosting;

/// <summary>The two ports: gRPC over HTTP/2, and management over HTTP/1.1.</summary>
internal static partial class Ports
{
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(10);

    // Kestrel's minimum.
    private static readonly TimeSpan MinKeepAliveTime = TimeSpan.FromSeconds(1);

    // Connections of the management port; probes and scrapes need a few.
    private const int MaxManagementConnections = 32;

    // Connections over a limit that Kestrel has accepted and not closed yet.
    private const int MaxRefused = 64;

    // Bytes that a header counts besides its name and value (RFC 9113, 6.5.2).
    private const int HeaderOverhead = 32;

    public static void AddPorts(this WebApplicationBuilder builder)
    {
        var grpc = Settings.Read<GrpcOptions>(builder.Configuration);
        var management = Settings.Read<ManagementOptions>(builder.Configuration);
        if (grpc.Port == management.Port && grpc.Port != 0)
        {
            throw new SettingException(
                $"RouteService__Grpc__Port and RouteService__Management__Port are both {grpc.Port}; "
                + "expected two ports, because one speaks HTTP/2 and the other HTTP/1.1.");
        }

        var tls = ServerTls.Open(grpc);
        if (tls is not null)
        {
            builder.Services.AddWatchedFile(tls);
        }

        var files = OpenFiles.Limit;
        if (files is { } shared)
        {
            builder.Services.AddSingleton<IConnectionListenerFactory>(provider => new BoundedTransport(
                ActivatorUtilities.CreateInstance<SocketTransportFactory>(provider),
                new SemaphoreSlim(OpenFiles.Connections(shared) + MaxRefused)));
        }

        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;

            // A gateway that terminates TLS forwards ":scheme: https" over h2c.
            kestrel.AllowAlternateSchemes = true;

            // By default Kestrel ends the connection, with all its calls, for a byte that is not UTF-8. With the replacement character the
            // call is served.
            kestrel.RequestHeaderEncodingSelector = static _ => Encoding.UTF8;
            SetLimits(kestrel.Limits, grpc.Connection);
            LimitToFiles(kestrel, files);
            kestrel.ListenAnyIP(grpc.Port, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                listen.UseConnectionAge(grpc.Connection);
                if (tls is not null)
                {
                    listen.RequireHandshake();
                    listen.UseHttps(new TlsHandshakeCallbackOptions
                    {
                        HandshakeTimeout = HandshakeTimeout,
                        OnConnection = _ => ValueTask.FromResult(tls.Current),
                    });
                    listen.RequireHttp2();
                }
            });
            kestrel.ListenAnyIP(management.Port, static listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                listen.Use(static next =>
                {
                    var open = 0;
                    return async connection =>
                    {
                        connection.Features.Set(new ManagementConnection());
                        try
                        {
                            if (Interlocked.Increment(ref open) <= MaxManagementConnections)
                            {
                                await next(connection);
                            }
                        }
                        finally
                        {
                            Interlocked.Decrement(ref open);
                        }
                    };
                });
            });
        });
    }

    /// <summary>
    /// Lowers the limit of connections to what the limit of open files leaves. A program without free descriptors cannot load its own code,
    /// and ends.
    /// </summary>
    private static void LimitToFiles(KestrelServerOptions kestrel, long? limit)
    {
        if (limit is not { } files)
        {
            return;
        }

        var room = OpenFiles.Connections(files) - MaxManagementConnections;
        if (kestrel.Limits.MaxConcurrentConnections is { } set && set <= room)
        {
            return;
        }

        Log.Limited(
            kestrel.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(Ports)),
            kestrel.Limits.MaxConcurrentConnections ?? 0,
            files,
            room);
        kestrel.Limits.MaxConcurrentConnections = room;
    }

    /// <summary>Sets Kestrel's limits, which are the same for all its ports.</summary>
    private static void SetLimits(KestrelServerLimits limits, ConnectionOptions options)
    {
        limits.MaxConcurrentConnections = options.MaxConnections == 0 ? null : options.MaxConnections;
        limits.Http2.MaxStreamsPerConnection = options.MaxStreams;
        limits.Http2.KeepAlivePingDelay = options.KeepAliveTime == TimeSpan.Zero ? TimeSpan.MaxValue
            : options.KeepAliveTime < MinKeepAliveTime ? MinKeepAliveTime
            : options.KeepAliveTime;
        limits.Http2.KeepAlivePingTimeout = options.KeepAliveTimeout;
        limits.Http2.InitialStreamWindowSize = options.StreamWindow;
        limits.Http2.InitialConnectionWindowSize = Math.Max(options.ConnectionWindow, options.StreamWindow);

        // The announced limit on the size of headers is the only one: their number never exceeds its limit first. Kestrel answers 431 up to
        // twice the limit, and ends the connection above that; a single field has no such grace of its own, so it gets the same.
        limits.MaxRequestHeadersTotalSize = options.MaxHeaderBytes;
        limits.MaxRequestHeaderCount = options.MaxHeaderBytes / HeaderOverhead;
        limits.Http2.MaxRequestHeaderFieldSize = 2 * options.MaxHeaderBytes;

        // Kestrel measures both rates over a whole connection, and ends the connection: one stalled reader or writer would end all calls on
        // it. Flow control slows a slow reader down, a slow request message ends its own call (RequestBody), and pings detect a lost peer.
        limits.MinResponseDataRate = null;
        limits.MinRequestBodyDataRate = null;
    }

    private static partial class Log
    {
        [LoggerMessage(
            1,
            LogLevel.Warning,
            "RouteService__Grpc__Connection__MaxConnections is {Setting}, but the limit of open files (ulimit -n) is {Files}: "
            + "the gRPC port takes {Connections} connections.")]
        public static partial void Limited(ILogger logger, long setting, long files, long connections);
    }
}
