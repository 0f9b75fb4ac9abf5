using System.ComponentModel.DataAnnotations;

namespace RouteService.Api.Hosting;

/// <summary>
/// Limits and lifetime of gRPC connections. Applied by <see cref="Ports"/> and <see cref="ConnectionAge"/>.
/// </summary>
internal sealed class ConnectionOptions
{
    /// <summary>
    /// Concurrent calls of one connection; a client with more opens another connection or waits. RFC 9113 advises at least 100.
    /// </summary>
    [Range(1, 100_000)]
    public int MaxStreams { get; init; } = 100;

    /// <summary>Limit of open connections; further ones are closed when they are opened. 0 for no limit.</summary>
    [Range(0, 10_000_000)]
    public int MaxConnections { get; init; } = 10_000;

    /// <summary>Silence after which a connection is pinged, at least a second; zero disables pings.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan KeepAliveTime { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Longest wait for the answer to a ping; then the connection counts as lost, and its calls end.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan KeepAliveTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>
    /// Maximum age of a connection, give or take a tenth, so that connections that were opened together do not end together; zero for no
    /// limit. The client is then told to make new calls on another connection, to one of the current replicas. Calls in flight finish.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "7.00:00:00")]
    public TimeSpan MaxAge { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>
    /// Time for which calls in flight may go on after their connection has reached its maximum age; then it is aborted. Zero (default) for
    /// no limit.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan MaxAgeGrace { get; init; }

    /// <summary>Limit of all request headers of a call, metadata included, in bytes.</summary>
    [Range(4 * 1024, 16 * 1024 * 1024)]
    public int MaxHeaderBytes { get; init; } = 64 * 1024;

    /// <summary>Flow-control window of a call: bytes that it may send before the server has read them.</summary>
    [Range(65_535, 64 * 1024 * 1024)]
    public int StreamWindow { get; init; } = 768 * 1024;

    /// <summary>Flow-control window of a connection: bytes that all its calls together may send before the server has read them.</summary>
    [Range(65_535, 64 * 1024 * 1024)]
    public int ConnectionWindow { get; init; } = 4 * 1024 * 1024;
}
