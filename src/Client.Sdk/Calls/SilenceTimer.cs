namespace RouteService.Client.Calls;

/// <summary>Ends a stream on which nothing comes while something is waited for. For one waiter at a time.</summary>
internal sealed class SilenceTimer : IDisposable
{
    private readonly TimeSpan _silence;
    private readonly ITimer _timer;
    private volatile bool _hasFired;

    /// <param name="clock">What silence is measured by.</param>
    /// <param name="silence">How long it may be.</param>
    /// <param name="end">Ends the stream; called from any thread.</param>
    public SilenceTimer(TimeProvider clock, TimeSpan silence, Action end)
    {
        _silence = silence;
        _timer = clock.CreateTimer(
            _ =>
            {
                _hasFired = true;
                end();
            },
            null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Whether it has ended the stream.</summary>
    public bool HasFired => _hasFired;

    /// <summary>Before a wait.</summary>
    public void Start() => _timer.Change(_silence, Timeout.InfiniteTimeSpan);

    /// <summary>After it.</summary>
    public void Stop() => _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    /// <summary>For another stream.</summary>
    public void Reset() => _hasFired = false;

    public void Dispose() => _timer.Dispose();
}
