using System.Net.Security;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using RouteService.Api.Errors;

namespace RouteService.Api.Hosting;

/// <summary>
/// Closes connections to the TLS port that do not begin a handshake, or do not speak HTTP/2. Kestrel does so too, but logs an error for
/// each, so any probe could flood the log.
/// </summary>
internal static partial class ApplicationProtocol
{
    /// <summary>Comes before TLS.</summary>
    public static void RequireHandshake(this ListenOptions listen)
    {
        var (throttle, logger) = LogOf(listen);
        listen.Use(next => async connection =>
        {
            try
            {
                await next(connection);
            }
            catch (NotSupportedException)
            {
                // Where the first record is no ClientHello, SslStream does not ask for our certificate, and then finds none.
                if (throttle.IsDue(nameof(RequireHandshake), out var count))
                {
                    Log.NoHandshake(logger, count);
                }
            }
        });
    }

    /// <summary>Comes after TLS.</summary>
    public static void RequireHttp2(this ListenOptions listen)
    {
        var (throttle, logger) = LogOf(listen);
        listen.Use(next => connection =>
        {
            var protocol = connection.Features.Get<ITlsApplicationProtocolFeature>()?.ApplicationProtocol;
            if (protocol?.Span.SequenceEqual(SslApplicationProtocol.Http2.Protocol.Span) is true)
            {
                return next(connection);
            }

            if (throttle.IsDue(nameof(RequireHttp2), out var count))
            {
                Log.NotHttp2(logger, count);
            }

            return Task.CompletedTask;
        });
    }

    private static (LogThrottle Throttle, ILogger Logger) LogOf(ListenOptions listen) => (
        listen.ApplicationServices.GetRequiredService<LogThrottle>(),
        listen.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(ApplicationProtocol).FullName!));

    private static partial class Log
    {
        [LoggerMessage(
            2, LogLevel.Information, "A client does not begin with a TLS handshake (connections since the last such line: {Count})")]
        public static partial void NoHandshake(ILogger logger, int count);

        [LoggerMessage(
            1,
            LogLevel.Information,
            "A client does not offer HTTP/2 in its TLS handshake; expected h2 by ALPN (connections since the last such line: {Count})")]
        public static partial void NotHttp2(ILogger logger, int count);
    }
}
