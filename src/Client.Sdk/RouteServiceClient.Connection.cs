using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;
using RouteService.Client.Calls;
using RouteService.Client.Chat;

namespace RouteService.Client;

/// <content>The connections and the end of a client.</content>
public sealed partial class RouteServiceClient
{
    /// <summary>State of the connections.</summary>
    /// <exception cref="InvalidOperationException">
    /// The connections cannot be observed: <see cref="RouteServiceClientOptions.ConfigureHandler"/> has returned a handler that hides them,
    /// they go through a proxy, or the client was created with a <see cref="CallInvoker"/>.
    /// </exception>
    public ConnectionState State => _isDisposed ? ConnectionState.Shutdown : (ConnectionState)Channel.State;

    private GrpcChannel Channel =>
        _channel ?? throw new InvalidOperationException("The client was created with a CallInvoker, whose connections are unknown.");

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
        var channel = Channel;
        var options = _context.Options;
        using var late = new CancellationTokenSource(options.Timeout, options.Clock);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        try
        {
            // The channel ignores the token while it resolves a host.
            await channel.ConnectAsync(over.Token).WaitAsync(over.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (_isDisposed)
        {
            throw new ObjectDisposedException($"{nameof(RouteServiceClient)} has been disposed of.", e);
        }
        catch (OperationCanceledException e) when (late.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            var why = await LastConnectFailureAsync(channel).ConfigureAwait(false);
            var detail = FormattableString.Invariant(
                $"There is no connection to {_target} after {options.Timeout.TotalSeconds} s. {why?.Detail}");
            var status = new Status(StatusCode.Unavailable, detail.TrimEnd(), why?.DebugException ?? e);
            throw CallFailure.ToException("ConnectAsync", new RpcException(status), attempts: 0);
        }
    }

    /// <summary>
    /// Cancels the calls in flight, which then throw <see cref="ObjectDisposedException"/>, ends the chat sessions, and closes the
    /// connections.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var session in Close())
        {
            await session.DisposeAsync().ConfigureAwait(false);
        }

        await _disposal.CancelAsync().ConfigureAwait(false);
        DisposeOwnChannel();
    }

    /// <summary>As <see cref="DisposeAsync"/>, without waiting for the chat sessions.</summary>
    public void Dispose()
    {
        foreach (var session in Close())
        {
            session.Stop();
        }

        _disposal.Cancel();
        DisposeOwnChannel();
    }

    /// <returns>The sessions that are open.</returns>
    private ChatSession[] Close()
    {
        lock (_sessions)
        {
            _isDisposed = true;
            return [.. _sessions];
        }
    }

    private void DisposeOwnChannel()
    {
        if (_ownsChannel)
        {
            _channel!.Dispose();
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
    private async Task<Status?> LastConnectFailureAsync(GrpcChannel channel)
    {
        if (channel.State != ConnectivityState.TransientFailure)
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
        catch (Exception e) when (e is RpcException or OperationCanceledException)
        {
            return e is RpcException { StatusCode: StatusCode.Unavailable } unavailable ? unavailable.Status : null;
        }
    }
}
