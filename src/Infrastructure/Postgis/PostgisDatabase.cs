using System.Data;
using System.Runtime.ExceptionServices;
using Npgsql;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// The connections to PostgreSQL. Only this class knows hosts and pools, and retries after a fault.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public sealed partial class PostgisDatabase : IAsyncDisposable
{
    // db.client.connection.pool.name of the metrics.
    private const string PoolName = "routeservice";

    // Of these settings, the ones that this version of PostgreSQL has; $1: for the transaction, not for the session.
    private const string UnhurriedSql = """
        SELECT set_config(name, '0', $1) FROM pg_settings WHERE name IN (
            'statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout')
        """;

    // While a standby replays, a query that was cancelled in favour of another one is cancelled again; the pauses grow by this.
    private static readonly TimeSpan RepeatPause = TimeSpan.FromMilliseconds(50);

    // Streams read the logs of notes and changes here. After a restart of a replica thousands of them join at once: so many connections
    // would make each read slower, and leave none for calls.
    private const int MaxReadsOfLogs = 8;

    private readonly NpgsqlDataSource _reads;
    private readonly NpgsqlDataSource _writes;
    private readonly NpgsqlDataSource _preferPrimary;
    private readonly NpgsqlDataSource _unpooled;
    private readonly int _maxPoolSize;
    private readonly bool _prepares;
    private readonly Lock _clearing = new();
    private readonly SemaphoreSlim _readsOfLogs = new(MaxReadsOfLogs);
    private int _inUse;
    private int _primaryChanges;

    /// <param name="connectionString">
    /// Npgsql's keywords, or a URI (postgresql://…). With several hosts, writes go to the primary, and reads to the hosts that
    /// "Target Session Attributes" allows.
    /// </param>
    /// <exception cref="ConnectionStringException">The connection string cannot be used; the message quotes no part of it.</exception>
    public PostgisDatabase(string connectionString)
    {
        var settings = PostgresConnectionString.Parse(connectionString);
        Description = $"database '{settings.Database ?? settings.Username}' on {settings.Host}";
        _maxPoolSize = settings.MaxPoolSize;
        _prepares = settings.MaxAutoPrepare > 0;
        (_reads, _writes) = Build(settings, PoolName);
        _preferPrimary = _reads is NpgsqlMultiHostDataSource hosts
            ? hosts.WithTargetSession(TargetSessionAttributes.PreferPrimary)
            : _writes;

        settings.Pooling = false;
        (_, _unpooled) = Build(settings, $"{PoolName}-unpooled");
    }

    /// <summary>Name and hosts, without secrets: "database 'places' on db-1,db-2".</summary>
    public string Description { get; }

    /// <summary>Changes when another server has become the primary; earlier connections must not be used any more.</summary>
    internal int PrimaryChanges => Volatile.Read(ref _primaryChanges);

    /// <summary>
    /// Runs a query that changes nothing. It is retried after a lost connection, because after a restart or a failover all connections of
    /// the pool are dead, and after it was cancelled in favour of another query, then on the primary if there is one.
    /// </summary>
    /// <param name="query">Reads its whole result before it returns, so that a retry starts from scratch.</param>
    /// <param name="cancellationToken">Cancels the query, also in the database.</param>
    /// <exception cref="StoreUnavailableException">All attempts have failed.</exception>
    public Task<T> ReadAsync<T>(Func<NpgsqlConnection, CancellationToken, Task<T>> query, CancellationToken cancellationToken) =>
        RunAsync(_reads, _preferPrimary, query, mayRepeat: true, cancellationToken);

    /// <summary>Runs a query of a log on the primary, since the results must include the last commit; a few at a time.</summary>
    public async Task<T> ReadPrimaryAsync<T>(
        Func<NpgsqlConnection, CancellationToken, Task<T>> query, CancellationToken cancellationToken)
    {
        await _readsOfLogs.WaitAsync(cancellationToken);
        try
        {
            return await RunAsync(_writes, _writes, query, mayRepeat: true, cancellationToken);
        }
        finally
        {
            _readsOfLogs.Release();
        }
    }

    /// <summary>
    /// Runs a query on the primary, or on a standby while there is no primary: for the schema. A standby may lag, but can serve reads.
    /// </summary>
    internal Task<T> ReadPreferPrimaryAsync<T>(
        Func<NpgsqlConnection, CancellationToken, Task<T>> query, CancellationToken cancellationToken) =>
        RunAsync(_preferPrimary, _preferPrimary, query, mayRepeat: true, cancellationToken);

    /// <summary>
    /// Runs one transaction on the primary. It is retried if it certainly changed nothing: if the server is read-only, because another one
    /// is the primary now, and after a conflict with another transaction.
    /// </summary>
    /// <param name="transaction">Does the work and commits it.</param>
    /// <param name="mayRepeat">Whether it may run twice, so that it is also retried after a lost connection.</param>
    /// <param name="cancellationToken">Cancels the transaction, also in the database.</param>
    /// <exception cref="StoreUnavailableException">The last attempt failed; after a lost connection it may have been committed.</exception>
    public Task<T> WriteAsync<T>(
        Func<NpgsqlConnection, CancellationToken, Task<T>> transaction, bool mayRepeat, CancellationToken cancellationToken) =>
        RunAsync(_writes, _writes, transaction, mayRepeat, cancellationToken);

    /// <summary>Opens a connection to the primary outside of the pool; disposal closes it.</summary>
    /// <exception cref="StoreUnavailableException">The connection cannot be opened.</exception>
    public async Task<NpgsqlConnection> OpenUnpooledAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _unpooled.OpenConnectionAsync(cancellationToken);
        }
        catch (Exception e) when (PostgisErrors.IsFault(e))
        {
            throw e is NpgsqlException fault
                ? PostgisErrors.NotOpened(fault, Volatile.Read(ref _inUse), int.MaxValue)
                : PostgisErrors.Unavailable(e);
        }
    }

    /// <summary>
    /// Opens a connection without the time limits of the role and the database, for work that no caller waits for. Not through PgBouncer,
    /// where the next user of the session would be without them too.
    /// </summary>
    internal async Task<NpgsqlConnection> OpenUnhurriedAsync(CancellationToken cancellationToken)
    {
        var connection = await OpenUnpooledAsync(cancellationToken);
        try
        {
            await LiftTimeLimitsAsync(connection, isLocal: false, cancellationToken);
            return connection;
        }
        catch (NpgsqlException e)
        {
            await connection.DisposeAsync();
            throw PostgisErrors.Unavailable(e);
        }
    }

    /// <summary>
    /// Begins a transaction without the time limits of the role and the database, for work that takes as long as it takes. Nothing is left
    /// of that after the transaction, so it may go through PgBouncer.
    /// </summary>
    /// <exception cref="NpgsqlException">The database does not answer.</exception>
    internal static async Task<NpgsqlTransaction> BeginUnhurriedAsync(
        NpgsqlConnection connection, IsolationLevel level, CancellationToken cancellationToken)
    {
        var transaction = await connection.BeginTransactionAsync(level, cancellationToken);
        try
        {
            await LiftTimeLimitsAsync(connection, isLocal: true, cancellationToken);
            return transaction;
        }
        catch
        {
            await transaction.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Returns if the primary can be written to. Where another server has become the primary, those to the former one are dropped.
    /// </summary>
    /// <exception cref="StoreUnavailableException">There is no primary, or it is read-only.</exception>
    public async Task CheckWritableAsync(CancellationToken cancellationToken)
    {
        if (await RunAsync(_writes, _writes, IsWritableAsync, mayRepeat: true, cancellationToken))
        {
            return;
        }

        if (!await IsElsewhereWritableAsync(cancellationToken))
        {
            throw new StoreUnavailableException("The database is read-only; expected the primary.");
        }

        DropPrimary();
    }

    public async ValueTask DisposeAsync()
    {
        await _reads.DisposeAsync();
        await _writes.DisposeAsync();
        await _unpooled.DisposeAsync();
        _readsOfLogs.Dispose();
    }

    private static (NpgsqlDataSource Reads, NpgsqlDataSource Writes) Build(NpgsqlConnectionStringBuilder settings, string name)
    {
        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString) { Name = name };
        builder.UseNetTopologySuite();
        if (settings.Host!.Contains(',', StringComparison.Ordinal))
        {
            var hosts = builder.BuildMultiHost();
            return (hosts, hosts.WithTargetSession(TargetSessionAttributes.Primary));
        }

        // Npgsql refuses them with one host. Writes look for the primary by themselves.
        builder.ConnectionStringBuilder.TargetSessionAttributes = null;
        builder.ConnectionStringBuilder.LoadBalanceHosts = false;
        var one = builder.Build();
        return (one, one);
    }

    private async Task<T> RunAsync<T>(
        NpgsqlDataSource source,
        NpgsqlDataSource elsewhere,
        Func<NpgsqlConnection, CancellationToken, Task<T>> work,
        bool mayRepeat,
        CancellationToken cancellationToken)
    {
        var isLost = false;
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await OnceAsync(source, isLost, work, cancellationToken);
            }
            catch (NpgsqlException e) when (Attempts(PostgisErrors.RemedyOf(e), mayRepeat) > attempt)
            {
                switch (PostgisErrors.RemedyOf(e))
                {
                    case Remedy.FindPrimary:
                        // Readers of a server that is read-only, and still the one to write to, keep their connections.
                        if (!await IsElsewhereWritableAsync(cancellationToken))
                        {
                            throw PostgisErrors.Unavailable(e);
                        }

                        DropPrimary();
                        break;
                    case Remedy.Prepare:
                        Drop(source);
                        break;
                    case Remedy.Reconnect:
                        source.Clear();
                        isLost = true;
                        break;
                    default:
                        source = elsewhere;
                        await Task.Delay(attempt * RepeatPause, TimeProvider.System, cancellationToken);
                        break;
                }
            }
            catch (Exception e) when (PostgisErrors.IsFault(e))
            {
                throw PostgisErrors.Unavailable(e);
            }
        }
    }

    /// <summary>Limit of the attempts of a query after this fault.</summary>
    private static int Attempts(Remedy remedy, bool mayRepeat) => remedy switch
    {
        Remedy.FindPrimary or Remedy.Prepare => 2,
        Remedy.Reconnect when mayRepeat => 2,
        Remedy.Repeat => 5,
        _ => 1,
    };

    private static async Task LiftTimeLimitsAsync(NpgsqlConnection connection, bool isLocal, CancellationToken cancellationToken)
    {
        // The first command is for the second, which itself can take longer than a short limit.
        await using var batch = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new NpgsqlBatchCommand($"SET {(isLocal ? "LOCAL" : "SESSION")} statement_timeout = 0"),
                new NpgsqlBatchCommand(UnhurriedSql) { Parameters = { new NpgsqlParameter<bool> { TypedValue = isLocal } } },
            },
        };
        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Whether a new connection can write where one of the pool cannot: another server has become the primary.</summary>
    private async Task<bool> IsElsewhereWritableAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = await _unpooled.OpenConnectionAsync(cancellationToken);
            return await IsWritableAsync(connection, cancellationToken);
        }
        catch (Exception e) when (PostgisErrors.IsFault(e))
        {
            return false;
        }
    }

    private static async Task<bool> IsWritableAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT NOT current_setting('transaction_read_only')::boolean", connection);
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Drops the connections to the former primary, so that the next ones go to the current primary.</summary>
    private void DropPrimary()
    {
        Interlocked.Increment(ref _primaryChanges);
        Drop(_writes);
    }

    private void Drop(NpgsqlDataSource source)
    {
        // Npgsql returns at once while another caller clears the pool; the next connection could then be one of the dropped ones.
        lock (_clearing)
        {
            source.Clear();
        }
    }

    private async Task<T> OnceAsync<T>(
        NpgsqlDataSource source,
        bool isLost,
        Func<NpgsqlConnection, CancellationToken, Task<T>> work,
        CancellationToken cancellationToken)
    {
        await using var connection = isLost
            ? await OpenLiveAsync(source, cancellationToken)
            : await OpenAsync(source, cancellationToken);
        Interlocked.Increment(ref _inUse);
        try
        {
            return await work(connection, cancellationToken);
        }
        catch (Exception e)
        {
            var fault = PostgisErrors.FaultIn(e);
            if (_prepares && (fault ?? e.InnerException) is PostgresException)
            {
                await ForgetStatementsAsync(connection);
            }

            if (fault is not null)
            {
                ExceptionDispatchInfo.Throw(fault);
            }

            throw;
        }
        finally
        {
            Interlocked.Decrement(ref _inUse);
        }
    }

    /// <summary>
    /// Ends the transaction of a statement that failed or was cancelled, and drops the prepared statements of the connection. If a
    /// statement fails while its parameters are bound for the first time, Npgsql believes it prepared, and cannot read its next answer.
    /// </summary>
    private static async Task ForgetStatementsAsync(NpgsqlConnection connection)
    {
        if (connection.State is not ConnectionState.Open)
        {
            return;
        }

        try
        {
            await using var rollback = new NpgsqlCommand("ROLLBACK", connection);
            await rollback.ExecuteNonQueryAsync(CancellationToken.None);
            connection.UnprepareAll();
        }
        catch (NpgsqlException)
        {
            // Npgsql has closed the connection, or closes it when it is returned.
        }
    }

    /// <summary>
    /// Opens a connection that answers. After a lost connection the others of the pool are lost as well, and Npgsql may not have dropped
    /// them yet.
    /// </summary>
    private async Task<NpgsqlConnection> OpenLiveAsync(NpgsqlDataSource source, CancellationToken cancellationToken)
    {
        for (var others = _maxPoolSize; ; others--)
        {
            var connection = await OpenAsync(source, cancellationToken);
            try
            {
                await using var command = new NpgsqlCommand("SELECT 1", connection);
                await command.ExecuteScalarAsync(cancellationToken);
                return connection;
            }
            catch (Exception e)
            {
                await connection.DisposeAsync();
                if (others == 0 || e is not NpgsqlException fault || PostgisErrors.RemedyOf(fault) is not Remedy.Reconnect)
                {
                    throw;
                }
            }
        }
    }

    private async ValueTask<NpgsqlConnection> OpenAsync(NpgsqlDataSource source, CancellationToken cancellationToken)
    {
        try
        {
            return await source.OpenConnectionAsync(cancellationToken);
        }
        catch (NpgsqlException e) when (PostgisErrors.RemedyOf(e) is Remedy.None)
        {
            throw PostgisErrors.NotOpened(e, Volatile.Read(ref _inUse), _maxPoolSize);
        }
    }
}
