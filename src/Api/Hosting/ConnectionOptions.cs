using System.ComponentModel.DataAnnotations;

namespace RouteService.Api.Hosting;

/// <summary>
/// What a gRPC connection may take and how long it lives. Applied by <see cref="Ports"/> and <see cref="ConnectionAge"/>.
/// </summary>
internal sealed class ConnectionOptions
{
    /// <summary>
    /// The concurrent calls of one connection; a client with more opens another or waits. 100 is the least that RFC 9113 advises.
    /// </summary>
    [Range(1, 100_000)]
    public int MaxStreams { get; init; } = 100;

    /// <summary>The open connections; more are closed as they come. 0 for any number.</summary>
    [Range(0, 10_000_000)]
    public int MaxConnections { get; init; } = 10_000;

    /// <summary>How long a connection may be silent before it is pinged, at least a second; zero for never.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan KeepAliveTime { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long the answer to a ping may take; then the peer counts as gone, and its calls end.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan KeepAliveTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>
    /// How old a connection may get, give or take a tenth, so that those opened together do not end together; zero for any age. Then its
    /// client is told to make new calls on another, which brings it to the replicas that are there now, and calls in flight finish.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "7.00:00:00")]
    public TimeSpan MaxAge { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>
    /// How long calls in flight may go on when their connection is too old; then it is aborted. Zero, the default, for as long as they
    /// take.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan MaxAgeGrace { get; init; }

    /// <summary>The request headers of a call in all, metadata and the protocol's own, in bytes.</summary>
    [Range(4 * 1024, 16 * 1024 * 1024)]
    public int MaxHeaderBytes { get; init; } = 64 * 1024;

    /// <summary>What one call may send before the server has read it, in bytes.</summary>
    [Range(65_535, 64 * 1024 * 1024)]
    public int StreamWindow { get; init; } = 768 * 1024;

    /// <summary>What all calls of a connection may send together before the server has read it, in bytes.</summary>
    [Range(65_535, 64 * 1024 * 1024)]
    public int ConnectionWindow { get; init; } = 1024 * 1024;
}
