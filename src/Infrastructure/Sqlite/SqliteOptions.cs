using System.ComponentModel.DataAnnotations;

namespace RouteService.Infrastructure.Sqlite;

/// <summary>The embedded store.</summary>
public sealed class SqliteOptions
{
    // `docker --env-file` keeps quotes, and a folder of that name would be made.
    private const string Unquoted = """(?s)[^"'].*""";
    private const string Quoted = "a path without quotes around it";

    /// <summary>The database file; a relative path is under the working directory. Missing folders are created.</summary>
    [Required, RegularExpression(Unquoted, ErrorMessage = Quoted)]
    public string Path { get; init; } = ".data/route-service.db";

    /// <summary>
    /// The file of the notes. Separate, because an import locks the features' file for seconds and notes must not wait for it.
    /// </summary>
    [Required, RegularExpression(Unquoted, ErrorMessage = Quoted)]
    public string NotesPath { get; init; } = ".data/route-service-notes.db";
}
