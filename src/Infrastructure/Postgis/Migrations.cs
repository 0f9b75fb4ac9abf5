using System.Reflection;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// A migration by migrations/NAME.sql, which is part of this assembly. Its first line can say with which earlier programs the schema stays
/// compatible; the database stores that for programs that do not have the file. Only a backup undoes a migration.
/// </summary>
internal abstract class SqlFileMigration : Migration
{
    private const string Header = "-- compatible-with: ";

    /// <summary>The first migration with the column of compatibility.</summary>
    private const string Compatibility = "0003_compatibility";

    /// <summary>The earliest migration whose programs run on the database after this one; null for none.</summary>
    /// <param name="sql">The text of the file.</param>
    public static string? CompatibleWith(string sql) => sql.StartsWith(Header, StringComparison.Ordinal)
        ? sql[Header.Length..sql.IndexOf('\n', StringComparison.Ordinal)].Trim()
        : null;

    protected override void Up(MigrationBuilder migrationBuilder)
    {
        var name = GetType().GetCustomAttribute<MigrationAttribute>()!.Id;
        using var file = typeof(SqlFileMigration).Assembly.GetManifestResourceStream($"{name}.sql")
            ?? throw new InvalidOperationException($"migrations/{name}.sql is missing from the program.");
        using var reader = new StreamReader(file);
        var sql = reader.ReadToEnd();
        migrationBuilder.Sql(sql);
        if (string.CompareOrdinal(name, Compatibility) < 0)
        {
            return;
        }

        // EF Core writes the row of a migration after its SQL, in the same transaction, and does not know the column: the default sets it.
        migrationBuilder.Sql(
            $"ALTER TABLE {RouteDbContext.HistoryTable} ALTER COLUMN compatible_with "
            + (CompatibleWith(sql) is { } earliest ? $"SET DEFAULT '{earliest}'" : "DROP DEFAULT"));
    }
}

[DbContext(typeof(RouteDbContext)), Migration("0001_features")]
internal sealed class FeaturesMigration : SqlFileMigration;

[DbContext(typeof(RouteDbContext)), Migration("0002_notes")]
internal sealed class NotesMigration : SqlFileMigration;

[DbContext(typeof(RouteDbContext)), Migration("0003_compatibility")]
internal sealed class CompatibilityMigration : SqlFileMigration;

[DbContext(typeof(RouteDbContext)), Migration("0004_feature_writes")]
internal sealed class FeatureWritesMigration : SqlFileMigration;

[DbContext(typeof(RouteDbContext)), Migration("0005_feature_changes")]
internal sealed class FeatureChangesMigration : SqlFileMigration;

[DbContext(typeof(RouteDbContext)), Migration("0006_import_requests")]
internal sealed class ImportRequestsMigration : SqlFileMigration;

[DbContext(typeof(RouteDbContext)), Migration("0007_z_order")]
internal sealed class ZOrderMigration : SqlFileMigration;

[DbContext(typeof(RouteDbContext)), Migration("0008_search")]
internal sealed class SearchMigration : SqlFileMigration;
