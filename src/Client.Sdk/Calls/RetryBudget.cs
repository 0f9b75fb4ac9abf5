namespace RouteService.Client.Calls;

/// <summary>
/// The retries that all calls of a client have in store. A retry takes one, and each success gives a tenth back (after gRFC A6, "Throttling Retry Attempts"): while
/// the service is out, the client sends little more than its callers ask for.
/// </summary>
internal sealed class RetryBudget(int capacity)
{
    // In tenths, so that it is whole.
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
            // One that is lost in a race is a tenth of a retry.
            Interlocked.CompareExchange(ref _left, left + 1, left);
        }
    }
}
