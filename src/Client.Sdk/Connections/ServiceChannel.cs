using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.Client.Balancer;
using Grpc.Net.Client.Configuration;
using Microsoft.Extensions.Logging;
using RouteService.Client.Calls;

namespace RouteService.Client.Connections;

/// <summary>Creates the channel of a client from its options.</summary>
internal static class ServiceChannel
{
    // An address that is down may drop packets silently; a unary call then still has time for another address.
    public static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Interval at which a <c>dns</c> host is resolved while no connection is lost.</summary>
    public static readonly TimeSpan ResolveInterval = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan KeepAliveTimeout = TimeSpan.FromSeconds(10);

    /// <param name="options">Validated options.</param>
    /// <param name="server"><see cref="RouteServiceClientOptions.Server"/> of the options.</param>
    public static GrpcChannel Create(RouteServiceClientOptions options, Uri server)
    {
        var sockets = CreateHandler(options);
        var handler = options.ConfigureHandler?.Invoke(sockets) ?? sockets;
        foreach (var outer in options.Handlers.Reverse())
        {
            outer.InnerHandler = handler;
            handler = outer;
        }

        if (sockets.UseProxy && IsBehind(sockets.Proxy ?? HttpClient.DefaultProxy, server))
        {
            // The channel would connect to the server itself, past the proxy. It leaves connecting to a handler that has a callback of its
            // own, and then has no connectivity to report (docs of GrpcChannel.State).
            sockets.ConnectCallback ??= ConnectAsync;
        }

        var channel = new GrpcChannelOptions
        {
            HttpHandler = new RequestHeadersHandler(
                handler, $"RouteService.Client/{RouteServiceClient.Version}", options.IsDns ? server.Authority : null),
            DisposeHttpClient = true,
            LoggerFactory = options.LoggerFactory,
            UnsafeUseInsecureChannelCallCredentials = options.SendTokenWithoutTls,
            InitialReconnectBackoff = TimeSpan.FromMilliseconds(250),
            MaxReconnectBackoff = TimeSpan.FromSeconds(10),
        };
        if (!options.IsDns)
        {
            return GrpcChannel.ForAddress(server, channel);
        }

        channel.Credentials = options.IsSecure ? ChannelCredentials.SecureSsl : ChannelCredentials.Insecure;
        channel.ServiceConfig = new ServiceConfig { LoadBalancingConfigs = { new RoundRobinConfig() } };
        channel.ServiceProvider = new ResolverProvider(options.Resolve is { } resolve
            ? new ApplicationResolverFactory(resolve, server, options.Clock)
            : new DnsResolverFactory(ResolveInterval));
        return GrpcChannel.ForAddress($"dns:///{server.Authority}", channel);
    }

    /// <summary>Host and port of a channel's target, such as <c>dns:///routes:50051</c>; null if it has none.</summary>
    public static Uri? ServerOf(string? target) =>
        Uri.TryCreate($"http://{target?[(target.LastIndexOf('/') + 1)..]}", UriKind.Absolute, out var server) ? server : null;

    /// <summary>Logs when the channel has a connection, and when it has none any more.</summary>
    public static async Task LogStatesAsync(GrpcChannel channel, string target, ILogger logger, CancellationToken cancellationToken)
    {
        try
        {
            var wasReady = false;
            for (var state = channel.State; state != ConnectivityState.Shutdown; state = channel.State)
            {
                if (state == ConnectivityState.Ready && !wasReady)
                {
                    ClientLog.Connected(logger, target);
                }
                else if (wasReady && state != ConnectivityState.Ready)
                {
                    ClientLog.Disconnected(logger, target, state);
                }

                wasReady = state == ConnectivityState.Ready;
                await channel.WaitForStateChangedAsync(state, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or InvalidOperationException)
        {
            // The client is disposed, or its connections cannot be observed.
        }
    }

    private static bool IsBehind(IWebProxy proxy, Uri server) =>
        !proxy.IsBypassed(server) && proxy.GetProxy(server) is { } address && address != server;

    private static SocketsHttpHandler CreateHandler(RouteServiceClientOptions options)
    {
        var sockets = new SocketsHttpHandler
        {
            // A connection takes as many concurrent calls as the server allows, mostly 100; further calls open another connection.
            EnableMultipleHttp2Connections = true,
            AllowAutoRedirect = false,
            UseCookies = false,

            // HTTP/2 goes through a proxy in a tunnel, which requires TLS; and a proxy would resolve the host itself.
            UseProxy = options is { IsSecure: true, IsDns: false },
            AutomaticDecompression = DecompressionMethods.None,

            // Calls send their own span: HTTP would put another between that and the server's.
            ActivityHeadersPropagator = null,
            ConnectTimeout = ConnectTimeout,
            PooledConnectionIdleTimeout = options.IsDns ? TimeSpan.FromMinutes(30) : Timeout.InfiniteTimeSpan,
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            KeepAlivePingDelay = options.KeepAlive,
            KeepAlivePingTimeout = KeepAliveTimeout,
        };
        if (options.Tls is { } tls)
        {
            sockets.SslOptions = CreateTls(tls);
        }

        return sockets;
    }

    /// <summary>Connects as <see cref="SocketsHttpHandler"/> does without a callback: to the proxy, if there is one.</summary>
    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, cancellationToken).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static SslClientAuthenticationOptions CreateTls(TlsOptions tls)
    {
        var options = new SslClientAuthenticationOptions();
        if (tls.AuthorityFile is not null)
        {
            options.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            Import(options.CertificateChainPolicy.CustomTrustStore, tls.AuthorityFile, nameof(TlsOptions.AuthorityFile));
        }

        if (tls.ClientCertificateFile is not null)
        {
            var chain = new X509Certificate2Collection();
            Import(chain, tls.ClientCertificateFile, nameof(TlsOptions.ClientCertificateFile));
            chain.RemoveAt(0);
            options.ClientCertificateContext = SslStreamCertificateContext.Create(
                X509Certificate2.CreateFromPemFile(tls.ClientCertificateFile, tls.ClientKeyFile), chain, offline: true);
        }

        return options;
    }

    private static void Import(X509Certificate2Collection certificates, string file, string option)
    {
        certificates.ImportFromPemFile(file);
        if (certificates.Count == 0)
        {
            throw new CryptographicException($"The file '{file}' of {nameof(TlsOptions)}.{option} has no certificate in PEM.");
        }
    }

    /// <summary>Provides the only service that a channel requests: the resolver of <c>dns</c> addresses.</summary>
    private sealed class ResolverProvider(ResolverFactory factory) : IServiceProvider
    {
        public object? GetService(Type serviceType) => serviceType == typeof(IEnumerable<ResolverFactory>) ? new[] { factory } : null;
    }
}
