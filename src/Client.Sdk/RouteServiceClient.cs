using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;
using RouteService.Client.Calls;
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
public sealed class RouteServiceClient : IRouteServiceClient, IAsyncDisposable, IDisposable
{
    private const int MaxPlaces = 10_000;

    private readonly GrpcChannel _channel;
    private readonly CallInvoker _invoker;
    private readonly RouteGuide.RouteGuideClient _guide;
    private readonly Greeter.GreeterClient _greeter;
    private readonly Health.HealthClient _health;
    private readonly CallContext _context;
    private readonly UnaryCalls _unary;

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
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        options = options.Copy();
        var server = options.Server!;
        _channel = ServiceChannel.Create(options, server);
        _invoker = _channel.CreateCallInvoker();
        _guide = new RouteGuide.RouteGuideClient(_invoker);
        _greeter = new Greeter.GreeterClient(_invoker);
        _health = new Health.HealthClient(_invoker);
        _context = new CallContext(options, () => _isDisposed, server);
        _unary = new UnaryCalls(_context);
    }

    /// <summary>Version of this package, which is in the user agent of its calls.</summary>
    public static string Version { get; } = typeof(RouteServiceClient).Assembly.GetName().Version!.ToString(3);

    /// <summary>State of the connections.</summary>
    /// <exception cref="InvalidOperationException">
    /// The connections cannot be observed: <see cref="RouteServiceClientOptions.ConfigureHandler"/> has returned a handler that hides them,
    /// or they go through a proxy.
    /// </exception>
    public ConnectionState State => _isDisposed ? ConnectionState.Shutdown : (ConnectionState)_channel.State;

    /// <summary>
    /// Connects, so that the first call finds a connection. Optional: calls connect by themselves. The TLS handshake takes place with the
    /// first call, so it is that call which reports an invalid certificate.
    /// </summary>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="RouteServiceException">
    /// No connection within <see cref="RouteServiceClientOptions.Timeout"/>; the message says why the last attempt failed.
    /// </exception>
    /// <exception cref="InvalidOperationException">As for <see cref="State"/>.</exception>
    /// <exception cref="ObjectDisposedException">The client is disposed.</exception>
    public async Task ConnectAsync(CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        var options = _context.Options;
        using var late = new CancellationTokenSource(options.Timeout, options.Clock);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        try
        {
            // The channel ignores the token while it resolves a host.
            await _channel.ConnectAsync(over.Token).WaitAsync(over.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (_isDisposed)
        {
            throw new ObjectDisposedException($"{nameof(RouteServiceClient)} has been disposed of.", e);
        }
        catch (OperationCanceledException e) when (late.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            var why = await LastConnectFailureAsync().ConfigureAwait(false);
            var detail = FormattableString.Invariant(
                $"There is no connection to {options.Address} after {options.Timeout.TotalSeconds} s. {why?.Detail}");
            var status = new Status(StatusCode.Unavailable, detail.TrimEnd(), why?.DebugException ?? e);
            throw CallContext.Failed("ConnectAsync", new RpcException(status), attempts: 0);
        }
    }

    /// <inheritdoc/>
    public Task<Feature?> GetFeatureAsync(Coordinate location, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        CheckCall(timeout);
        return GetAsync();

        async Task<Feature?> GetAsync()
        {
            var reply = await _unary.GetFeatureAsync(_guide, CallContext.ToPoint(location), timeout, cancellationToken)
                .ConfigureAwait(false);
            return reply.Name.Length == 0 ? null : new Feature(location, reply.Name);
        }
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
        var listen = places?.ToHashSet() ?? [];
        if (listen.Count > MaxPlaces)
        {
            throw new ArgumentException(
                FormattableString.Invariant($"A session listens at {MaxPlaces} places at most; these are {listen.Count}."), nameof(places));
        }

        if (after is { } sequence)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(sequence, nameof(after));
            if (listen.Count == 0)
            {
                throw new ArgumentException("To go on after a note there have to be the places that it is about.", nameof(places));
            }
        }

        return JoinAsync();

        async Task<IRouteChat> JoinAsync()
        {
            if (_context.Options.ConfigureHandler is null)
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
        return GreetAsync(
            "SayHello",
            static (client, request, options) => client.SayHelloAsync(request, options),
            name,
            timeout,
            cancellationToken);
    }

    /// <inheritdoc/>
    public Task<string> SayHelloAgainAsync(string name, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        CheckCall(timeout);
        return GreetAsync(
            "SayHelloAgain",
            static (client, request, options) => client.SayHelloAgainAsync(request, options),
            name,
            timeout,
            cancellationToken);
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
                    "grpc.health.v1.Health/Check", _health, static (client, request, options) => client.CheckAsync(request, options),
                    new HealthCheckRequest { Service = service }, timeout, cancellationToken).ConfigureAwait(false);
                return reply.Status switch
                {
                    HealthCheckResponse.Types.ServingStatus.Serving => ServiceHealth.Serving,
                    HealthCheckResponse.Types.ServingStatus.NotServing => ServiceHealth.NotServing,
                    _ => ServiceHealth.Unknown,
                };
            }
            catch (RouteServiceException e) when (string.Equals(e.Status, StatusNames.Of(StatusCode.NotFound), StringComparison.Ordinal))
            {
                return ServiceHealth.Unknown;
            }
        }
    }

    /// <summary>
    /// Cancels the calls in flight, which then throw <see cref="ObjectDisposedException"/>, ends the chat sessions, and closes the
    /// connections.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        ChatSession[] sessions;
        lock (_sessions)
        {
            _isDisposed = true;
            sessions = [.. _sessions];
        }

        foreach (var session in sessions)
        {
            await session.DisposeAsync().ConfigureAwait(false);
        }

        _channel.Dispose();
    }

    /// <summary>As <see cref="DisposeAsync"/>, without waiting for the chat sessions.</summary>
    public void Dispose()
    {
        lock (_sessions)
        {
            _isDisposed = true;
            foreach (var session in _sessions)
            {
                session.Stop();
            }
        }

        _channel.Dispose();
    }

    private async Task<string> GreetAsync(
        string method,
        Func<Greeter.GreeterClient, HelloRequest, CallOptions, AsyncUnaryCall<HelloReply>> call,
        string name,
        TimeSpan? timeout,
        CancellationToken cancellationToken)
    {
        var reply = await _unary.CallAsync(
            $"helloworld.Greeter/{method}", _greeter, call, new HelloRequest { Name = name }, timeout, cancellationToken)
            .ConfigureAwait(false);
        return reply.Message;
    }

    private void CheckCall(TimeSpan? timeout)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        if (timeout is { } time && time <= TimeSpan.Zero && time != Timeout.InfiniteTimeSpan)
        {
            throw new ArgumentOutOfRangeException(nameof(timeout), time, "A timeout is more than zero, or Timeout.InfiniteTimeSpan.");
        }
    }

    private void Forget(ChatSession session)
    {
        lock (_sessions)
        {
            _sessions.Remove(session);
        }
    }

    /// <summary>
    /// Why the last attempt to connect failed. The channel reports that only to calls, which it fails at once. So this makes a call, which
    /// is sent only if there is a connection after all.
    /// </summary>
    private async Task<Status?> LastConnectFailureAsync()
    {
        if (_channel.State != ConnectivityState.TransientFailure)
        {
            return null;
        }

        try
        {
            var deadline = TimeProvider.System.GetUtcNow().AddSeconds(1).UtcDateTime;
            using var call = _health.CheckAsync(new HealthCheckRequest(), new CallOptions(deadline: deadline));
            await call.ResponseAsync.ConfigureAwait(false);
            return null;
        }
        catch (RpcException e)
        {
            return e.StatusCode == StatusCode.Unavailable ? e.Status : null;
        }
    }
}
