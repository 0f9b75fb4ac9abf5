using System.Collections.Concurrent;

namespace RouteService.Api.Errors;

/// <summary>
/// Logs the first of several similar lines, and then one a minute with the count since the last, so that no client can flood the log.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
internal sealed class LogThrottle(TimeProvider clock)
{
    private static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, Line> _lines = new(StringComparer.Ordinal);

    /// <summary>Whether to log a line now.</summary>
    /// <param name="line">Key of similar lines. It is kept, so it must not contain text that a client chooses.</param>
    /// <param name="count">Number of lines since the last one that was logged, this one included.</param>
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
