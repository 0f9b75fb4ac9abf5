using System.Security.Cryptography;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace RouteService.Api.Hosting;

internal static class GrpcConnectionExtensions
{
    /// <summary>
    /// Makes an endpoint's connections fit for gRPC. Kestrel has one set of limits for all its endpoints, and these are set; the age is of this
    /// endpoint's connections.
    /// </summary>
    /// <param name="listen">The endpoint.</param>
    /// <param name="options">The limits.</param>
    /// <param name="chance">From 0 to 1, spreads the ages; null for the system's.</param>
    public static ListenOptions UseGrpcConnections(this ListenOptions listen, GrpcConnectionOptions options, Func<double>? chance = null)
    {
        var limits = listen.KestrelServerOptions.Limits;
        limits.MaxConcurrentConnections = options.MaxConnections == 0 ? null : options.MaxConnections;
        limits.MaxRequestHeadersTotalSize = options.MaxHeaderBytes;
        limits.Http2.MaxRequestHeaderFieldSize = options.MaxHeaderBytes;
        limits.Http2.MaxStreamsPerConnection = options.MaxStreams;
        limits.Http2.KeepAlivePingDelay = options.KeepAliveTime == TimeSpan.Zero ? TimeSpan.MaxValue : options.KeepAliveTime;
        limits.Http2.KeepAlivePingTimeout = options.KeepAliveTimeout;
        limits.Http2.InitialStreamWindowSize = options.StreamWindow;
        limits.Http2.InitialConnectionWindowSize = Math.Max(options.ConnectionWindow, options.StreamWindow);

        // A stream may be silent for hours, and a client too slow to read is slowed by flow control: no reason to cut it off, least of all with the
        // whole connection, as Kestrel does. A peer that is gone shows in the pings.
        limits.MinRequestBodyDataRate = null;
        limits.MinResponseDataRate = null;

        if (options.MaxAge > TimeSpan.Zero)
        {
            var clock = listen.ApplicationServices.GetService<TimeProvider>() ?? TimeProvider.System;
            listen.Use(next => connection => LimitAgeAsync(connection, next, options, clock, chance ?? SystemChance));
        }

        return listen;
    }

    private static async Task LimitAgeAsync(
        ConnectionContext connection, ConnectionDelegate next, GrpcConnectionOptions options, TimeProvider clock, Func<double> chance)
    {
        var age = options.MaxAge * (0.9 + (0.2 * chance()));

        // GOAWAY: the connection closes when its calls have ended.
        await using var closing = clock.CreateTimer(
            static state => ((ConnectionContext)state!).Features.GetRequiredFeature<IConnectionLifetimeNotificationFeature>().RequestClose(),
            connection,
            age,
            Timeout.InfiniteTimeSpan);
        await using var aborting = clock.CreateTimer(
            static state => ((ConnectionContext)state!).Abort(new ConnectionAbortedException("The connection is too old, and the grace for its calls is over.")),
            connection,
            options.MaxAgeGrace > TimeSpan.Zero ? age + options.MaxAgeGrace : Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan);
        await next(connection);
    }

    // Connections open on many threads, and a Random is for one.
    private static double SystemChance() => RandomNumberGenerator.GetInt32(int.MaxValue) / (double)int.MaxValue;
}
