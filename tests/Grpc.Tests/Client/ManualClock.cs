namespace Grpc.Tests.Client;

/// <summary>Time that passes when a test says so.</summary>
internal sealed class ManualClock : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly List<ManualTimer> _timers = [];
    private readonly List<(int Timers, TaskCompletionSource Set)> _waiting = [];
    private DateTimeOffset _now = new(2026, 11, 23, 12, 0, 0, TimeSpan.Zero);

    /// <summary>Timers that are set and have not fired.</summary>
    public int Running
    {
        get
        {
            lock (_lock)
            {
                return _timers.Count(static timer => timer.Due is not null);
            }
        }
    }

    /// <summary>Completes when that many timers, or more, are set.</summary>
    public Task WhenRunning(int timers)
    {
        lock (_lock)
        {
            if (_timers.Count(static timer => timer.Due is not null) >= timers)
            {
                return Task.CompletedTask;
            }

            var set = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Add((timers, set));
            return set.Task.WaitAsync(TimeSpan.FromSeconds(30));
        }
    }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public DateTime Now => GetUtcNow().UtcDateTime;

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
        {
            return _now;
        }
    }

    public override long GetTimestamp() => GetUtcNow().Ticks;

    public void Advance(TimeSpan time)
    {
        List<ManualTimer> fired;
        lock (_lock)
        {
            _now += time;
            fired = [.. _timers.Where(timer => timer.Due <= _now)];
            fired.ForEach(static timer => timer.Due = null);
        }

        fired.ForEach(static timer => timer.Fire());
    }

    /// <summary>Time passes, and the timers are late.</summary>
    public void Stall(TimeSpan time)
    {
        lock (_lock)
        {
            _now += time;
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ManualTimer(this, callback, state);
        lock (_lock)
        {
            _timers.Add(timer);
        }

        timer.Change(dueTime, period);
        return timer;
    }

    private sealed class ManualTimer(ManualClock clock, TimerCallback callback, object? state) : ITimer
    {
        public DateTimeOffset? Due { get; set; }

        public void Fire() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (clock._lock)
            {
                Due = dueTime == Timeout.InfiniteTimeSpan ? null : clock._now + dueTime;
                var running = clock._timers.Count(static timer => timer.Due is not null);
                clock._waiting.RemoveAll(waiting => waiting.Timers <= running && waiting.Set.TrySetResult());
                return clock._timers.Contains(this);
            }
        }

        public void Dispose()
        {
            lock (clock._lock)
            {
                clock._timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
