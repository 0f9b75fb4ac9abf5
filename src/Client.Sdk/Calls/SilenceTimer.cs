namespace RouteService.Client.Calls;

/// <summary>Ends a stream that is silent during a wait. For one waiter at a time.</summary>
internal sealed class SilenceTimer : IDisposable
{
    private readonly TimeSpan _silence;
    private readonly ITimer _timer;
    private volatile bool _hasFired;

    /// <param name="clock">Clock that measures silence.</param>
    /// <param name="silence">Longest silence.</param>
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

    /// <summary>Whether the timer has ended the stream.</summary>
    public bool HasFired => _hasFired;

    /// <summary>Call before a wait.</summary>
    public void Start() => _timer.Change(_silence, Timeout.InfiniteTimeSpan);

    /// <summary>Call after a wait.</summary>
    public void Stop() => _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    /// <summary>Resets the timer for another stream.</summary>
    public void Reset() => _hasFired = false;

    public void Dispose() => _timer.Dispose();
}
