using System.IO.Compression;
using System.Net;
using Grpc.Core;
using Grpc.Net.Client.Internal;
using Grpc.Net.Compression;

namespace Grpc.Net.Client;

/// <summary>
/// A server to call, and the connections to it, which open with the first call and are kept. Make one and share it: a channel is for all
/// threads, and any number of calls run on it at once.
/// </summary>
internal sealed class GrpcChannel : ChannelBase, IDisposable
{
    private static readonly ICompressionProvider[] DefaultCompressionProviders = [new GzipCompressionProvider(CompressionLevel.Fastest)];

    private static readonly string RuntimeUserAgent = $"grpc-dotnet-bundled/{typeof(GrpcChannel).Assembly.GetName().Version?.ToString(3)}";

    private readonly HttpMessageInvoker _http;
    private readonly bool _ownsHttp;

    // Null where the connections are the handler's own affair: then all calls go to the one peer.
    private readonly Balancer? _balancer;
    private readonly Peer _onlyPeer;
    private readonly Dictionary<string, ICompressionProvider> _encodings;
    private readonly CancellationTokenSource _disposing = new();
    private int _disposed;

    private GrpcChannel(ChannelTarget target, GrpcChannelOptions options)
        : base(target.Address.Authority)
    {
        Address = target.Address;
        Host = target.IsResolved ? target.Address.Authority : null;
        Options = options;
        Disposing = _disposing.Token;
        UserAgent = options.UserAgentPrefix is { } prefix ? $"{prefix} {RuntimeUserAgent}" : RuntimeUserAgent;
        _encodings = (options.CompressionProviders ?? DefaultCompressionProviders).ToDictionary(static provider => provider.EncodingName, StringComparer.Ordinal);
        AcceptEncoding = string.Join(',', _encodings.Keys.Prepend("identity"));
        _ownsHttp = options.DisposeHttpClient || (options.HttpClient is null && options.HttpHandler is null);
        _onlyPeer = new Peer(target.Address, host: null);
        if (options.HttpClient is not null)
        {
            _http = options.HttpClient;
        }
        else
        {
            var handler = options.HttpHandler ?? CreateHandler(target);
            _http = new HttpMessageInvoker(handler);
            _balancer = Balancer.TryCreate(target, options, handler);
        }

        if (target.IsResolved || options.ServiceConfig?.LoadBalancingConfigs.Count > 0)
        {
            _ = Connections;
        }
    }

    /// <summary>
    /// Ready while a connection is open on which the server has answered. A channel starts Idle, and is so again when its connection is closed,
    /// unless its policy is round_robin, which connects anew.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// The channel does not see its connections: it was given an <see cref="HttpClient"/>, a handler without a <see cref="SocketsHttpHandler"/> at
    /// its end, one with a callback of its own for connections, or one that was in use before.
    /// </exception>
    public ConnectivityState State => Connections.State;

    /// <summary>Why connections could not be made the last time that none could; OK where there was no such time.</summary>
    internal Status ConnectFailure => Connections.LastFailure;

    /// <summary>Scheme and authority of the calls.</summary>
    internal Uri Address { get; }

    /// <summary>PROTOCOL-HTTP2.md, "User Agents".</summary>
    internal string UserAgent { get; }

    /// <summary>The authority of calls where it is not that of the address they go to.</summary>
    internal string? Host { get; }

    internal bool IsSecure => Address.Scheme is "https";

    /// <summary>Whether a call that was never sent may be sent again, to where a connection can be made.</summary>
    internal bool CanPickAgain => _balancer is not null;

    internal GrpcChannelOptions Options { get; }

    /// <summary>The value of grpc-accept-encoding.</summary>
    internal string AcceptEncoding { get; }

    /// <summary>Fires when the channel is disposed of; its calls end then.</summary>
    internal CancellationToken Disposing { get; }

    /// <inheritdoc cref="ForAddress(Uri, GrpcChannelOptions)" />
    public static GrpcChannel ForAddress(string address) => ForAddress(address, new GrpcChannelOptions());

    /// <inheritdoc cref="ForAddress(Uri, GrpcChannelOptions)" />
    public static GrpcChannel ForAddress(string address, GrpcChannelOptions channelOptions)
    {
        ArgumentNullException.ThrowIfNull(address);
        return Uri.TryCreate(address, UriKind.Absolute, out var uri)
            ? ForAddress(uri, channelOptions)
            : throw new ArgumentException($"'{address}' is not an address; one looks like http://localhost:50051.", nameof(address));
    }

    /// <inheritdoc cref="ForAddress(Uri, GrpcChannelOptions)" />
    public static GrpcChannel ForAddress(Uri address) => ForAddress(address, new GrpcChannelOptions());

    /// <summary>A channel to a server; nothing is connected yet.</summary>
    /// <param name="address">
    /// <c>http://HOST:PORT</c> for HTTP/2 without TLS, <c>https://HOST:PORT</c> for TLS; or <c>dns:///HOST:PORT</c>, with
    /// <see cref="GrpcChannelOptions.Credentials"/> to say which, for all addresses of the host: the first of them that answers, or all in turn
    /// with <see cref="Configuration.RoundRobinConfig"/>.
    /// </param>
    /// <param name="channelOptions">How to reach it.</param>
    /// <exception cref="ArgumentException">
    /// The address has another scheme, or a path: calls go to the path of their method. Or the options have two transports.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The options contradict the address; or they ask for load balancing, or the address for it, and the channel does not see the connections of
    /// the transport it was given (<see cref="State"/>).
    /// </exception>
    public static GrpcChannel ForAddress(Uri address, GrpcChannelOptions channelOptions)
    {
        ArgumentNullException.ThrowIfNull(address);
        ArgumentNullException.ThrowIfNull(channelOptions);
        if (channelOptions is { HttpClient: not null, HttpHandler: not null })
        {
            throw new ArgumentException(
                $"{nameof(GrpcChannelOptions.HttpClient)} and {nameof(GrpcChannelOptions.HttpHandler)} are both set; a channel takes one of them.",
                nameof(channelOptions));
        }

        return new GrpcChannel(ChannelTarget.Parse(address, channelOptions), channelOptions);
    }

    public override CallInvoker CreateCallInvoker()
    {
        ThrowIfDisposed();
        return new HttpCallInvoker(this);
    }

    /// <summary>
    /// Connects without a call, trying until there is a connection. No call needs it: the first one connects.
    /// </summary>
    /// <exception cref="InvalidOperationException">As of <see cref="State"/>.</exception>
    /// <exception cref="ObjectDisposedException">The channel is, or while this waits becomes, disposed of.</exception>
    /// <exception cref="OperationCanceledException">The token has fired.</exception>
    public Task ConnectAsync(CancellationToken cancellationToken = default)
    {
        ThrowIfDisposed();
        return Connections.ConnectAsync(cancellationToken);
    }

    /// <summary>Completes when <see cref="State"/> is another than the one last seen; at once where it is already.</summary>
    /// <exception cref="InvalidOperationException">As of <see cref="State"/>.</exception>
    /// <exception cref="ObjectDisposedException">The channel is disposed of. A wait before that ends with <see cref="ConnectivityState.Shutdown"/>.</exception>
    /// <exception cref="OperationCanceledException">The token has fired.</exception>
    public Task WaitForStateChangedAsync(ConnectivityState lastObservedState, CancellationToken cancellationToken = default)
    {
        ThrowIfDisposed();
        return Connections.WaitForStateChangedAsync(lastObservedState, cancellationToken);
    }

    /// <summary>Cancels the calls that have not ended and closes the connections. Calls after this throw <see cref="ObjectDisposedException"/>.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _disposing.Cancel();
        _disposing.Dispose();
        _balancer?.Dispose();
        if (_ownsHttp)
        {
            _http.Dispose();
        }
    }

    internal void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);

    /// <summary>Where the next call goes; waits until it can go there.</summary>
    /// <exception cref="RpcException">UNAVAILABLE: no connection can be made, and the call does not wait until one can.</exception>
    internal ValueTask<Peer> PickAsync(bool waitForReady, CancellationToken cancellationToken) =>
        _balancer?.PickAsync(waitForReady, cancellationToken) ?? new(_onlyPeer);

    /// <summary>The encoding of this name, or null where it is not known here.</summary>
    internal ICompressionProvider? Encoding(string name) => _encodings.GetValueOrDefault(name);

    /// <summary>Sends a request; completes with the response's headers.</summary>
    internal Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        _http is HttpClient client
            ? client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken)
            : _http.SendAsync(request, cancellationToken);

    private Balancer Connections => _balancer ?? throw new InvalidOperationException(
        $"The channel does not see the connections of the transport it was given. It needs HTTP/2 and {nameof(GrpcChannelOptions.HttpHandler)} to be a new "
        + $"{nameof(SocketsHttpHandler)}, or handlers around one, without {nameof(SocketsHttpHandler.ConnectCallback)} and "
        + $"{nameof(SocketsHttpHandler.PlaintextStreamFilter)}.");

    protected override Task ShutdownAsyncCore()
    {
        Dispose();
        return Task.CompletedTask;
    }

    private static SocketsHttpHandler CreateHandler(ChannelTarget target) => new()
    {
        EnableMultipleHttp2Connections = true,
        AllowAutoRedirect = false,
        UseCookies = false,

        // HTTP/2 without TLS does not pass a proxy; with TLS it goes through its tunnel. A proxy would find the addresses of a host by itself.
        UseProxy = target is { IsSecure: true, IsResolved: false },
        AutomaticDecompression = DecompressionMethods.None,
        ConnectTimeout = Peer.ConnectTimeout,

        // A connection stays as long as the channel, but to an address that a host may give up: then this closes it, and what is missed is made
        // anew. While calls wait on a connection, pings find out when the server is gone without a word.
        PooledConnectionIdleTimeout = target.IsResolved ? TimeSpan.FromMinutes(30) : Timeout.InfiniteTimeSpan,
        KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        KeepAlivePingDelay = TimeSpan.FromSeconds(60),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(20),
    };
}
