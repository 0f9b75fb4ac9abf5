using System.Net.Sockets;
using System.Security.Cryptography;
using Npgsql;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// The meaning of a fault of PostgreSQL, by the type of the exception and its SQLSTATE; docs/operations/runbooks.md has the table. Messages
/// may reach any client, so they name neither hosts nor SQL; the inner exception does.
/// </summary>
internal static class PostgisErrors
{
    // Npgsql has no constants for these.
    private const string IdleSessionTimeout = "57P05";
    private const string IdleInTransactionSessionTimeout = "25P03";
    private const string TransactionTimeout = "25P04";

    private static readonly string[] LostStates =
    [
        PostgresErrorCodes.AdminShutdown,
        PostgresErrorCodes.CrashShutdown,
        PostgresErrorCodes.CannotConnectNow,
        PostgresErrorCodes.DatabaseDropped,
        IdleSessionTimeout,
        IdleInTransactionSessionTimeout,
        TransactionTimeout,
    ];

    private static readonly string[] SchemaStates =
    [
        PostgresErrorCodes.UndefinedTable,
        PostgresErrorCodes.UndefinedColumn,
        PostgresErrorCodes.UndefinedFunction,
        PostgresErrorCodes.UndefinedObject,
        PostgresErrorCodes.InvalidSchemaName,
    ];

    /// <summary>Whether and where to try again after a fault.</summary>
    public static Remedy RemedyOf(NpgsqlException fault) => fault switch
    {
        PostgresException { SqlState: PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected } => Remedy.Repeat,
        PostgresException { SqlState: PostgresErrorCodes.ReadOnlySqlTransaction } => Remedy.FindPrimary,
        PostgresException { SqlState: PostgresErrorCodes.FeatureNotSupported or PostgresErrorCodes.InvalidSqlStatementName } =>
            Remedy.Prepare,
        PostgresException answer =>
            IsLost(answer.SqlState) && !IsFullPooler(answer) && !IsOfParameter(answer) ? Remedy.Reconnect : Remedy.None,
        { InnerException: IOException or SocketException } => Remedy.Reconnect,
        _ => Remedy.None,
    };

    /// <summary>Whether Npgsql stopped waiting, for a connection or for an answer; it throws the same exception for both.</summary>
    public static bool IsTimeout(Exception fault) => fault switch
    {
        { InnerException: TimeoutException } => true,
        { InnerException: AggregateException { InnerExceptions: var hosts } } => hosts.Any(IsTimeout),
        _ => false,
    };

    /// <summary>The database's fault, which EF Core wraps if it takes it for transient; null for any other exception.</summary>
    public static NpgsqlException? FaultIn(Exception e) =>
        e as NpgsqlException ?? (e as InvalidOperationException)?.InnerException as NpgsqlException;

    /// <summary>
    /// Whether a query has failed by the database, its network, or a file that the connection string names: a certificate, a key, or a file
    /// of passwords, which may have a line of another form.
    /// </summary>
    public static bool IsFault(Exception e) => e is NpgsqlException or SocketException or IOException or UnauthorizedAccessException
        or CryptographicException or FormatException;

    /// <summary>The exception for a query that has failed.</summary>
    public static StoreUnavailableException Unavailable(Exception cause) => cause switch
    {
        PostgresException answer => Unavailable(answer),
        _ when IsTimeout(cause) => new("The database has not answered in time.", StoreFailure.TooSlow, cause),
        _ => new("The database cannot be reached.", cause),
    };

    /// <summary>The exception for a connection that could not be opened.</summary>
    /// <param name="cause">The fault.</param>
    /// <param name="inUse">Number of connections in use.</param>
    /// <param name="maximum">Size of the pool.</param>
    public static StoreUnavailableException NotOpened(NpgsqlException cause, int inUse, int maximum) => cause switch
    {
        // Npgsql throws one exception for an exhausted pool and for a server that does not answer.
        _ when IsTimeout(cause) && inUse >= maximum => new(
            "All connections to the database are in use; try again, with fewer calls at once.", StoreFailure.Overloaded, cause),
        _ when IsTimeout(cause) => new("The database cannot be reached.", cause),
        _ => Unavailable(cause),
    };

    /// <summary>The exception for rows that were written and are not there.</summary>
    public static StoreUnavailableException NotKept() => new(
        "The database does not keep what it is given: a policy hides rows, or a trigger drops them.", StoreFailure.Refused);

    /// <summary>The exception for a table note_head that lacks its row, or has a sequence below those of notes.</summary>
    public static StoreUnavailableException NoHead(PostgresException? cause = null) => new(
        "The database has no sequence for new notes: note_head lacks its row, or is behind the notes. Run 'migrate'.", cause);

    private static StoreUnavailableException Unavailable(PostgresException answer) => answer.SqlState switch
    {
        PostgresErrorCodes.QueryCanceled or PostgresErrorCodes.LockNotAvailable => new(
            "The database has not answered within the time it allows a statement.", StoreFailure.TooSlow, answer),
        PostgresErrorCodes.DiskFull => new("The disk of the database is full.", answer),
        PostgresErrorCodes.ReadOnlySqlTransaction => new("The database is read-only; expected the primary.", answer),
        PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected => new(
            "The database has cancelled the query for another one; try again.", answer),
        PostgresErrorCodes.UniqueViolation when answer.ConstraintName is "note_pkey" => NoHead(answer),
        PostgresErrorCodes.InsufficientPrivilege => new("The database role lacks privileges on the service's tables.", answer),
        PostgresErrorCodes.InvalidCatalogName => new("The database does not exist.", answer),
        PostgresErrorCodes.TooManyConnections => NoConnectionLeft(answer),
        PostgresErrorCodes.ProtocolViolation when IsFullPooler(answer) => NoConnectionLeft(answer),
        PostgresErrorCodes.ProtocolViolation when IsOfParameter(answer) => new(
            "A pooler before the database refuses a parameter of the connection string.", answer),
        var state when SchemaStates.Contains(state, StringComparer.Ordinal) => new(
            "The database schema is out of date. Run 'migrate'.", answer),
        var state when IsLost(state) => new("The database is restarting, or has ended the connection.", answer),
        var state => state[..2] switch
        {
            // A value, a constraint, RAISE of a trigger, a view's check, a routine in another language, a row too long for an index: it is
            // the same for the same request, and no other is concerned.
            "22" or "23" or "P0" or "44" or "38" or "54" => new(
                $"The database refuses a value of this request (SQLSTATE {state}).", StoreFailure.Refused, answer),
            "28" => new("The database rejected the service's credentials.", answer),
            "53" => new(
                $"The database is out of resources (SQLSTATE {state}); try again, with fewer calls at once.",
                StoreFailure.Overloaded,
                answer),
            _ => new($"The database cannot answer (SQLSTATE {state}).", answer),
        },
    };

    private static StoreUnavailableException NoConnectionLeft(PostgresException answer) => new(
        "The database has no connection left; try again, with fewer calls at once.", StoreFailure.Overloaded, answer);

    // PgBouncer has one SQLSTATE for all errors, and its messages are never translated. These two say that its client connections are
    // exhausted, or that no server connection became free in time.
    private static bool IsFullPooler(PostgresException answer) =>
        answer.SqlState is PostgresErrorCodes.ProtocolViolation
        && (answer.MessageText.StartsWith("no more connections allowed", StringComparison.Ordinal)
            || answer.MessageText.StartsWith("query_wait_timeout", StringComparison.Ordinal));

    // PgBouncer's, for a Search Path or Options that it is not told to ignore (ignore_startup_parameters).
    private static bool IsOfParameter(PostgresException answer) =>
        answer.SqlState is PostgresErrorCodes.ProtocolViolation
        && answer.MessageText.StartsWith("unsupported startup parameter", StringComparison.Ordinal);

    // Class 08 is for connections; PgBouncer sends 08P01 when its server is lost.
    private static bool IsLost(string state) =>
        LostStates.Contains(state, StringComparer.Ordinal) || state.StartsWith("08", StringComparison.Ordinal);
}

/// <summary>The remedy for a fault of the database.</summary>
internal enum Remedy
{
    /// <summary>None; the same query fails again.</summary>
    None,

    /// <summary>The connection was lost, and the others are dead as well: drop them, and try again on a new one.</summary>
    Reconnect,

    /// <summary>The query was cancelled in favour of another, and has changed nothing: try again, elsewhere if possible.</summary>
    Repeat,

    /// <summary>
    /// A prepared statement does not fit a table that was altered since, or is gone; the transaction was rolled back. The other connections
    /// have the same statements: drop them, and try again on a new one.
    /// </summary>
    Prepare,

    /// <summary>The server is not the primary any more: drop all connections, and try again on new ones.</summary>
    FindPrimary,
}
