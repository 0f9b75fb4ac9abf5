using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;
using RouteService.Domain.Features;
using SQLitePCL;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>Checks of a file of the embedded store.</summary>
internal static class SqliteFile
{
    // SQLITE_FCNTL_HAS_MOVED (https://sqlite.org/c3ref/c_fcntl_begin_atomic_write.html).
    private const int HasMoved = 20;

    /// <summary>Checks, before the file is opened, that its path is no link to a missing one; SQLite would speak of rights.</summary>
    /// <param name="path">The file.</param>
    /// <param name="variable">The setting that names it.</param>
    /// <exception cref="StoreUnavailableException">The target is missing.</exception>
    public static void CheckLink(string path, string variable)
    {
        if (new FileInfo(path).LinkTarget is { } target
            && File.ResolveLinkTarget(path, returnFinalTarget: true) is { Exists: false })
        {
            throw new StoreUnavailableException(
                $"The database '{path}' is a link to '{target}', which does not exist. "
                + $"Put the file there, remove the link, or set {variable} to another.");
        }
    }

    /// <summary>
    /// Checks that the path still leads to the open file. SQLite goes on with a file that was deleted or replaced, and what it writes then
    /// is lost when the last connection closes.
    /// </summary>
    /// <param name="connection">A connection that stays open, so that its log exists too.</param>
    /// <param name="content">What the file has: "features".</param>
    /// <exception cref="StoreUnavailableException">The path does not lead to the open file, or its log is missing.</exception>
    public static void CheckInPlace(this SqliteConnection connection, string content)
    {
        // Where SQLite cannot tell, on Windows, an open file cannot be deleted.
        if ((FileControl(connection.Handle!, 0, HasMoved, out var hasMoved) == raw.SQLITE_OK && hasMoved != 0)
            || !File.Exists(connection.DataSource + "-wal"))
        {
            throw new StoreUnavailableException(
                $"The file of the {content}, or its -wal, was deleted, moved or replaced while the service had it open. "
                + "Put it back, or restart the service.");
        }
    }

    /// <summary>Checks that a write would succeed.</summary>
    /// <param name="connection">A connection in no transaction.</param>
    /// <param name="schemaVersion">Version of the file.</param>
    /// <param name="hasFailed">Whether the last write has failed. Then nothing but a write shows that there is room again.</param>
    public static void CheckWritable(this SqliteConnection connection, int schemaVersion, bool hasFailed)
    {
        using var command = connection.CreateCommand();
        command.CommandTimeout = 1;
        command.CommandText = hasFailed ? $"PRAGMA user_version = {schemaVersion}" : "BEGIN IMMEDIATE; ROLLBACK";
        command.ExecuteNonQuery();
    }

    // SQLitePCLRaw lacks it.
    [DllImport("e_sqlite3", EntryPoint = "sqlite3_file_control")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories | DllImportSearchPath.AssemblyDirectory)]
    private static extern int FileControl(sqlite3 connection, nint database, int operation, out int value);
}
