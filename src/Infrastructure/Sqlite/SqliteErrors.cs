using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;
using SQLitePCL;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>Maps SQLite's result codes (https://sqlite.org/rescode.html) to exceptions of the domain.</summary>
internal static class SqliteErrors
{
    /// <summary>
    /// The exception for a call that failed. The message may reach any client, so it names neither paths nor SQL; the inner exception does.
    /// </summary>
    public static StoreUnavailableException Unavailable(SqliteException cause) => cause.SqliteErrorCode switch
    {
        raw.SQLITE_CONSTRAINT or raw.SQLITE_TOOBIG => new(
            FormattableString.Invariant($"The store refuses a value of this request (SQLite error {cause.SqliteErrorCode})."),
            StoreFailure.Refused,
            cause),
        raw.SQLITE_BUSY or raw.SQLITE_LOCKED => new("The store is locked by another program that writes; try again.", cause),
        raw.SQLITE_FULL => new("The disk of the store is full.", cause),
        raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB => new("The file of the store is damaged.", cause),
        raw.SQLITE_CANTOPEN or raw.SQLITE_PERM or raw.SQLITE_READONLY or raw.SQLITE_AUTH => new(
            "The service lacks the rights to write the file of the store, or the files beside it (-wal, -shm).", cause),
        raw.SQLITE_IOERR => new("The file of the store cannot be read or written.", cause),
        var code => new(FormattableString.Invariant($"The store cannot answer (SQLite error {code})."), cause),
    };

    /// <summary>The exception for a store that cannot be opened, for the operator: it names the file and what to do.</summary>
    /// <param name="path">The file.</param>
    /// <param name="variable">The setting that names it.</param>
    /// <param name="cause">The error of SQLite.</param>
    public static StoreUnavailableException Unusable(string path, string variable, SqliteException cause) => new(
        cause.SqliteErrorCode switch
        {
            raw.SQLITE_NOTADB =>
                $"The file '{path}' is not a database. Move it away to start from scratch, or set {variable} to another.",
            raw.SQLITE_CORRUPT => Damaged(path),
            raw.SQLITE_CANTOPEN or raw.SQLITE_PERM or raw.SQLITE_READONLY or raw.SQLITE_AUTH =>
                $"The database '{path}' cannot be opened for writing. "
                + $"Check the rights on it, on the files beside it (-wal, -shm) and on its folder, or set {variable} to another.",
            raw.SQLITE_BUSY or raw.SQLITE_LOCKED => $"The database '{path}' is locked by another program that writes; try again.",
            raw.SQLITE_FULL => $"The disk of the database '{path}' is full. Make room, or set {variable} to another.",
            _ => $"The database '{path}' cannot be opened: {cause.Message.ReplaceLineEndings(" ")} Set {variable} to another.",
        },
        cause);

    public static StoreUnavailableException Newer(string path, long version, int known) => new(
        $"The database '{path}' has schema version {version}, and this program knows up to {known}. Run a newer version of it.");

    public static string Damaged(string path) =>
        $"The database '{path}' is damaged. "
        + "Move it with its -wal and -shm, if there are any, away: to start from scratch, or to put a copy in its place.";
}
