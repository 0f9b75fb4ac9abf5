using System.Diagnostics.CodeAnalysis;
using Grpc.Core;

namespace Grpc.Net.Client.Internal;

/// <summary>
/// Keeps a connection to the first of its peers that takes one: once asked, it tries until it has it. Its state is its balancer's, which holds its
/// lock for whatever has "NeedsLock" in its name.
/// </summary>
[SuppressMessage("Reliability", "CA1001", Justification = "The token source has no timer, and an attempt may still look at its token.")]
internal sealed class Subchannel(Balancer balancer, Peer[] peers, GrpcChannelOptions options)
{
    private readonly CancellationTokenSource _stop = new();
    private readonly ReconnectBackoff _backoff = new(options);
    private long _readySince;
    private int _lostAtOnce;

    public Peer[] Peers => peers;

    public ConnectivityState State { get; private set; }

    /// <summary>Where the connection is, while there is one.</summary>
    public Peer? Current { get; private set; }

    /// <summary>Why there is none, in <see cref="ConnectivityState.TransientFailure"/>.</summary>
    public Status Failure { get; private set; }

    public void Connect_NeedsLock()
    {
        if (State == ConnectivityState.Idle)
        {
            State = ConnectivityState.Connecting;
            _ = ConnectAsync();
        }
    }

    /// <summary>The connection is closed.</summary>
    public void Lose_NeedsLock()
    {
        State = ConnectivityState.Idle;
        Current = null;
        if (options.Clock.GetElapsedTime(_readySince) < options.InitialReconnectBackoff)
        {
            _lostAtOnce++;
        }
        else
        {
            _lostAtOnce = 0;
            _backoff.Reset();
        }
    }

    /// <summary>No more attempts. Calls on its connections run on.</summary>
    public void Stop_NeedsLock()
    {
        State = ConnectivityState.Shutdown;
        Current = null;
        _ = _stop.CancelAsync();
    }

    private async Task ConnectAsync()
    {
        // The caller has the lock.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            while (true)
            {
                var start = options.Clock.GetTimestamp();
                if (await TryConnectAsync().ConfigureAwait(false) is not { } failure)
                {
                    return;
                }

                Set(ConnectivityState.TransientFailure, failure: ResponseStatus.Of(failure));
                var pause = _backoff.Next() - options.Clock.GetElapsedTime(start);
                if (pause > TimeSpan.Zero)
                {
                    await Task.Delay(pause, options.Clock, _stop.Token).ConfigureAwait(false);
                }

                Set(ConnectivityState.Connecting);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
    }

    private async Task<Exception?> TryConnectAsync()
    {
        if (_lostAtOnce > 1 && balancer.KeepsConnections)
        {
            // It takes connections and drops them. The one attempt that is due at once was the last one.
            _lostAtOnce = 1;
            return new IOException("The server closed the last connections as soon as they were open.");
        }

        Exception? failure = null;
        foreach (var peer in peers)
        {
            failure = await peer.ConnectAsync(balancer.Http, options.Clock, _stop.Token).ConfigureAwait(false);
            if (failure is null && Set(ConnectivityState.Ready, peer))
            {
                return null;
            }

            failure ??= peer.Refusal ?? new IOException($"{peer.Address.Authority} closed the connection as soon as it was open.");
        }

        return failure;
    }

    /// <summary>False where what is to be the case no longer is.</summary>
    private bool Set(ConnectivityState state, Peer? current = null, Status failure = default)
    {
        lock (balancer.Lock)
        {
            if (State == ConnectivityState.Shutdown || current is { IsOpen: false })
            {
                return false;
            }

            State = state;
            Current = current;
            Failure = failure;
            if (state == ConnectivityState.Ready)
            {
                _readySince = options.Clock.GetTimestamp();
                if (!balancer.KeepsConnections)
                {
                    _backoff.Reset();
                }
            }

            balancer.OnChanged_NeedsLock(failed: state == ConnectivityState.TransientFailure);
            return true;
        }
    }
}
