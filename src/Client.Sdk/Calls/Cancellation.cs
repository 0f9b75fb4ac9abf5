namespace RouteService.Client.Calls;

/// <summary>Who may cancel a call: its caller, and whoever waits for the call that is served meanwhile (<see cref="AmbientDeadline"/>).</summary>
internal readonly struct Cancellation : IDisposable
{
    private readonly CancellationToken _caller;
    private readonly CancellationToken _served;
    private readonly CancellationTokenSource? _either;

    /// <summary>Of a call that is made here.</summary>
    public Cancellation(CancellationToken caller)
    {
        _caller = caller;
        _served = AmbientDeadline.Current?.CancellationToken ?? default;
        _either = caller.CanBeCanceled && _served.CanBeCanceled ? CancellationTokenSource.CreateLinkedTokenSource(caller, _served) : null;
    }

    /// <summary>Fires when one of them cancels.</summary>
    public CancellationToken Token => _either?.Token ?? (_caller.CanBeCanceled ? _caller : _served);

    public bool IsRequested => _caller.IsCancellationRequested || _served.IsCancellationRequested;

    /// <summary>What the end of a cancelled call is to its caller.</summary>
    public OperationCanceledException ToException(Exception failure) => _caller.IsCancellationRequested
        ? new OperationCanceledException("The call was cancelled by its caller.", failure, _caller)
        : new OperationCanceledException("The call that this one was made for is over.", failure, _served);

    public void Dispose() => _either?.Dispose();
}
