using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace RouteService.Client.Calls;

/// <summary>Log events of a client; their category is <c>RouteService.Client</c>.</summary>
internal static partial class ClientLog
{
    public const string Category = "RouteService.Client";

    [LoggerMessage(1, LogLevel.Information, "Connected to {Address}.")]
    public static partial void Connected(ILogger logger, string address);

    [LoggerMessage(2, LogLevel.Information, "No connection to {Address} is open any more; its state is {State}.")]
    public static partial void Disconnected(ILogger logger, string address, ConnectivityState state);

    [LoggerMessage(3, LogLevel.Information, "{Method} failed with {Status}; attempt {Attempt} follows in {Milliseconds:F0} ms.")]
    public static partial void Retrying(ILogger logger, string method, int attempt, Status status, double milliseconds);

    [LoggerMessage(
        4, LogLevel.Warning, "{Method} broke off after {Delivered} messages with {Status}; it resumes in {Milliseconds:F0} ms.")]
    public static partial void BrokeOff(ILogger logger, string method, long delivered, Status status, double milliseconds);

    [LoggerMessage(5, LogLevel.Information, "{Method} has resumed, {Milliseconds:F0} ms after it broke off.")]
    public static partial void Resumed(ILogger logger, string method, double milliseconds);

    [LoggerMessage(6, LogLevel.Warning, "{Method} failed after {Attempts} attempts and {Delivered} messages: {Reason}. {Detail}")]
    public static partial void Failed(
        ILogger logger, string method, int attempts, long delivered, FailureReason reason, string detail);
}
