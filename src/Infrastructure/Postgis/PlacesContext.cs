using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// The model of the database for EF Core, which runs the migrations. The schema's source is migrations/*.sql; a test compares this model
/// with the database that those scripts make.
/// </summary>
internal sealed class PlacesContext(NpgsqlDataSource connections) : DbContext
{
    public DbSet<FeatureRow> Features => Set<FeatureRow>();

    protected override void OnConfiguring(DbContextOptionsBuilder options) => options
        .UseNpgsql(connections, static npgsql => npgsql.MigrationsHistoryTable("schema_migration"))

        // No snapshot of the model is kept: the SQL files are the source.
        .ConfigureWarnings(static warnings =>
            warnings.Ignore(RelationalEventId.PendingModelChangesWarning, RelationalEventId.ModelSnapshotNotFound));

    protected override void OnModelCreating(ModelBuilder modelBuilder) => modelBuilder.Entity<FeatureRow>(static feature =>
    {
        feature.ToTable("feature");
        feature.HasKey(static row => new { row.Latitude, row.Longitude });
        feature.Property(static row => row.Latitude).HasColumnName("latitude");
        feature.Property(static row => row.Longitude).HasColumnName("longitude");
        feature.Property(static row => row.Name).HasColumnName("name");
    });
}

/// <summary>A row of the table of features; its geometry is the database's own.</summary>
internal sealed record FeatureRow(int Latitude, int Longitude, string Name);
