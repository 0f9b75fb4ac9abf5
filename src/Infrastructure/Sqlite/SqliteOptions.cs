using System.ComponentModel.DataAnnotations;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>The embedded store.</summary>
public sealed class SqliteOptions
{
    /// <summary>The database file; a relative path is under the working directory. Missing folders are created.</summary>
    [Required]
    public string Path { get; init; } = ".data/route-service.db";

    /// <summary>
    /// The file of the notes. Separate, because an import locks the features' file for seconds and notes must not wait for it.
    /// </summary>
    [Required]
    public string NotesPath { get; init; } = ".data/route-service-notes.db";
}
