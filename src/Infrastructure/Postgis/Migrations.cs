using System.Reflection;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace RouteService.Infrastructure.Postgis;

/// <summary>A migration whose work is in migrations/NAME.sql, which is part of this assembly. There is no way back but a backup.</summary>
internal abstract class SqlFileMigration : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        var name = GetType().GetCustomAttribute<MigrationAttribute>()!.Id;
        using var file = typeof(SqlFileMigration).Assembly.GetManifestResourceStream($"{name}.sql")
            ?? throw new InvalidOperationException($"migrations/{name}.sql is missing from the program.");
        using var reader = new StreamReader(file);
        migrationBuilder.Sql(reader.ReadToEnd());
    }
}

[DbContext(typeof(PlacesContext)), Migration("0001_features")]
internal sealed class FeaturesMigration : SqlFileMigration;

[DbContext(typeof(PlacesContext)), Migration("0002_notes")]
internal sealed class NotesMigration : SqlFileMigration;
