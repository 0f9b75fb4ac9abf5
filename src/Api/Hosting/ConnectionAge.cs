using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace RouteService.Api.Hosting;

/// <summary>
/// Limits the age of connections, which Kestrel does not. A connection that has reached the age gets GOAWAY, and closes when its calls have
/// ended; its client then connects to the current replicas.
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

    /// <summary>0.9 to 1.1, so that connections that were opened together do not end together.</summary>
#pragma warning disable RS0030 // Tests need the bounds only, not single values.
    private static double Spread() => 0.9 + (0.2 * Random.Shared.NextDouble());
#pragma warning restore RS0030
}
