using System.Collections.Concurrent;
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

    private readonly HttpMessageInvoker _http;
    private readonly bool _ownsHttp;
    private readonly ConcurrentDictionary<string, Uri> _addresses = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ICompressionProvider> _encodings;
    private readonly CancellationTokenSource _disposing = new();
    private int _disposed;

    private GrpcChannel(Uri address, GrpcChannelOptions options)
        : base(address.Authority)
    {
        Address = address;
        IsSecure = CheckSecurity(address, options);
        Options = options;
        Disposing = _disposing.Token;
        _encodings = (options.CompressionProviders ?? DefaultCompressionProviders).ToDictionary(static provider => provider.EncodingName, StringComparer.Ordinal);
        AcceptEncoding = string.Join(',', _encodings.Keys.Prepend("identity"));
        _ownsHttp = options.DisposeHttpClient || (options.HttpClient is null && options.HttpHandler is null);
        _http = options.HttpClient ?? new HttpMessageInvoker(options.HttpHandler ?? CreateHandler(IsSecure));
    }

    internal static string UserAgent { get; } = $"grpc-dotnet-bundled/{typeof(GrpcChannel).Assembly.GetName().Version?.ToString(3)}";

    internal Uri Address { get; }

    internal bool IsSecure { get; }

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
    /// <param name="address"><c>http://HOST:PORT</c> for HTTP/2 without TLS, <c>https://HOST:PORT</c> for TLS.</param>
    /// <param name="channelOptions">How to reach it.</param>
    /// <exception cref="ArgumentException">The address has another scheme, or a path: calls go to the path of their method.</exception>
    /// <exception cref="InvalidOperationException">The options contradict the address or each other.</exception>
    public static GrpcChannel ForAddress(Uri address, GrpcChannelOptions channelOptions)
    {
        ArgumentNullException.ThrowIfNull(address);
        ArgumentNullException.ThrowIfNull(channelOptions);
        CheckAddress(address);
        if (channelOptions is { HttpClient: not null, HttpHandler: not null })
        {
            throw new InvalidOperationException(
                $"{nameof(GrpcChannelOptions.HttpClient)} and {nameof(GrpcChannelOptions.HttpHandler)} are both set; a channel takes one of them.");
        }

        return new GrpcChannel(address, channelOptions);
    }

    public override CallInvoker CreateCallInvoker()
    {
        ThrowIfDisposed();
        return new HttpCallInvoker(this);
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
        if (_ownsHttp)
        {
            _http.Dispose();
        }
    }

    internal void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);

    /// <summary>Where the method is, made once for each.</summary>
    internal Uri AddressOf(IMethod method) => _addresses.GetOrAdd(method.FullName, static (path, address) => new Uri(address, path), Address);

    /// <summary>The encoding of this name, or null where it is not known here.</summary>
    internal ICompressionProvider? Encoding(string name) => _encodings.GetValueOrDefault(name);

    /// <summary>Sends a request; completes with the response's headers.</summary>
    internal Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        _http is HttpClient client
            ? client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken)
            : _http.SendAsync(request, cancellationToken);

    protected override Task ShutdownAsyncCore()
    {
        Dispose();
        return Task.CompletedTask;
    }

    private static void CheckAddress(Uri address)
    {
        if (!address.IsAbsoluteUri || address.Scheme is not ("http" or "https"))
        {
            throw new ArgumentException($"'{address.OriginalString}' is neither http:// nor https://; an address looks like http://localhost:50051.", nameof(address));
        }

        if (address.PathAndQuery is not "/" || address.Fragment.Length > 0)
        {
            throw new ArgumentException(
                $"'{address.OriginalString}' has a path; a gRPC call goes to the path of its method, so the address ends with the port.", nameof(address));
        }
    }

    private static bool CheckSecurity(Uri address, GrpcChannelOptions options)
    {
        var secure = address.Scheme is "https";
        if (options.Credentials is not { } credentials)
        {
            return secure;
        }

        if (credentials.IsSecure != secure)
        {
            throw new InvalidOperationException(
                $"The credentials of the channel are {(credentials.IsSecure ? "secure" : "insecure")}, and its address is '{address.OriginalString}'.");
        }

        return !secure && credentials.CallCredentials is not null && !options.UnsafeUseInsecureChannelCallCredentials
            ? throw new InvalidOperationException(
                $"Call credentials need TLS; {nameof(GrpcChannelOptions.UnsafeUseInsecureChannelCallCredentials)} sends them without, for all on the way to read.")
            : secure;
    }

    private static SocketsHttpHandler CreateHandler(bool secure) => new()
    {
        EnableMultipleHttp2Connections = true,
        AllowAutoRedirect = false,
        UseCookies = false,

        // HTTP/2 without TLS does not pass a proxy; with TLS it goes through its tunnel.
        UseProxy = secure,
        AutomaticDecompression = DecompressionMethods.None,
        ConnectTimeout = TimeSpan.FromSeconds(20),

        // A connection stays as long as the channel; while calls wait on it, pings find out when the server is gone without a word.
        PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
        KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        KeepAlivePingDelay = TimeSpan.FromSeconds(60),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(20),
    };
}
