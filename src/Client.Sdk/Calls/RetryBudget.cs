namespace RouteService.Client.Calls;

/// <summary>
/// Retries that all calls of a client have in reserve. A retry takes one, and each success returns a tenth (after gRFC A6, "Throttling
/// Retry Attempts"): during an outage the client sends little more than its callers ask for.
/// </summary>
internal sealed class RetryBudget(int capacity)
{
    // Counted in tenths, to stay an integer.
    private const int PerRetry = 10;

    private readonly int _full = capacity * PerRetry;
    private int _left = capacity * PerRetry;

    public bool TryTake()
    {
        while (true)
        {
            var left = Volatile.Read(ref _left);
            if (left < PerRetry)
            {
                return false;
            }

            if (Interlocked.CompareExchange(ref _left, left - PerRetry, left) == left)
            {
                return true;
            }
        }
    }

    public void Succeed()
    {
        var left = Volatile.Read(ref _left);
        if (left < _full)
        {
            // A lost race costs a tenth of a retry.
            Interlocked.CompareExchange(ref _left, left + 1, left);
        }
    }
}
