using System.Security.Authentication;

namespace RouteService.Api.Hosting;

/// <summary>
/// Tells the operator why clients cannot connect. Kestrel has no hook for a failed TLS handshake but its log, where each is a line at
/// Debug; here the first is told, and then one a minute at most.
/// </summary>
internal sealed partial class HandshakeFailures(IServiceProvider services, TimeProvider clock) : ILoggerProvider, ILogger
{
    public const string Source = "Microsoft.AspNetCore.Server.Kestrel.Https.Internal.HttpsConnectionMiddleware";

    private static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private long? _told;
    private int _count;

    public ILogger CreateLogger(string categoryName) => this;

    public bool IsEnabled(LogLevel logLevel) => true;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    void ILogger.Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        // A client that closes before its handshake, as probes of the port do, has no reason to tell.
        if (exception is not (AuthenticationException or OperationCanceledException))
        {
            return;
        }

        int count;
        lock (_lock)
        {
            _count++;
            if (_told is { } told && clock.GetElapsedTime(told) < Period)
            {
                return;
            }

            (_told, count, _count) = (clock.GetTimestamp(), _count, 0);
        }

        // The reason is in the innermost: what the chain lacks, or OpenSSL's words. The loggers are not there yet when providers are made.
        Log.Failed(services.GetRequiredService<ILogger<HandshakeFailures>>(), exception.GetBaseException().Message, count);
    }

    public void Dispose()
    {
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "A TLS handshake failed: {Reason} (failures since the last such line: {Count})")]
        public static partial void Failed(ILogger logger, string reason, int count);
    }
}

internal static class HandshakeFailuresExtensions
{
    public static void AddHandshakeFailures(this ILoggingBuilder logging)
    {
        logging.Services.AddSingleton<ILoggerProvider, HandshakeFailures>();
        logging.AddFilter<HandshakeFailures>(
            static (category, _) => string.Equals(category, HandshakeFailures.Source, StringComparison.Ordinal));
    }
}
