using System.Security.Cryptography;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace RouteService.Api.Hosting;

/// <summary>
/// The age of connections, the one limit of <see cref="ConnectionOptions"/> that Kestrel lacks. A connection that has reached it gets
/// GOAWAY and closes when its calls have ended, so that its client finds the replicas that are there now.
/// </summary>
internal static class ConnectionAge
{
    public static void UseConnectionAge(this ListenOptions listen, ConnectionOptions options)
    {
        if (options.MaxAge > TimeSpan.Zero)
        {
            var clock = listen.ApplicationServices.GetRequiredService<TimeProvider>();
            listen.Use(next => connection => LimitAsync(connection, next, options, clock));
        }
    }

    private static async Task LimitAsync(
        ConnectionContext connection, ConnectionDelegate next, ConnectionOptions options, TimeProvider clock)
    {
        var age = options.MaxAge * Spread();
        await using var closing = clock.CreateTimer(
            static state => ((IConnectionLifetimeNotificationFeature)state!).RequestClose(),
            connection.Features.GetRequiredFeature<IConnectionLifetimeNotificationFeature>(),
            age,
            Timeout.InfiniteTimeSpan);
        await using var aborting = clock.CreateTimer(
            static state => ((ConnectionContext)state!).Abort(
                new ConnectionAbortedException("The connection has reached its maximum age, and the grace for its calls is over.")),
            connection,
            options.MaxAgeGrace > TimeSpan.Zero ? age + options.MaxAgeGrace : Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan);
        await next(connection);
    }

    /// <summary>
    /// 0.9 to 1.1: connections that were opened together do not end together. From many threads, and a Random is for one.
    /// </summary>
    private static double Spread() => 0.9 + (0.2 * RandomNumberGenerator.GetInt32(int.MaxValue) / int.MaxValue);
}
