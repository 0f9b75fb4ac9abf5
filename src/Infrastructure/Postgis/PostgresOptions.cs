using System.ComponentModel.DataAnnotations;

namespace RouteService.Infrastructure.Postgis;

/// <summary>The PostGIS store. Where the database is and how it is reached is the connection string's to say.</summary>
public sealed class PostgresOptions
{
    /// <summary>Whether the service brings the schema up to date when it starts, rather than wait for the <c>migrate</c> command.</summary>
    public bool MigrateOnStart { get; init; }

    /// <summary>The most look-ups of GetFeature that share one query; 1 for a query each.</summary>
    [Range(1, 10_000)]
    public int MaxLookUpBatch { get; init; } = 256;

    /// <summary>
    /// How long notes may be impossible to write, as during a failover, before gRPC health of routeguide.RouteGuide says so. Default 10 s;
    /// zero for at once. A service that has never been able to write says so at once.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan WriteOutageTolerance { get; init; } = TimeSpan.FromSeconds(10);
}
