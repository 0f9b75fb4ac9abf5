using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Grpc.AspNetCore.Server.Internal;

internal static partial class ServerCallLog
{
    [LoggerMessage(1, LogLevel.Error, "{Method}: the handler threw an exception.")]
    public static partial void HandlerFailed(ILogger logger, Exception exception, string method);

    [LoggerMessage(2, LogLevel.Debug, "{Method}: the handler ended with {StatusCode}: {Detail}")]
    public static partial void HandlerRefused(ILogger logger, string method, StatusCode statusCode, string detail);

    [LoggerMessage(3, LogLevel.Debug, "{Method}: the client cancelled or is gone.")]
    public static partial void ClientGone(ILogger logger, string method);

    [LoggerMessage(4, LogLevel.Debug, "{Method}: the deadline passed after {Timeout}.")]
    public static partial void DeadlineExceeded(ILogger logger, string method, TimeSpan timeout);
}
