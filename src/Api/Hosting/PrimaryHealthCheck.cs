using System.Diagnostics;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using RouteService.Domain.Features;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Api.Hosting;

/// <summary>Healthy means that notes can be written. After a failover it finds the new primary, before a caller fails.</summary>
internal sealed class PrimaryHealthCheck(PostgisDatabase database) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        // Not recorded, as in StoreHealthCheck.
        using var probe = new Activity("health").Start();
        try
        {
            await database.CheckWritableAsync(cancellationToken);
            return HealthCheckResult.Healthy();
        }
        catch (StoreUnavailableException e)
        {
            return HealthCheckResult.Unhealthy(e.Message);
        }
    }
}
