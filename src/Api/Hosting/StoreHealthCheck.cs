using System.Diagnostics;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Api.Hosting;

/// <summary>Ready means that the store answers.</summary>
internal sealed class StoreHealthCheck(IFeatureStore features) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        // Not recorded, and so is no query below it: that somebody asks for our health is in no trace.
        using var probe = new Activity("health").Start();
        try
        {
            await features.FindAsync(default(Coordinate), cancellationToken);
            return HealthCheckResult.Healthy();
        }
        catch (StoreUnavailableException e)
        {
            return HealthCheckResult.Unhealthy(e.Message);
        }
    }
}
