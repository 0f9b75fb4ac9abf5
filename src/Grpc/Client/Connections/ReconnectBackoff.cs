namespace Grpc.Net.Client.Internal;

/// <summary>
/// The time from the start of a failed attempt to the start of the next: connection-backoff.md. It grows by the half and a bit with each failure
/// in a row, and is spread, so that the clients of a server that went away do not all come back at once.
/// </summary>
internal sealed class ReconnectBackoff(GrpcChannelOptions options)
{
    private const double Growth = 1.6;
    private const double Jitter = 0.2;

    private double _seconds = options.InitialReconnectBackoff.TotalSeconds;

    public TimeSpan Next()
    {
        var max = options.MaxReconnectBackoff?.TotalSeconds ?? TimeSpan.FromDays(1).TotalSeconds;
        var seconds = Math.Min(_seconds, max);
        _seconds = Math.Min(_seconds * Growth, max);
        return TimeSpan.FromSeconds(seconds * (1 - Jitter + (2 * Jitter * options.Random())));
    }

    /// <summary>After a success.</summary>
    public void Reset() => _seconds = options.InitialReconnectBackoff.TotalSeconds;
}
