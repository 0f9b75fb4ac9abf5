using System.Net;
using System.Security.Cryptography;
using Grpc.Core;
using Grpc.Net.Client.Configuration;
using Grpc.Net.Compression;

namespace Grpc.Net.Client;

/// <summary>How a <see cref="GrpcChannel"/> reaches its server. Read once, when the channel is made.</summary>
internal sealed class GrpcChannelOptions
{
    internal const int DefaultMaxReceiveMessageSize = 4 * 1024 * 1024;

    /// <summary>Null, the default, for what the address says: <c>http</c> is insecure, <c>https</c> is TLS. An address of <c>dns</c> says nothing.</summary>
    public ChannelCredentials? Credentials { get; set; }

    /// <summary>The longest request message, in bytes before compression; null, the default, for any.</summary>
    public int? MaxSendMessageSize { get; set; }

    /// <summary>The longest response message, in bytes after decompression; null for any. 4 MiB by default.</summary>
    public int? MaxReceiveMessageSize { get; set; } = DefaultMaxReceiveMessageSize;

    /// <summary>The encodings that this side can read, and write when a call asks for one; null, the default, for gzip.</summary>
    public IList<ICompressionProvider>? CompressionProviders { get; set; }

    /// <summary>
    /// Sends the calls; null, the default, for a client of the channel's own. Its <see cref="HttpClient.Timeout"/> would end long streams.
    /// Not together with <see cref="HttpHandler"/>.
    /// </summary>
    public HttpClient? HttpClient { get; set; }

    /// <summary>
    /// Sends the calls; null, the default, for a <see cref="SocketsHttpHandler"/> that opens another connection where one is full of streams, gives a
    /// connection 20 seconds to be made, pings one that has calls and was silent for 60 seconds, and closes it where the answer takes more than 20.
    /// Not together with <see cref="HttpClient"/>. The channel sees the connections of a <see cref="SocketsHttpHandler"/> given here, also below
    /// others, where it is new and has no callbacks for connections; it sets <see cref="SocketsHttpHandler.PlaintextStreamFilter"/>.
    /// </summary>
    public HttpMessageHandler? HttpHandler { get; set; }

    /// <summary>Whether disposing of the channel disposes of <see cref="HttpClient"/> or <see cref="HttpHandler"/>; false by default. One of the channel's own always goes.</summary>
    public bool DisposeHttpClient { get; set; }

    /// <summary>
    /// Whether a call that this side cancels, or whose deadline passes, throws <see cref="OperationCanceledException"/> rather than
    /// <see cref="RpcException"/>; false by default.
    /// </summary>
    public bool ThrowOperationCanceledOnCancellation { get; set; }

    /// <summary>Whether call credentials are sent without TLS, for all on the way to read; false by default.</summary>
    public bool UnsafeUseInsecureChannelCallCredentials { get; set; }

    /// <summary>Chooses among the addresses of the server; null, the default, for pick_first.</summary>
    public ServiceConfig? ServiceConfig { get; set; }

    /// <summary>
    /// From the start of a first failed attempt to connect to the start of the next, 20 % more or less; 1 second by default. It grows by the factor
    /// 1.6 with each failure in a row.
    /// </summary>
    /// <exception cref="ArgumentException">Not more than zero.</exception>
    public TimeSpan InitialReconnectBackoff
    {
        get;
        set => field = value > TimeSpan.Zero ? value : throw new ArgumentException("The initial reconnect backoff must be more than zero.", nameof(value));
    } = TimeSpan.FromSeconds(1);

    /// <summary>The most that <see cref="InitialReconnectBackoff"/> grows to; 120 seconds by default, null for a day.</summary>
    /// <exception cref="ArgumentException">Not more than zero.</exception>
    public TimeSpan? MaxReconnectBackoff
    {
        get;
        set => field = value is null || value > TimeSpan.Zero
            ? value
            : throw new ArgumentException("The maximum reconnect backoff must be more than zero.", nameof(value));
    } = TimeSpan.FromSeconds(120);

    /// <summary>Null, the default, for HTTP/2.</summary>
    public Version? HttpVersion { get; set; }

    /// <summary>Null, the default, for exactly <see cref="HttpVersion"/>: without TLS that is HTTP/2 with prior knowledge.</summary>
    public HttpVersionPolicy? HttpVersionPolicy { get; set; }

    // What follows is ours alone; the official options have no such properties.

    /// <summary>
    /// How long the addresses of a <c>dns</c> target are good for; 30 seconds by default, <see cref="Timeout.InfiniteTimeSpan"/> for as long as they can
    /// be connected to. A lost or failed connection asks for new ones earlier.
    /// </summary>
    internal TimeSpan DnsRefreshInterval { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Finds the addresses of a host; by the system's resolver unless a test has its own.</summary>
    internal Func<string, CancellationToken, Task<IPAddress[]>> Resolve { get; set; } = Dns.GetHostAddressesAsync;

    /// <summary>The user agent of the program, before the runtime's own, as <c>NAME/VERSION</c>; null, the default, for none.</summary>
    internal string? UserAgentPrefix { get; set; }

    /// <summary>What deadlines and pauses are measured by.</summary>
    internal TimeProvider Clock { get; set; } = TimeProvider.System;

    /// <summary>From 0 to 1, for the spread of pauses and the first of several addresses. Called from any thread.</summary>
    internal Func<double> Random { get; set; } = static () => RandomNumberGenerator.GetInt32(int.MaxValue) / (double)int.MaxValue;
}
