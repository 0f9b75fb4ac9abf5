using System.Diagnostics.CodeAnalysis;
using System.Net.Sockets;
using Grpc.Core;

namespace Grpc.Net.Client.Internal;

/// <summary>Finds the addresses of a dns target: with the first call, when a connection fails or is lost, and from time to time.</summary>
internal sealed partial class Balancer
{
    /// <summary>The least time from one answer to the next question.</summary>
    public static readonly TimeSpan MinResolveInterval = TimeSpan.FromSeconds(5);

    private TaskCompletionSource _resolveAgain = NewSignal();
    private Status _resolveFailure;
    private bool _resolving;

    private void StartResolving_NeedsLock()
    {
        if (!_resolving)
        {
            _resolving = true;
            _ = ResolveAsync();
        }
    }

    private ConnectivityState StateOfResolution() =>
        _resolveFailure.StatusCode != StatusCode.OK ? ConnectivityState.TransientFailure
        : _resolving ? ConnectivityState.Connecting
        : ConnectivityState.Idle;

    private async Task ResolveAsync()
    {
        // The caller has the lock.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var backoff = new ReconnectBackoff(_options);
        try
        {
            while (true)
            {
                if (await TryResolveAsync().ConfigureAwait(false))
                {
                    backoff.Reset();
                    await Task.Delay(MinResolveInterval, _options.Clock, _stop.Token).ConfigureAwait(false);
                    await _resolveAgain.Task.WaitAsync(RestOfInterval(), _options.Clock, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    _stop.Token.ThrowIfCancellationRequested();
                }
                else
                {
                    await Task.Delay(backoff.Next(), _options.Clock, _stop.Token).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
    }

    private TimeSpan RestOfInterval() =>
        _options.DnsRefreshInterval is var interval && interval == Timeout.InfiniteTimeSpan ? interval
        : interval > MinResolveInterval ? interval - MinResolveInterval
        : TimeSpan.Zero;

    [SuppressMessage("Design", "CA1031", Justification = "Whatever fails it, the addresses known so far stay, and the question is asked again.")]
    private async Task<bool> TryResolveAsync()
    {
        lock (Lock)
        {
            _resolveAgain = NewSignal();
        }

        try
        {
            var found = await _options.Resolve(_target.Address.IdnHost, _stop.Token).ConfigureAwait(false);
            if (found.Length == 0)
            {
                throw new SocketException((int)SocketError.HostNotFound);
            }

            Use([.. found.Select(address => new UriBuilder(_target.Address) { Host = address.ToString() }.Uri)]);
            return true;
        }
        catch (Exception e) when (!_stop.IsCancellationRequested)
        {
            lock (Lock)
            {
                _resolveFailure = new Status(StatusCode.Unavailable, $"The addresses of {_target.Address.IdnHost} cannot be found: {e.Message}", e);
                OnChanged_NeedsLock(failed: false);
            }

            return false;
        }
    }
}
