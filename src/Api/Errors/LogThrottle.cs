using System.Collections.Concurrent;

namespace RouteService.Api.Errors;

/// <summary>
/// Lets the first of lines that are alike into the log, and then one a minute with the count of all since: no client can flood the log.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
internal sealed class LogThrottle(TimeProvider clock)
{
    private static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, Line> _lines = new(StringComparer.Ordinal);

    /// <summary>Whether a line is to be logged now.</summary>
    /// <param name="line">What the lines that are alike have in common. It is kept, so it has nothing that a client chooses.</param>
    /// <param name="count">How many there were since the last that was logged, with this one.</param>
    public bool IsDue(string line, out int count) => _lines.GetOrAdd(line, static _ => new Line()).IsDue(clock, out count);

    private sealed class Line
    {
        private readonly Lock _gate = new();
        private long? _logged;
        private int _count;

        public bool IsDue(TimeProvider clock, out int count)
        {
            lock (_gate)
            {
                count = ++_count;
                if (_logged is { } logged && clock.GetElapsedTime(logged) < Period)
                {
                    return false;
                }

                (_logged, _count) = (clock.GetTimestamp(), 0);
                return true;
            }
        }
    }
}
