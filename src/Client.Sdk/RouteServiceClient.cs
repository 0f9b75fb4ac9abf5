using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Health.V1;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using RouteService.Client.Calls;
using RouteService.Client.Catalog;
using RouteService.Client.Chat;
using RouteService.Client.Connections;
using RouteService.Client.Listing;
using RouteService.Contracts.Helloworld;
using RouteService.Contracts.Routeguide;

namespace RouteService.Client;

/// <summary>
/// A client of RouteService. Create one for each service and share it. It connects with the first call, and keeps its connections until it
/// is disposed.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public sealed partial class RouteServiceClient : IRouteServiceClient, IAsyncDisposable, IDisposable
{
    // Null for a client on an invoker, whose connections are unknown.
    private readonly GrpcChannel? _channel;
    private readonly bool _ownsChannel;
    private readonly string _target;
    private readonly CallInvoker _invoker;
    private readonly RouteGuide.RouteGuideClient _guide;
    private readonly Health.HealthClient _health;
    private readonly CallContext _context;
    private readonly UnaryCalls _unary;
    private readonly UnaryMethod<Point, Contracts.Routeguide.Feature> _getFeature;
    private readonly UnaryMethod<HelloRequest, HelloReply> _sayHello;
    private readonly UnaryMethod<HelloRequest, HelloReply> _sayHelloAgain;
    private readonly UnaryMethod<HealthCheckRequest, HealthCheckResponse> _checkHealth;
    private readonly CancellationTokenSource _disposal = new();

    // As many as the service runs of one client at once. What further ones send would fill the connection's window of flow control unread:
    // all calls on the connection would wait, those imports too that the others wait for.
    private readonly SemaphoreSlim _importTurns = new(2);

    // Sessions that end with the client.
    private readonly HashSet<ChatSession> _sessions = [];
    private volatile bool _isDisposed;

    /// <summary>Creates a client of the service at this address, with the default options.</summary>
    /// <param name="address">As <see cref="RouteServiceClientOptions.Address"/>.</param>
    /// <exception cref="ArgumentException">The address is invalid.</exception>
    public RouteServiceClient(string address)
        : this(new RouteServiceClientOptions { Address = address })
    {
    }

    /// <summary>Creates a client with these options.</summary>
    /// <exception cref="ArgumentException">An option is out of its range, or two contradict each other.</exception>
    /// <exception cref="IOException">A file of <see cref="RouteServiceClientOptions.Tls"/> cannot be read.</exception>
    /// <exception cref="System.Security.Cryptography.CryptographicException">A TLS file is not a valid certificate or key.</exception>
    public RouteServiceClient(RouteServiceClientOptions options)
        : this(Copy(options, static options => options.Validate()), channel: null, invoker: null)
    {
    }

    /// <summary>
    /// Creates a client on a channel of the application, which stays the application's: the client does not dispose of it.
    /// </summary>
    /// <param name="channel">Channel to the service.</param>
    /// <param name="options">
    /// Options of calls; null for the defaults. Those of connections have no effect: <see cref="RouteServiceClientOptions.Address"/>,
    /// <see cref="RouteServiceClientOptions.Tls"/>, <see cref="RouteServiceClientOptions.KeepAlive"/>,
    /// <see cref="RouteServiceClientOptions.Resolve"/>, <see cref="RouteServiceClientOptions.ConfigureHandler"/>. A
    /// <see cref="RouteServiceClientOptions.BearerToken"/> is sent as the channel is, with TLS or without.
    /// </param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public RouteServiceClient(GrpcChannel channel, RouteServiceClientOptions? options = null)
        : this(
            Copy(options ?? new(), static options => options.ValidateCalls()),
            channel ?? throw new ArgumentNullException(nameof(channel)),
            invoker: null)
    {
    }

    /// <summary>
    /// Creates a client on a call invoker of the application, for example a channel with interceptors. Its connections are unknown:
    /// <see cref="State"/> and <see cref="ConnectAsync"/> are unavailable.
    /// </summary>
    /// <param name="invoker">Invoker of the calls.</param>
    /// <param name="options">As for <see cref="RouteServiceClient(GrpcChannel, RouteServiceClientOptions?)"/>.</param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public RouteServiceClient(CallInvoker invoker, RouteServiceClientOptions? options = null)
        : this(
            Copy(options ?? new(), static options => options.ValidateCalls()),
            channel: null,
            invoker ?? throw new ArgumentNullException(nameof(invoker)))
    {
    }

    private RouteServiceClient(RouteServiceClientOptions options, GrpcChannel? channel, CallInvoker? invoker)
    {
        _ownsChannel = channel is null && invoker is null;
        _channel = _ownsChannel ? ServiceChannel.Create(options, options.Server!) : channel;
        _target = _ownsChannel ? options.Address : channel?.Target ?? "the service";
        _invoker = invoker ?? _channel!.CreateCallInvoker();
        _invoker = options.Interceptors.Count > 0 ? _invoker.Intercept([.. options.Interceptors]) : _invoker;
        var logger = options.LoggerFactory?.CreateLogger(ClientLog.Category) ?? NullLogger.Instance;
        var server = _ownsChannel ? options.Server : ServiceChannel.ServerOf(channel?.Target);
        var resilience = new Resilience(options, logger);
        _context = new CallContext(options, () => _isDisposed, server, logger);
        _unary = new UnaryCalls(_context, resilience);
        _guide = new RouteGuide.RouteGuideClient(_invoker);
        _health = new Health.HealthClient(_invoker);
        var greeter = new Greeter.GreeterClient(_invoker);
        _getFeature = new("routeguide.RouteGuide/GetFeature", _guide.GetFeatureAsync, resilience.Hedged);
        _sayHello = new("helloworld.Greeter/SayHello", greeter.SayHelloAsync);
        _sayHelloAgain = new("helloworld.Greeter/SayHelloAgain", greeter.SayHelloAgainAsync);
        _checkHealth = new("grpc.health.v1.Health/Check", _health.CheckAsync);
        Features = new FeatureCatalog(_context, _unary, new Contracts.V1.Features.FeaturesClient(_invoker), _importTurns, CheckCall);
        if (_channel is not null && logger.IsEnabled(LogLevel.Information))
        {
            _ = ServiceChannel.LogStatesAsync(_channel, _target, logger, _disposal.Token);
        }
    }

    /// <summary>Version of this package, which is in the user agent of its calls.</summary>
    public static string Version { get; } = typeof(RouteServiceClient).Assembly.GetName().Version!.ToString(3);

    /// <inheritdoc/>
    public IFeatureCatalog Features { get; }

    /// <inheritdoc/>
    public Task<Feature?> GetFeatureAsync(Coordinate location, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        CheckCall(timeout);
        return FindAsync(location, timeout, cancellationToken);
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<Feature> ListFeaturesAsync(
        BoundingBox area, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        CheckCall(timeout);
        return new FeatureListing(_context, _invoker, area, timeout, cancellationToken);
    }

    /// <inheritdoc/>
    public Task<RouteSummary> RecordRouteAsync(
        IAsyncEnumerable<Coordinate> points, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(points);
        CheckCall(timeout);
        return new RouteRecording(_context, _guide, timeout, cancellationToken).RecordOnceAsync(points);
    }

    /// <inheritdoc/>
    public Task<RouteSummary> RecordRouteAsync(
        IReadOnlyCollection<Coordinate> points, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(points);
        CheckCall(timeout);
        return new RouteRecording(_context, _guide, timeout, cancellationToken).RecordAsync(points);
    }

    /// <inheritdoc/>
    public Task<IRouteChat> JoinChatAsync(
        IEnumerable<Coordinate>? places = null, long? after = null, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        var listen = Arguments.CheckJoin(places, after);
        return JoinAsync();

        async Task<IRouteChat> JoinAsync()
        {
            if (_channel is not null && _context.Options.ConfigureHandler is null)
            {
                try
                {
                    await ConnectAsync(cancellationToken).ConfigureAwait(false);
                }
                catch (InvalidOperationException e) when (e is not ObjectDisposedException)
                {
                    // Connections through a proxy cannot be observed; the session's stream opens one.
                }
            }

            var session = new ChatSession(_context, _guide, listen, after, Forget);
            lock (_sessions)
            {
                ObjectDisposedException.ThrowIf(_isDisposed, this);
                _sessions.Add(session);
            }

            session.Start();
            return session;
        }
    }

    /// <inheritdoc/>
    public Task<string> SayHelloAsync(string name, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        CheckCall(timeout);
        return GreetAsync(_sayHello, name, timeout, cancellationToken);
    }

    /// <inheritdoc/>
    public Task<string> SayHelloAgainAsync(string name, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        CheckCall(timeout);
        return GreetAsync(_sayHelloAgain, name, timeout, cancellationToken);
    }

    /// <inheritdoc/>
    public Task<ServiceHealth> CheckHealthAsync(
        string service = "", TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(service);
        CheckCall(timeout);
        return CheckAsync();

        async Task<ServiceHealth> CheckAsync()
        {
            try
            {
                var reply = await _unary.CallAsync(
                    _checkHealth, new HealthCheckRequest { Service = service }, timeout, cancellationToken).ConfigureAwait(false);
                return reply.Status switch
                {
                    HealthCheckResponse.Types.ServingStatus.Serving => ServiceHealth.Serving,
                    HealthCheckResponse.Types.ServingStatus.NotServing => ServiceHealth.NotServing,
                    _ => ServiceHealth.Unknown,
                };
            }
            catch (RouteServiceException e) when (e.StatusCode == StatusCode.NotFound)
            {
                return ServiceHealth.Unknown;
            }
        }
    }

    private static RouteServiceClientOptions Copy(RouteServiceClientOptions options, Action<RouteServiceClientOptions> validate)
    {
        ArgumentNullException.ThrowIfNull(options);
        validate(options);
        return options.Copy();
    }

    private async Task<string> GreetAsync(
        UnaryMethod<HelloRequest, HelloReply> method, string name, TimeSpan? timeout, CancellationToken cancellationToken)
    {
        var reply = await _unary.CallAsync(method, new HelloRequest { Name = name }, timeout, cancellationToken).ConfigureAwait(false);
        return reply.Message;
    }

    private async Task<Feature?> FindAsync(Coordinate location, TimeSpan? timeout, CancellationToken cancellationToken)
    {
        var reply = await _unary.CallAsync(_getFeature, CallContext.ToPoint(location), timeout, cancellationToken).ConfigureAwait(false);
        return reply.Name.Length == 0 ? null : new Feature(location, reply.Name);
    }

    private void CheckCall(TimeSpan? timeout)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        Arguments.CheckTimeout(timeout);
    }
}
