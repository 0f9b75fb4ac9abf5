using Grpc.Core;
using Grpc.Net.Compression;

namespace Grpc.Net.Client;

/// <summary>How a <see cref="GrpcChannel"/> reaches its server. Read once, when the channel is made.</summary>
internal sealed class GrpcChannelOptions
{
    internal const int DefaultMaxReceiveMessageSize = 4 * 1024 * 1024;

    /// <summary>Null, the default, for what the address says: <c>http</c> is insecure, <c>https</c> is TLS.</summary>
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
    /// Sends the calls; null, the default, for a <see cref="SocketsHttpHandler"/> with keep-alive pings that opens another connection where one
    /// is full. Not together with <see cref="HttpClient"/>.
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

    /// <summary>Null, the default, for HTTP/2.</summary>
    public Version? HttpVersion { get; set; }

    /// <summary>Null, the default, for exactly <see cref="HttpVersion"/>: without TLS that is HTTP/2 with prior knowledge.</summary>
    public HttpVersionPolicy? HttpVersionPolicy { get; set; }

    /// <summary>What deadlines are measured by. Ours alone, for tests; the official options have no such property.</summary>
    internal TimeProvider Clock { get; set; } = TimeProvider.System;
}
