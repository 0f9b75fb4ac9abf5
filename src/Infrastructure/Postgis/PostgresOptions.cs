using System.ComponentModel.DataAnnotations;
using Npgsql;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// The PostGIS store. The connection string says where the database is; <see cref="ConnectionDefaults"/> has what it leaves out, such as
/// the size of the pool.
/// </summary>
public sealed class PostgresOptions
{
    /// <summary>Whether the service migrates the schema when it starts, instead of waiting for the <c>migrate</c> command.</summary>
    public bool MigrateOnStart { get; init; }

    /// <summary>Limit of the look-ups of GetFeature that share one query; 1 for a query each.</summary>
    [Range(1, 10_000)]
    public int MaxLookUpBatch { get; init; } = 256;

    /// <summary>
    /// Time for which writes of notes may fail, as during a failover, before gRPC health of RouteGuide and Features is NOT_SERVING. Default
    /// 10 s; zero for at once. A service that has never been able to write is NOT_SERVING at once.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan WriteOutageTolerance { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The settings of connections and of their pool, unless the connection string sets them.</summary>
    internal static NpgsqlConnectionStringBuilder ConnectionDefaults() => new()
    {
        ApplicationName = "route-service",

        // Room for four replicas in PostgreSQL's default of 100 connections.
        MaxPoolSize = 20,

        // Seconds. A call that waits for a database holds its client up, so waits are short: for a connection, new or from the pool, for an
        // answer, and, in milliseconds, for the end of a query that was cancelled.
        Timeout = 5,
        CommandTimeout = 10,
        CancellationTimeout = 1_000,

        // A connection prepares a statement on its second use.
        MaxAutoPrepare = 20,
        AutoPrepareMinUsages = 2,

        // Seconds between checks of an idle connection.
        KeepAlive = 30,

        // We leave no state in a session, and a reset would cost as much as a look-up.
        NoResetOnClose = true,

        // The runtime image has no library for GSSAPI, and each connection would look for one.
        GssEncryptionMode = GssEncryptionMode.Disable,
    };
}
