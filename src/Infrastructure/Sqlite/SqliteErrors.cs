using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;
using SQLitePCL;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>What SQLite says, in the domain's words.</summary>
internal static class SqliteErrors
{
    public static StoreUnavailableException Unavailable(string path, SqliteException exception) =>
        Unavailable(path, exception.SqliteErrorCode, exception.Message, exception);

    /// <param name="path">The database file.</param>
    /// <param name="code">A result code of SQLite (https://sqlite.org/rescode.html).</param>
    /// <param name="detail">SQLite's own words.</param>
    /// <param name="cause">Null where there was only a code.</param>
    public static StoreUnavailableException Unavailable(string path, int code, string detail, Exception? cause = null) => new(
        (code & 0xFF) switch
        {
            raw.SQLITE_NOTADB => $"The file '{path}' is not a database. Move it away to start anew, or set RouteService__Sqlite__Path to another.",
            raw.SQLITE_CORRUPT => $"The database '{path}' is damaged. Restore it from a copy, or move it away to start anew.",
            raw.SQLITE_CANTOPEN or raw.SQLITE_PERM or raw.SQLITE_READONLY or raw.SQLITE_AUTH =>
                $"The database '{path}' cannot be opened for writing. Check the rights on it and on its folder, or set RouteService__Sqlite__Path to another.",
            raw.SQLITE_BUSY or raw.SQLITE_LOCKED => $"The database '{path}' is held by another program that writes; try again.",
            raw.SQLITE_FULL => $"The disk of the database '{path}' is full.",
            _ => $"The database '{path}' cannot answer: {detail}",
        },
        cause);
}
