using System.Net.Sockets;
using Npgsql;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Postgis;

/// <summary>Maps PostgreSQL's faults to messages for any client: no host and no SQL; the inner exception has those.</summary>
internal static class PostgisErrors
{
    public static StoreUnavailableException Unavailable(Exception cause) => cause switch
    {
        PostgresException answer => Unavailable(answer),

        // The pool's own time-out; Npgsql has no code for it.
        { InnerException: TimeoutException } when cause.Message.Contains("pool", StringComparison.Ordinal) => new(
            "All connections to the database are in use; try again, with fewer calls at once.", StoreFailure.Overloaded, cause),
        { InnerException: TimeoutException } when cause.Message.Contains("reading", StringComparison.Ordinal) => new(
            "The database has not answered in time.", StoreFailure.TooSlow, cause),
        _ => new("The database cannot be reached.", cause),
    };

    /// <summary>Whether the connection ended under the query, so that it is worth a second try on another.</summary>
    public static bool IsLostConnection(NpgsqlException e) => e switch
    {
        PostgresException
        {
            SqlState: PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown or PostgresErrorCodes.CannotConnectNow,
        } => true,
        PostgresException => false,
        { InnerException: IOException or SocketException } => true,
        _ => false,
    };

    private static StoreUnavailableException Unavailable(PostgresException answer) => answer.SqlState switch
    {
        PostgresErrorCodes.QueryCanceled or PostgresErrorCodes.LockNotAvailable => new(
            "The database has not answered within the time it allows a statement.", StoreFailure.TooSlow, answer),
        PostgresErrorCodes.TooManyConnections => new(
            "The database has no connection left; try again, with fewer calls at once.", StoreFailure.Overloaded, answer),
        PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown or PostgresErrorCodes.CannotConnectNow => new(
            "The database is restarting.", answer),
        PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.UndefinedColumn => new(
            "The database has not the tables that this service wants; it has to be migrated.", answer),
        PostgresErrorCodes.InsufficientPrivilege => new("The service may not use the database's tables.", answer),
        PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification => new(
            "The database does not let the service in.", answer),
        PostgresErrorCodes.InvalidCatalogName => new("The database does not exist.", answer),
        PostgresErrorCodes.ReadOnlySqlTransaction => new("The database is a read-only standby.", answer),
        PostgresErrorCodes.DiskFull => new("The disk of the database is full.", answer),
        var state => new($"The database cannot answer (SQLSTATE {state}).", answer),
    };
}
