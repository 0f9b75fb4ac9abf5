using System.Threading.RateLimiting;

namespace RouteService.Api.Security;

/// <summary>A bucket of tokens for each client, one taken by each call. Buckets of clients that rest are dropped.</summary>
internal sealed class CallLimiter : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private readonly PartitionedRateLimiter<string>? _buckets;

    public CallLimiter(LimitOptions options)
    {
        if (options.CallsPerSecond == 0)
        {
            return;
        }

        var bucket = new TokenBucketRateLimiterOptions
        {
            TokensPerPeriod = options.CallsPerSecond,
            TokenLimit = options.CallBurst > 0 ? options.CallBurst : options.CallsPerSecond,
            ReplenishmentPeriod = Period,
        };
        _buckets = PartitionedRateLimiter.Create<string, string>(client => RateLimitPartition.GetTokenBucketLimiter(client, _ => bucket), StringComparer.Ordinal);
    }

    /// <summary>Takes a call's token.</summary>
    /// <param name="client">Whose.</param>
    /// <param name="retryAfter">When there is none: how long until there may be.</param>
    public bool TryTake(string client, out TimeSpan retryAfter)
    {
        retryAfter = TimeSpan.Zero;
        if (_buckets is null)
        {
            return true;
        }

        using var lease = _buckets.AttemptAcquire(client);
        if (!lease.IsAcquired)
        {
            retryAfter = lease.TryGetMetadata(MetadataName.RetryAfter, out var wait) ? wait : Period;
        }

        return lease.IsAcquired;
    }

    public void Dispose() => _buckets?.Dispose();
}
