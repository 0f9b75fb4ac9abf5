using System.Threading.RateLimiting;
using RouteService.Api.Security;

namespace RouteService.Api.Features;

/// <summary>
/// Lets one client have two imports under way, so that others find one of the few places of the store. Its further imports wait.
/// </summary>
internal sealed class ImportTurns : IDisposable
{
    private static readonly ConcurrencyLimiterOptions TwoAtOnce = new() { PermitLimit = 2, QueueLimit = int.MaxValue };

    private readonly PartitionedRateLimiter<HttpContext> _turns = PartitionedRateLimiter.Create<HttpContext, string>(
        static context => RateLimitPartition.GetConcurrencyLimiter(context.ClientIdentity(), static _ => TwoAtOnce),
        StringComparer.Ordinal);

    /// <summary>Waits for a turn of the client. Its disposal lets the next import begin.</summary>
    public ValueTask<RateLimitLease> WaitAsync(HttpContext context, CancellationToken cancellationToken) =>
        _turns.AcquireAsync(context, permitCount: 1, cancellationToken);

    public void Dispose() => _turns.Dispose();
}
