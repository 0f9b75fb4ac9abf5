using System.Security.Authentication;
using RouteService.Api.Errors;

namespace RouteService.Api.Hosting;

/// <summary>
/// Logs events that the stack reports in its log only, for each connection or call: here the first is logged, and then one a minute at
/// most. These are failed TLS handshakes, which Kestrel logs at Debug, and exceptions that end a call, which Grpc.AspNetCore logs as
/// errors, also if a client's message cannot be parsed.
/// </summary>
internal sealed partial class StackLog(IServiceProvider services, LogThrottle throttle) : ILoggerProvider
{
    /// <summary>The category in which Grpc.AspNetCore logs the ends of calls. By default only this provider gets its lines.</summary>
    public const string Calls = "Grpc.AspNetCore.Server.ServerCallHandler";

    private const string Handshakes = "Microsoft.AspNetCore.Server.Kestrel.Https.Internal.HttpsConnectionMiddleware";

    // The last line of a call that an exception has ended; lines about its messages come before it.
    private const string CallFailed = "ErrorExecutingServiceMethod";

    public static bool Takes(string? category) => category is Handshakes or Calls;

    public ILogger CreateLogger(string categoryName) => new Listener(categoryName is Handshakes ? OnHandshake : OnCall);

    public void Dispose()
    {
    }

    private void OnHandshake(EventId eventId, Exception exception, Func<string> text)
    {
        // A client that closes before its handshake, as probes of the port do, is not worth a line. The innermost exception has the
        // reason: a fault of the chain, or OpenSSL's message.
        if (exception is AuthenticationException or OperationCanceledException && throttle.IsDue(Handshakes, out var count))
        {
            Log.HandshakeFailed(Logger, exception.GetBaseException().Message, count);
        }
    }

    private void OnCall(EventId eventId, Exception exception, Func<string> text)
    {
        if (!string.Equals(eventId.Name, CallFailed, StringComparison.Ordinal))
        {
            return;
        }

        // Exceptions of protobuf (an IOException), of the compression, and of the frame of a message. The stores map faults of files.
        if (exception is IOException or InvalidDataException)
        {
            if (throttle.IsDue(nameof(Log.MessageNotParsed), out var messages))
            {
                Log.MessageNotParsed(Logger, text(), exception.Message, messages);
            }
        }
        else if (throttle.IsDue($"{text()}{exception.GetType()}", out var faults))
        {
            Log.CallFailed(Logger, exception, text(), faults);
        }
    }

    // Resolved late: the loggers do not exist yet when providers are created.
    private ILogger Logger => services.GetRequiredService<ILogger<StackLog>>();

    private sealed class Listener(Action<EventId, Exception, Func<string>> listen) : ILogger
    {
        public bool IsEnabled(LogLevel logLevel) => true;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        void ILogger.Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (exception is not null)
            {
                listen(eventId, exception, () => formatter(state, exception));
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "A TLS handshake failed: {Reason} (failures since the last such line: {Count})")]
        public static partial void HandshakeFailed(ILogger logger, string reason, int count);

        [LoggerMessage(
            2, LogLevel.Information, "{What} The client's message cannot be parsed: {Reason} (since the last such line: {Count})")]
        public static partial void MessageNotParsed(ILogger logger, string what, string reason, int count);

        [LoggerMessage(3, LogLevel.Error, "{What} (since the last such line: {Count})")]
        public static partial void CallFailed(ILogger logger, Exception exception, string what, int count);
    }
}
