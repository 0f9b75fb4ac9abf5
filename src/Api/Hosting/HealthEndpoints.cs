using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using RouteService.Api.Telemetry;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Api.Hosting;

/// <summary>Health, by gRPC on the gRPC port and by HTTP on the management port.</summary>
internal static class HealthEndpoints
{
    /// <summary>Tag of the checks for readiness.</summary>
    public const string Ready = "ready";

    /// <summary>Tag of the checks for writing. Readiness does not require them: a service on a standby is ready.</summary>
    public const string Writes = "writes";

    /// <summary>Tag of the check that is unhealthy during the shutdown only.</summary>
    public const string Running = "running";

    // Interval of the checks for watchers of health and for the metrics.
    private static readonly TimeSpan WatchPeriod = TimeSpan.FromSeconds(5);

    public static void AddHealth(this IServiceCollection services)
    {
        services.Configure<HealthCheckPublisherOptions>(static options => options.Period = WatchPeriod);
        var checks = services.AddGrpcHealthChecks(static options =>
        {
            foreach (var service in (string[])["helloworld.Greeter", "HelloService"])
            {
                options.Services.Map(service, static check => check.Tags.Contains(Running, StringComparer.Ordinal));
            }

            options.Services.Map("", static check => !check.Tags.Contains(Writes, StringComparer.Ordinal));
            foreach (var service in (string[])["routeguide.RouteGuide", "routeservice.v1.Features"])
            {
                options.Services.Map(service, static check =>
                    check.Tags.Contains(Ready, StringComparer.Ordinal) || check.Tags.Contains(Writes, StringComparer.Ordinal));
            }
        });
        checks.AddStoreCheck("reads", Ready, static provider =>
        {
            var features = provider.GetRequiredService<IFeatureStore>();
            return async cancellationToken => await features.FindAsync(default(Coordinate), cancellationToken);
        });
    }

    public static void MapHealth(this WebApplication app, bool anonymous)
    {
        // A refused probe would take the service down for all clients.
        var health = app.MapGrpcHealthChecksService().DisableRateLimiting();
        if (anonymous)
        {
            health.AllowAnonymous();
        }

        // Liveness does not depend on the store: a restart does not help against a database that is down.
        Map("/healthz/live", static _ => false);
        Map("/healthz/startup", static _ => false);
        Map("/healthz/ready", static check => check.Contains(Ready));

        // On the management port alone: the gRPC port has limits and credentials, which they are exempt from.
        void Map(string path, Func<ISet<string>, bool> tags) => app
            .MapHealthChecks(path, new HealthCheckOptions { Predicate = check => tags(check.Tags) })
            .DisableRateLimiting()
            .DisableHttpMetrics()
            .Finally(static endpoint =>
            {
                var check = endpoint.RequestDelegate!;
                endpoint.RequestDelegate = http =>
                {
                    if (http.Features.Get<ManagementConnection>() is not null)
                    {
                        return check(http);
                    }

                    http.Response.StatusCode = StatusCodes.Status404NotFound;
                    return Task.CompletedTask;
                };
            });
    }
}
