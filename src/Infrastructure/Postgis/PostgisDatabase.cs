using System.Net.Sockets;
using Npgsql;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// The connections to PostgreSQL. Only this class knows hosts, pools, retries, and what a fault of the database means to a caller.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public sealed class PostgisDatabase : IAsyncDisposable
{
    // Defaults that the connection string can override. Waits are short, because a call that waits for a database holds its client up: five
    // seconds for a connection, new or from the pool, and ten for an answer. The pool leaves room for four replicas in PostgreSQL's default
    // of 100 connections. A connection prepares a statement on its second use and returns to the pool without a reset: we leave no state in
    // a session, and the reset would cost as much as a look-up. Idle connections are checked every 30 seconds.
    private const string Defaults =
        "Application Name=route-service;Timeout=5;Command Timeout=10;Cancellation Timeout=1000;Maximum Pool Size=20;"
        + "Max Auto Prepare=20;Auto Prepare Min Usages=2;Keepalive=30;No Reset On Close=true;";

    // db.client.connection.pool.name of the metrics.
    private const string PoolName = "routeservice";

    private readonly NpgsqlDataSource _reads;
    private readonly NpgsqlDataSource _unpooled;

    /// <param name="connectionString">
    /// Npgsql's. With several hosts, writes go to the primary, and reads to the hosts that "Target Session Attributes" allows.
    /// </param>
    /// <exception cref="ArgumentException">The connection string cannot be understood; says which part.</exception>
    public PostgisDatabase(string connectionString)
    {
        var builder = new NpgsqlDataSourceBuilder(Defaults + connectionString) { Name = PoolName };
        if (builder.ConnectionStringBuilder.Host is not { Length: > 0 } host)
        {
            throw new ArgumentException("It names no Host.", nameof(connectionString));
        }

        (_reads, Writes) = Build(builder, host);
        Schema = _reads is NpgsqlMultiHostDataSource hosts ? hosts.WithTargetSession(TargetSessionAttributes.PreferPrimary) : Writes;
        Description = $"database '{builder.ConnectionStringBuilder.Database ?? builder.ConnectionStringBuilder.Username}' on {host}";

        builder.ConnectionStringBuilder.Pooling = false;
        builder.Name = $"{PoolName}-unpooled";
        (_, _unpooled) = Build(builder, host);
    }

    /// <summary>Where it is, without secrets: "database 'places' on db-1,db-2".</summary>
    public string Description { get; }

    /// <summary>Connections to the primary.</summary>
    public NpgsqlDataSource Writes { get; }

    /// <summary>
    /// Connections for reading the schema: the primary, or a standby while there is no primary. A standby may lag, but is enough to serve
    /// reads.
    /// </summary>
    internal NpgsqlDataSource Schema { get; }

    /// <summary>
    /// Runs a query that changes nothing, and once more where its connection was lost: after a restart or a failover of the database every
    /// connection of the pool is a dead one, and a caller need not hear of that.
    /// </summary>
    /// <param name="query">Reads all that it returns before it returns, so that nothing of the first time is left.</param>
    /// <param name="cancellationToken">Stops the query in the database too.</param>
    /// <exception cref="StoreUnavailableException">Both times without an answer.</exception>
    public Task<T> ReadAsync<T>(Func<NpgsqlConnection, CancellationToken, Task<T>> query, CancellationToken cancellationToken) =>
        TwiceAsync(_reads, query, cancellationToken);

    /// <summary>The same of the primary, for what must not be older than what was just written.</summary>
    public Task<T> ReadPrimaryAsync<T>(Func<NpgsqlConnection, CancellationToken, Task<T>> query, CancellationToken cancellationToken) =>
        TwiceAsync(Writes, query, cancellationToken);

    /// <summary>A connection to the primary that is its user's alone, and closed when it is disposed.</summary>
    public ValueTask<NpgsqlConnection> OpenUnpooledAsync(CancellationToken cancellationToken) =>
        _unpooled.OpenConnectionAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _reads.DisposeAsync();
        await Writes.DisposeAsync();
        await _unpooled.DisposeAsync();
    }

    private static (NpgsqlDataSource Reads, NpgsqlDataSource Writes) Build(NpgsqlDataSourceBuilder builder, string host)
    {
        if (host.Contains(',', StringComparison.Ordinal))
        {
            var hosts = builder.BuildMultiHost();
            return (hosts, hosts.WithTargetSession(TargetSessionAttributes.Primary));
        }

        var one = builder.Build();
        return (one, one);
    }

    private static async Task<T> TwiceAsync<T>(
        NpgsqlDataSource source, Func<NpgsqlConnection, CancellationToken, Task<T>> query, CancellationToken cancellationToken)
    {
        try
        {
            try
            {
                return await OnceAsync(source, query, cancellationToken);
            }
            catch (NpgsqlException e) when (PostgisErrors.IsLostConnection(e))
            {
                source.Clear();
                return await OnceAsync(source, query, cancellationToken);
            }
        }
        catch (Exception e) when (e is NpgsqlException or SocketException)
        {
            throw PostgisErrors.Unavailable(e);
        }
    }

    private static async Task<T> OnceAsync<T>(
        NpgsqlDataSource source, Func<NpgsqlConnection, CancellationToken, Task<T>> query, CancellationToken cancellationToken)
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        return await query(connection, cancellationToken);
    }
}
