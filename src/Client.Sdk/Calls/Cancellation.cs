namespace RouteService.Client.Calls;

/// <summary>
/// Cancellation of a call by its caller, or by the end of the call being served meanwhile (<see cref="AmbientDeadline"/>).
/// </summary>
internal readonly struct Cancellation : IDisposable
{
    private readonly CancellationToken _caller;
    private readonly CancellationToken _served;
    private readonly CancellationTokenSource? _either;

    /// <summary>For a call that starts now.</summary>
    public Cancellation(CancellationToken caller)
    {
        _caller = caller;
        _served = AmbientDeadline.Current?.CancellationToken ?? default;
        _either = caller.CanBeCanceled && _served.CanBeCanceled ? CancellationTokenSource.CreateLinkedTokenSource(caller, _served) : null;
    }

    /// <summary>Cancelled when either of them cancels.</summary>
    public CancellationToken Token => _either?.Token ?? (_caller.CanBeCanceled ? _caller : _served);

    public bool IsRequested => _caller.IsCancellationRequested || _served.IsCancellationRequested;

    /// <summary>The exception that a cancelled call throws.</summary>
    public OperationCanceledException ToException(Exception failure) => _caller.IsCancellationRequested
        ? new OperationCanceledException("The call was cancelled by its caller.", failure, _caller)
        : new OperationCanceledException("The call that this one was made for is over.", failure, _served);

    public void Dispose() => _either?.Dispose();
}
