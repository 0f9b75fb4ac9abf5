using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using NetTopologySuite.Geometries;
using Npgsql;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// The database for EF Core: the migrations, and every query that is not hot. Look-ups, rectangles and the notes of the chat are SQL
/// beside the code that runs it. The source of the schema is migrations/*.sql; a test compares this model with the migrated database.
/// </summary>
/// <param name="connection">Open; the caller closes it.</param>
internal sealed class RouteDbContext(NpgsqlConnection connection) : DbContext
{
    public const string HistoryTable = "schema_migration";

    public const string Revisions = "feature_revision";

    public const int Wgs84 = 4326;

    public DbSet<FeatureRow> Features => Set<FeatureRow>();

    public DbSet<FeaturePropertiesRow> FeatureProperties => Set<FeaturePropertiesRow>();

    public DbSet<FeatureRequestRow> FeatureRequests => Set<FeatureRequestRow>();

    public DbSet<FeatureChangeRow> FeatureChanges => Set<FeatureChangeRow>();

    public DbSet<PendingFeatureChangeRow> PendingFeatureChanges => Set<PendingFeatureChangeRow>();

    public DbSet<NoteRow> Notes => Set<NoteRow>();

    public DbSet<NoteHeadRow> NoteHeads => Set<NoteHeadRow>();

    /// <summary>The time by the clock of the database, which stamps its rows.</summary>
    public Task<DateTimeOffset> NowAsync(CancellationToken cancellationToken) =>
        Database.SqlQuery<DateTimeOffset>($"SELECT now() AS \"Value\"").SingleAsync(cancellationToken);

    protected override void OnConfiguring(DbContextOptionsBuilder options) => options
        .UseNpgsql(connection, static npgsql => npgsql.UseNetTopologySuite().MigrationsHistoryTable(HistoryTable))
        .UseQueryTrackingBehavior(QueryTrackingBehavior.NoTracking)

        // No snapshot of the model is kept: the SQL files are the source.
        .ConfigureWarnings(static warnings =>
            warnings.Ignore(RelationalEventId.PendingModelChangesWarning, RelationalEventId.ModelSnapshotNotFound));

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasSequence<long>(Revisions);
        modelBuilder.Entity<FeatureRow>(Features);
        modelBuilder.Entity<FeaturePropertiesRow>(FeatureProperties);
        modelBuilder.Entity<FeatureRequestRow>(FeatureRequests);
        modelBuilder.Entity<FeatureChangeRow>(FeatureChanges);
        modelBuilder.Entity<PendingFeatureChangeRow>(PendingFeatureChanges);
        modelBuilder.Entity<NoteRow>(Notes);
        modelBuilder.Entity<NoteHeadRow>(NoteHeads);

        static void Features(EntityTypeBuilder<FeatureRow> feature)
        {
            feature.ToTable("feature", static table => CheckCoordinate(table, "feature"));
            feature.HasKey(static row => new { row.Latitude, row.Longitude }).HasName("feature_pkey");
            feature.Property(static row => row.Latitude).HasColumnName("latitude");
            feature.Property(static row => row.Longitude).HasColumnName("longitude");
            feature.Property(static row => row.Name).HasColumnName("name");
            feature.Property(static row => row.Location).HasColumnName("location").HasColumnType($"geometry(Point,{Wgs84})")
                .HasComputedColumnSql(
                    $"ST_SetSRID(ST_MakePoint(longitude / 1e7::float8, latitude / 1e7::float8), {Wgs84})", stored: true);
            feature.Property(static row => row.Revision).HasColumnName("revision").HasDefaultValueSql($"nextval('{Revisions}')");
            feature.Property(static row => row.CreatedAt).HasColumnName("created_at").HasDefaultValueSql("now()");
            feature.Property(static row => row.UpdatedAt).HasColumnName("updated_at");
            feature.HasIndex(static row => row.Location).HasDatabaseName("feature_location").HasMethod("gist");
        }

        static void FeatureProperties(EntityTypeBuilder<FeaturePropertiesRow> properties)
        {
            properties.ToTable("feature_properties");
            properties.HasKey(static row => new { row.Latitude, row.Longitude }).HasName("feature_properties_pkey");
            properties.Property(static row => row.Latitude).HasColumnName("latitude");
            properties.Property(static row => row.Longitude).HasColumnName("longitude");
            properties.Property(static row => row.Properties).HasColumnName("properties").HasColumnType("jsonb");
            properties.HasIndex(static row => row.Properties).HasDatabaseName(PostgisIndexes.Properties).HasMethod("gin")
                .HasOperators("jsonb_path_ops").HasStorageParameter("fastupdate", false);
        }

        static void FeatureRequests(EntityTypeBuilder<FeatureRequestRow> request)
        {
            request.ToTable("feature_request");
            request.HasKey(static row => row.RequestId).HasName("feature_request_pkey");
            request.Property(static row => row.RequestId).HasColumnName("request_id").ValueGeneratedNever();
            request.Property(static row => row.Fingerprint).HasColumnName("fingerprint");
            request.Property(static row => row.RequestedAt).HasColumnName("requested_at").HasDefaultValueSql("now()");
            request.Property(static row => row.Summary).HasColumnName("summary");
            request.HasIndex(static row => row.RequestedAt).HasDatabaseName("feature_request_time");
        }

        static void FeatureChanges(EntityTypeBuilder<FeatureChangeRow> change)
        {
            change.ToTable("feature_change", static table => table.HasCheckConstraint("feature_change_kind_check", "kind BETWEEN 1 AND 4"));
            change.HasKey(static row => row.Sequence).HasName("feature_change_pkey");
            change.Property(static row => row.Sequence).HasColumnName("sequence").ValueGeneratedNever();
            change.Property(static row => row.ChangedAt).HasColumnName("changed_at");
            change.Property(static row => row.Latitude).HasColumnName("latitude");
            change.Property(static row => row.Longitude).HasColumnName("longitude");
            change.Property(static row => row.Kind).HasColumnName("kind");
            change.Property(static row => row.North).HasColumnName("north");
            change.Property(static row => row.East).HasColumnName("east");
        }

        static void PendingFeatureChanges(EntityTypeBuilder<PendingFeatureChangeRow> pending)
        {
            pending.ToTable("feature_change_pending").IsUnlogged();
            pending.HasKey(static row => row.Id).HasName("feature_change_pending_pkey");
            pending.Property(static row => row.Id).HasColumnName("id").UseIdentityAlwaysColumn();
            pending.Property(static row => row.Kinds).HasColumnName("kinds");
            pending.Property(static row => row.Latitudes).HasColumnName("latitudes");
            pending.Property(static row => row.Longitudes).HasColumnName("longitudes");
            pending.Property(static row => row.North).HasColumnName("north");
            pending.Property(static row => row.East).HasColumnName("east");
        }

        static void Notes(EntityTypeBuilder<NoteRow> note)
        {
            note.ToTable("note", static table => CheckCoordinate(table, "note"));
            note.HasKey(static row => row.Sequence).HasName("note_pkey");
            note.Property(static row => row.Sequence).HasColumnName("sequence").ValueGeneratedNever();
            note.Property(static row => row.Latitude).HasColumnName("latitude");
            note.Property(static row => row.Longitude).HasColumnName("longitude");
            note.Property(static row => row.Message).HasColumnName("message");
            note.Property(static row => row.Author).HasColumnName("author");
            note.Property(static row => row.NoteId).HasColumnName("note_id");
            note.Property(static row => row.PostedAt).HasColumnName("posted_at").HasDefaultValueSql("now()");
            note.HasIndex(static row => row.NoteId).IsUnique().HasDatabaseName("note_note_id_key");
            note.HasIndex(static row => new { row.Latitude, row.Longitude, row.Sequence }).HasDatabaseName("note_place");
        }

        static void NoteHeads(EntityTypeBuilder<NoteHeadRow> head)
        {
            head.ToTable("note_head", static table => table.HasCheckConstraint("note_head_only_row_check", "only_row"));
            head.HasKey(static row => row.OnlyRow).HasName("note_head_pkey");
            head.Property(static row => row.OnlyRow).HasColumnName("only_row").HasDefaultValue(true);
            head.Property(static row => row.Sequence).HasColumnName("sequence");
        }

        static void CheckCoordinate<T>(TableBuilder<T> table, string name)
            where T : class
        {
            table.HasCheckConstraint($"{name}_latitude_check", "latitude BETWEEN -900000000 AND 900000000");
            table.HasCheckConstraint($"{name}_longitude_check", "longitude BETWEEN -1800000000 AND 1800000000");
        }
    }
}

/// <summary>A feature. The integers are degrees times 10^7; the database generates the point from them.</summary>
internal sealed record FeatureRow(int Latitude, int Longitude, string Name)
{
    public Point Location { get; init; } = null!;

    public long Revision { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>Null: as it was created.</summary>
    public DateTimeOffset? UpdatedAt { get; init; }
}

/// <summary>The properties of a feature that has any, as JSON.</summary>
internal sealed record FeaturePropertiesRow(int Latitude, int Longitude, string Properties);

/// <summary>A write that was made under an id of its caller.</summary>
internal sealed record FeatureRequestRow(Guid RequestId, long Fingerprint, DateTimeOffset RequestedAt)
{
    /// <summary>Of an import; else null.</summary>
    public long[]? Summary { get; init; }
}

/// <summary>A change of a feature; with a second corner anything in the box may have changed.</summary>
internal sealed record FeatureChangeRow(
    long Sequence, DateTimeOffset ChangedAt, int Latitude, int Longitude, short Kind, int? North, int? East);

/// <summary>The changes of a statement whose transaction is not committed.</summary>
internal sealed record PendingFeatureChangeRow(long Id, short[] Kinds, int[] Latitudes, int[] Longitudes, int? North, int? East);

/// <summary>A note of the chat.</summary>
internal sealed record NoteRow(
    long Sequence, int Latitude, int Longitude, string Message, Guid Author, string? NoteId, DateTimeOffset PostedAt);

/// <summary>The single row with the highest sequence given to a note.</summary>
internal sealed record NoteHeadRow(bool OnlyRow, long Sequence);
