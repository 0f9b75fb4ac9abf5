using Grpc.Core;
using Grpc.Net.Client.Configuration;

namespace Grpc.Net.Client.Internal;

/// <summary>
/// The connections of a channel, and the choice of one for each call. It holds one <see cref="Subchannel"/> of all addresses (pick_first), which
/// connects when it is needed, or one of each (round_robin), which connect and stay so. Where the addresses come from is in Balancer.Resolve.cs.
/// </summary>
internal sealed partial class Balancer : IDisposable
{
    private readonly ChannelTarget _target;
    private readonly GrpcChannelOptions _options;
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, Peer> _peers = new(StringComparer.Ordinal);
    private Subchannel[] _subchannels = [];
    private Peer[] _wanted = [];

    // Read without the lock, by every call.
    private volatile Peer[] _ready = [];
    private uint _turn;

    // How often all that could be tried has failed, and how the last time: a call that waits must not miss it because the next try has begun.
    private int _failures;
    private Status _failure;
    private TaskCompletionSource _changed = NewSignal();

    private Balancer(ChannelTarget target, GrpcChannelOptions options, HttpMessageInvoker http, bool keepsConnections)
    {
        _target = target;
        _options = options;
        _turn = (uint)(options.Random() * uint.MaxValue);
        Http = http;
        KeepsConnections = keepsConnections;
        if (!target.IsResolved)
        {
            Use([target.Address]);
        }
    }

    public Lock Lock { get; } = new();

    /// <summary>Makes connections: the handler below any that the user has put around it.</summary>
    public HttpMessageInvoker Http { get; }

    /// <summary>Whether a connection that is lost is made again at once (round_robin), rather than for the next call (pick_first).</summary>
    public bool KeepsConnections { get; }

    public ConnectivityState State { get; private set; }

    /// <summary>How all that could be tried has failed the last time; OK where it never has.</summary>
    public Status LastFailure
    {
        get
        {
            lock (Lock)
            {
                return _failure;
            }
        }
    }

    /// <summary>Puts itself under the calls of a handler; null where it cannot see, or not steer, the handler's connections.</summary>
    /// <exception cref="InvalidOperationException">None of the load-balancing policies that the options name is known.</exception>
    public static Balancer? TryCreate(ChannelTarget target, GrpcChannelOptions options, HttpMessageHandler handler)
    {
        var keepsConnections = IsRoundRobin(options.ServiceConfig);
        if (SocketsOf(handler) is not { ConnectCallback: null, PlaintextStreamFilter: null } sockets
            || options.HttpVersion is not (null or { Major: 2, Minor: 0 })
            || options.HttpVersionPolicy is not (null or HttpVersionPolicy.RequestVersionExact))
        {
            return null;
        }

        var balancer = new Balancer(target, options, new HttpMessageInvoker(sockets, disposeHandler: false), keepsConnections);
        try
        {
            sockets.PlaintextStreamFilter = (context, _) => balancer.WatchAsync(context);
        }
        catch (InvalidOperationException)
        {
            // The handler has made requests, or is disposed of.
            return null;
        }

        return balancer;
    }

    /// <summary>The address for the next call.</summary>
    /// <exception cref="RpcException">None can be reached, and the call does not wait until one can.</exception>
    public ValueTask<Peer> PickAsync(bool waitForReady, CancellationToken cancellationToken)
    {
        var ready = _ready;
        return ready.Length == 0 ? new(WaitForPeerAsync(waitForReady, cancellationToken)) : new(NextOf(ready));
    }

    /// <summary>Completes when the state has been Ready.</summary>
    public async Task ConnectAsync(CancellationToken cancellationToken) => await PickAsync(waitForReady: true, cancellationToken).ConfigureAwait(false);

    public async Task WaitForStateChangedAsync(ConnectivityState lastObserved, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed;
            lock (Lock)
            {
                if (State != lastObserved)
                {
                    return;
                }

                changed = _changed.Task;
            }

            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public void Dispose()
    {
        lock (Lock)
        {
            foreach (var subchannel in _subchannels)
            {
                subchannel.Stop_NeedsLock();
            }

            _subchannels = [];
            State = ConnectivityState.Shutdown;

            // Not here, where the lock is held: what it stops belongs to HTTP, which has locks of its own.
            _ = _stop.CancelAsync();
            OnChanged_NeedsLock(failed: false);
        }
    }

    /// <summary>A subchannel has another state, or there are others.</summary>
    public void OnChanged_NeedsLock(bool failed)
    {
        _ready = [.. _subchannels.Where(static subchannel => subchannel.Current is not null).Select(static subchannel => subchannel.Current!)];
        if (State != ConnectivityState.Shutdown)
        {
            State = StateOfAll();
        }

        if (State == ConnectivityState.TransientFailure)
        {
            _failures++;
            _failure = _subchannels is [.., var last] ? last.Failure : _resolveFailure;
        }

        if (failed)
        {
            // The address may have moved.
            _resolveAgain.TrySetResult();
        }

        _changed.TrySetResult();
        _changed = NewSignal();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static bool IsRoundRobin(ServiceConfig? config)
    {
        if (config is null || config.LoadBalancingConfigs.Count == 0)
        {
            return false;
        }

        return config.LoadBalancingConfigs.Select(static policy => policy.PolicyName)
            .FirstOrDefault(static name => name is LoadBalancingConfig.PickFirstPolicyName or LoadBalancingConfig.RoundRobinPolicyName) is { } known
            ? known is LoadBalancingConfig.RoundRobinPolicyName
            : throw new InvalidOperationException(
                $"No load-balancing policy of {string.Join(", ", config.LoadBalancingConfigs.Select(static policy => policy.PolicyName))} is known here; "
                + $"these are: {LoadBalancingConfig.PickFirstPolicyName}, {LoadBalancingConfig.RoundRobinPolicyName}.");
    }

    private static SocketsHttpHandler? SocketsOf(HttpMessageHandler? handler) => handler switch
    {
        SocketsHttpHandler sockets => sockets,
        DelegatingHandler outer => SocketsOf(outer.InnerHandler),
        _ => null,
    };

    private Peer NextOf(Peer[] ready) => ready.Length == 1 ? ready[0] : ready[Interlocked.Increment(ref _turn) % (uint)ready.Length];

    private async Task<Peer> WaitForPeerAsync(bool waitForReady, CancellationToken cancellationToken)
    {
        int? failures = null;
        while (true)
        {
            Task changed;
            lock (Lock)
            {
                if (_ready is { Length: > 0 } ready)
                {
                    return NextOf(ready);
                }

                Connect_NeedsLock();
                if (!waitForReady && (State == ConnectivityState.TransientFailure || _failures != (failures ??= _failures)))
                {
                    throw new RpcException(_failure);
                }

                ObjectDisposedException.ThrowIf(State == ConnectivityState.Shutdown, typeof(GrpcChannel));
                changed = _changed.Task;
            }

            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private void Connect_NeedsLock()
    {
        if (State != ConnectivityState.Idle)
        {
            return;
        }

        if (_target.IsResolved)
        {
            StartResolving_NeedsLock();
        }

        foreach (var subchannel in _subchannels)
        {
            subchannel.Connect_NeedsLock();
        }

        OnChanged_NeedsLock(failed: false);
    }

    /// <summary>Takes over the addresses of the target, in order of preference. What is connected and still among them stays so.</summary>
    private void Use(IReadOnlyList<Uri> addresses)
    {
        lock (Lock)
        {
            if (State == ConnectivityState.Shutdown)
            {
                return;
            }

            // An address that comes back finds the connections it still has.
            _wanted =
            [
                .. addresses.DistinctBy(static address => address.Authority, StringComparer.Ordinal)
                    .Select(address => _peers.GetValueOrDefault(address.Authority) ?? NewPeer(address)),
            ];
            foreach (var gone in _peers.Values.Where(peer => !_wanted.Contains(peer) && !peer.IsOpen).ToArray())
            {
                _peers.Remove(gone.Address.Authority);
            }

            var connect = State != ConnectivityState.Idle;
            var before = _subchannels;
            _subchannels = KeepsConnections
                ? [.. _wanted.Select(peer => Find(before, [peer]) ?? NewSubchannel([peer]))]
                : [Find(before, _wanted) ?? NewSubchannel(_wanted)];
            foreach (var subchannel in before.Except(_subchannels))
            {
                subchannel.Stop_NeedsLock();
            }

            if (connect)
            {
                foreach (var subchannel in _subchannels)
                {
                    subchannel.Connect_NeedsLock();
                }
            }

            OnChanged_NeedsLock(failed: false);
        }
    }

    private static Subchannel? Find(Subchannel[] subchannels, Peer[] peers) =>
        subchannels.FirstOrDefault(subchannel => subchannel.Peers.SequenceEqual(peers) || peers.Contains(subchannel.Current));

    private Subchannel NewSubchannel(Peer[] peers) => new(this, peers, _options);

    private Peer NewPeer(Uri address)
    {
        // HTTP takes a certificate's name, and the authority, from the host of a request where it has one.
        var peer = new Peer(address, _target.IsResolved ? _target.Address.Authority : null) { Lost = OnLost };
        _peers.Add(address.Authority, peer);
        return peer;
    }

    private ValueTask<Stream> WatchAsync(SocketsHttpPlaintextStreamFilterContext context)
    {
        Peer? peer;
        lock (Lock)
        {
            // Not of this channel where the handler serves others, too.
            peer = context.InitialRequestMessage.RequestUri is { } uri ? _peers.GetValueOrDefault(uri.Authority) : null;
        }

        return peer?.WatchAsync(context.PlaintextStream) ?? new(context.PlaintextStream);
    }

    private void OnLost(Peer peer)
    {
        lock (Lock)
        {
            if (peer.IsOpen || _subchannels.FirstOrDefault(subchannel => subchannel.Current == peer) is not { } subchannel)
            {
                return;
            }

            subchannel.Lose_NeedsLock();
            if (KeepsConnections)
            {
                subchannel.Connect_NeedsLock();
            }
            else if (!subchannel.Peers.SequenceEqual(_wanted))
            {
                // It has outlived the addresses it was made for.
                subchannel.Stop_NeedsLock();
                _subchannels = [NewSubchannel(_wanted)];
            }

            OnChanged_NeedsLock(failed: true);
        }
    }

    private ConnectivityState StateOfAll() => _subchannels.Length == 0
        ? StateOfResolution()
        : Any(ConnectivityState.Ready) ?? Any(ConnectivityState.Connecting) ?? Any(ConnectivityState.Idle) ?? ConnectivityState.TransientFailure;

    private ConnectivityState? Any(ConnectivityState state) => Array.Exists(_subchannels, subchannel => subchannel.State == state) ? state : null;
}
