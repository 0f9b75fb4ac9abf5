using System.Net.Security;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using RouteService.Api.Errors;

namespace RouteService.Api.Hosting;

/// <summary>
/// Closes TLS connections that do not speak HTTP/2. Kestrel does so too, but logs an error for each, so any probe could flood the log.
/// </summary>
internal static partial class ApplicationProtocol
{
    public static void RequireHttp2(this ListenOptions listen)
    {
        var throttle = listen.ApplicationServices.GetRequiredService<LogThrottle>();
        var logger = listen.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(ApplicationProtocol).FullName!);
        listen.Use(next => connection =>
        {
            var protocol = connection.Features.Get<ITlsApplicationProtocolFeature>()?.ApplicationProtocol;
            if (protocol?.Span.SequenceEqual(SslApplicationProtocol.Http2.Protocol.Span) is true)
            {
                return next(connection);
            }

            if (throttle.IsDue(nameof(ApplicationProtocol), out var count))
            {
                Log.NotHttp2(logger, count);
            }

            return Task.CompletedTask;
        });
    }

    private static partial class Log
    {
        [LoggerMessage(
            1,
            LogLevel.Information,
            "A client does not offer HTTP/2 in its TLS handshake; expected h2 by ALPN (connections since the last such line: {Count})")]
        public static partial void NotHttp2(ILogger logger, int count);
    }
}
