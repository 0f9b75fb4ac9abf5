namespace RouteService.Client.Calls;

/// <summary>Ends a stream that is silent during a wait. For one waiter at a time.</summary>
/// <remarks>Waits are many and short, so they do not reset the timer: it checks once a period whether a wait is in progress.</remarks>
internal sealed class SilenceTimer : IDisposable
{
    private readonly TimeProvider _clock;
    private readonly TimeSpan _silence;
    private readonly Action _end;
    private readonly ITimer _timer;
    private volatile bool _hasFired;

    // Timestamp of the wait's beginning; 0 for no wait.
    private long _since;

    /// <param name="clock">Clock that measures silence.</param>
    /// <param name="silence">Longest silence.</param>
    /// <param name="end">Ends the stream; called from any thread.</param>
    public SilenceTimer(TimeProvider clock, TimeSpan silence, Action end)
    {
        _clock = clock;
        _silence = silence;
        _end = end;
        _timer = clock.CreateTimer(
            static timer => ((SilenceTimer)timer!).Check(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        Reset();
    }

    /// <summary>Whether the timer has ended the stream.</summary>
    public bool HasFired => _hasFired;

    /// <summary>Call before a wait.</summary>
    public void Start() => Volatile.Write(ref _since, _clock.GetTimestamp());

    /// <summary>Call after a wait.</summary>
    public void Stop() => Volatile.Write(ref _since, 0);

    /// <summary>Resets the timer for another stream.</summary>
    public void Reset()
    {
        _hasFired = false;
        Stop();
        _timer.Change(_silence, Timeout.InfiniteTimeSpan);
    }

    public void Dispose() => _timer.Dispose();

    private void Check()
    {
        var since = Volatile.Read(ref _since);
        var left = since == 0 ? _silence : _silence - _clock.GetElapsedTime(since);
        if (left > TimeSpan.Zero)
        {
            _timer.Change(left, Timeout.InfiniteTimeSpan);
            return;
        }

        _hasFired = true;
        _end();
    }
}
