using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Grpc.Core;
using Microsoft.EntityFrameworkCore;
using NetTopologySuite.Geometries;
using Npgsql;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Postgis.Tests;

/// <summary>How a database gets this program's schema, and what is said where it has another or may not have it.</summary>
public sealed class MigrationTests : ServiceTest
{
    [Fact]
    public async Task Migrate_makes_the_schema_in_an_empty_database_and_says_so_once()
    {
        var database = await EmptyDatabaseAsync();

        var first = (await Program.MigrateAsync(database.ConnectionString)).AssertSuccess();
        var second = (await Program.MigrateAsync(database.ConnectionString)).AssertSuccess();

        Assert.Matches($"^The database '{database.Name}' on [^ ]+ has been migrated: 0001_features.*\\.\\s*$", first.Output);
        Assert.Matches($"^The database '{database.Name}' on [^ ]+ is up to date\\.\\s*$", second.Output);
        var service = await StartAsync(database.ConnectionString);
        Assert.Equal(0, await service.CountAsync());
    }

    [Fact]
    public async Task Of_ten_that_migrate_at_once_one_does_and_all_succeed()
    {
        var database = await EmptyDatabaseAsync();

        var commands = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => Program.MigrateAsync(database.ConnectionString)));

        Assert.All(commands, static command => command.AssertSuccess());
        Assert.Single(commands, static command => command.Output.Contains("has been migrated", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_model_is_the_schema()
    {
        var migrated = Ours(await Postgres.DatabaseAsync());
        var modelled = Ours(await (await Postgres.ServerAsync()).CreateDatabaseAsync());
        await using var connections = new PostgisDatabase(modelled.ConnectionString);
        await using var connection = await connections.OpenUnpooledAsync(default);
        await using var context = new RouteDbContext(connection);
        await modelled.ExecuteAsync(context.Database.GenerateCreateScript());

        var schema = await DescribeAsync(migrated);

        Assert.Equal(schema, await DescribeAsync(modelled));
        Assert.Contains("feature.location geometry(Point,4326) NOT NULL s ", schema);
        Assert.Contains("USING gist (location)", schema);

        // Columns with type and generated value or default, indexes, checks and keys, of all tables but the history's and PostGIS' own. A model has no
        // indexes of expressions.
        static async Task<string> DescribeAsync(TestDatabase database) => (string)(await database.ExecuteAsync("""
            WITH ours AS (
                SELECT oid, relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
                    AND relname NOT IN ('schema_migration', 'spatial_ref_sys'))
            SELECT string_agg(line, E'\n' ORDER BY line) FROM (
                SELECT concat(relname, '.', attname, ' ', format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN ' NOT NULL ' END,
                    attgenerated, ' ', pg_get_expr(adbin, adrelid)) AS line
                FROM ours JOIN pg_attribute ON attrelid = ours.oid AND attnum > 0 AND NOT attisdropped
                    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
                UNION ALL SELECT pg_get_indexdef(indexrelid) FROM ours JOIN pg_index ON indrelid = ours.oid AND indexprs IS NULL
                UNION ALL SELECT concat(relname, ' ', conname, ' ', pg_get_constraintdef(pg_constraint.oid))
                FROM ours JOIN pg_constraint ON conrelid = ours.oid AND contype IN ('c', 'p')) AS lines
            """))!;
    }

    [Fact]
    public async Task The_point_of_a_feature_is_read_and_asked_for_in_linq()
    {
        var database = Ours(await Postgres.DatabaseAsync());
        await database.FillAsync(10);
        await using var connections = new PostgisDatabase(database.ConnectionString);
        await using var connection = await connections.OpenUnpooledAsync(default);
        await using var context = new RouteDbContext(connection);
        var box = new GeometryFactory(new PrecisionModel(), RouteDbContext.Wgs84).ToGeometry(new Envelope(-0.0006, 0, 0, 0.00032));

        var found = await context.Features.Where(feature => feature.Location.Intersects(box)).OrderBy(feature => feature.Latitude).ToListAsync();

        Assert.Equal([(800, -1500), (1600, -3000), (2400, -4500), (3200, -6000)], found.Select(static feature => (feature.Latitude, feature.Longitude)));
        Assert.All(found, static feature => Assert.Equal(
            (feature.Longitude / 1e7, feature.Latitude / 1e7, RouteDbContext.Wgs84), (feature.Location.X, feature.Location.Y, feature.Location.SRID)));
    }

    [Fact]
    public async Task A_database_without_the_schema_is_told_in_a_line()
    {
        var database = await EmptyDatabaseAsync();
        const string Complaint = "is older than this program: it lacks 0001_features";

        AssertRefused(await Program.RunAsync(database.ConnectionString), Complaint);
        AssertRefused(await Program.ImportAsync(database.ConnectionString, "name,latitude,longitude\n"), Complaint);
    }

    [Theory]
    [InlineData("NULL")]
    [InlineData("'9000_another'")]
    [InlineData("none, as the column is missing")]
    public async Task A_newer_database_is_told_in_a_line(string compatibleWith)
    {
        var database = Ours(await Postgres.DatabaseAsync());
        await database.ExecuteAsync(compatibleWith.StartsWith("none", StringComparison.Ordinal)
            ? "ALTER TABLE schema_migration DROP COLUMN compatible_with; INSERT INTO schema_migration VALUES ('9999_later', '99.0.0')"
            : $"INSERT INTO schema_migration VALUES ('9998_compatible', '99.0.0', '0001_features'), ('9999_later', '99.0.0', {compatibleWith})");
        const string Complaint = "is newer than this program: it has 9999_later. Run the program";

        AssertRefused(await Program.RunAsync(database.ConnectionString), Complaint);
        AssertRefused(await Program.MigrateAsync(database.ConnectionString), Complaint);
        AssertRefused(await Program.ImportAsync(database.ConnectionString, "name,latitude,longitude\n"), Complaint);
    }

    [Theory]
    [InlineData("0001_features")]
    [InlineData("0003_compatibility")]
    public async Task A_newer_database_that_is_compatible_is_served(string compatibleWith)
    {
        var database = Ours(await Postgres.DatabaseAsync());
        await database.ExecuteAsync($"""
            ALTER TABLE feature ADD COLUMN later integer;
            INSERT INTO schema_migration VALUES ('9998_later', '99.0.0', '{compatibleWith}'), ('9999_later', '99.0.0', '{compatibleWith}')
            """);

        Assert.Contains("is up to date", (await Program.MigrateAsync(database.ConnectionString)).AssertSuccess().Output);
        (await Program.ImportAsync(database.ConnectionString, "name,latitude,longitude\nOne,1,2\n")).AssertSuccess();
        var service = await StartAsync(database.ConnectionString);
        Assert.Equal("One", await service.NameAtAsync(10_000_000, 20_000_000));
    }

    [Fact]
    public async Task A_gap_below_a_later_migration_is_not_for_this_program_to_fill()
    {
        var database = Ours(await Postgres.DatabaseAsync());
        await database.ExecuteAsync("""
            DELETE FROM schema_migration WHERE "MigrationId" = '0003_compatibility';
            INSERT INTO schema_migration VALUES ('9999_later', '99.0.0', '0001_features')
            """);

        AssertRefused(await Program.MigrateAsync(database.ConnectionString), "is newer than this program: it has 9999_later.");
    }

    [Fact]
    public async Task What_a_migration_says_of_its_compatibility_is_kept_in_the_database()
    {
        var database = Ours(await Postgres.DatabaseAsync());
        var files = Directory.GetFiles(Repository.File("migrations"), "*.sql").Order(StringComparer.Ordinal).ToList();
        var names = files.ConvertAll(static file => Path.GetFileNameWithoutExtension(file));
        var said = files.ConvertAll(static file => SqlFileMigration.CompatibleWith(File.ReadAllText(file)));

        Assert.Equal(
            string.Join(", ", names.Zip(said, static (name, compatible) => $"{name}: {compatible ?? "none"}")),
            await database.ExecuteAsync("""
                SELECT string_agg("MigrationId" || ': ' || coalesce(compatible_with, 'none'), ', ' ORDER BY "MigrationId") FROM schema_migration
                """));

        // Each names one before it.
        Assert.Contains("0002_notes", said);
        Assert.All(names.Zip(said), pair => Assert.True(pair.Second is null || names.IndexOf(pair.Second) is var i && i >= 0 && i < names.IndexOf(pair.First)));
    }

    [Fact]
    public async Task Two_roles_are_set_up_by_migrate_alone_for_later_tables_too()
    {
        var (server, database) = await ClusterAsync();
        await server.ExecuteAsync("CREATE ROLE places_owner LOGIN; CREATE ROLE \"Places service\" LOGIN");
        await server.ExecuteAsync($"ALTER DATABASE {database.Name} OWNER TO places_owner; REVOKE ALL ON DATABASE {database.Name} FROM PUBLIC");
        await database.ExecuteAsync("CREATE EXTENSION postgis");
        string[] migrate = ["migrate", "--grant-to", "Places service"];

        var first = (await Program.RunAsync(As("places_owner", database), migrate)).AssertSuccess();
        (await Program.RunAsync(As("places_owner", database), migrate)).AssertSuccess();

        Assert.Contains("The role 'Places service' may serve from it.", first.Output);
        await database.ExecuteAsync("SET ROLE places_owner; CREATE TABLE later (id bigint GENERATED ALWAYS AS IDENTITY, name text)");
        Assert.Equal(
            "f1 f1 n1 n0 h1 h0 l1 l1 m1 m0",
            await database.ExecuteAsync("""
                SELECT string_agg(what || has_table_privilege('Places service', relation, privilege)::int, ' ' ORDER BY i)
                FROM (VALUES
                    (1, 'f', 'feature', 'SELECT'), (2, 'f', 'feature', 'INSERT'), (3, 'n', 'note', 'DELETE'), (4, 'n', 'note', 'UPDATE'),
                    (5, 'h', 'note_head', 'UPDATE'), (6, 'h', 'note_head', 'DELETE'), (7, 'l', 'later', 'SELECT'), (8, 'l', 'later', 'INSERT'),
                    (9, 'm', 'schema_migration', 'SELECT'), (10, 'm', 'schema_migration', 'UPDATE')) AS t (i, what, relation, privilege)
                """));
        var service = await StartAsync(As("Places service", database));
        Assert.Equal("SERVING", await service.GrpcHealthAsync("routeguide.RouteGuide"));
        await using var connections = new PostgisDatabase(As("Places service", database));
        var log = new PostgisNoteLog(connections);
        Assert.Equal([1], (await log.AppendAsync([new NewNote(Guid.NewGuid(), new RouteNote(new Domain.Geography.Coordinate(1, 2), "a"), null)], default)).Select(static note => note.Sequence));
        Assert.Equal(1, await log.RemoveAsync(TimeSpan.FromDays(-1), 10, default));
        Assert.Equal(0, await new PostgisChangeLog(connections).RemoveAsync(TimeSpan.FromDays(-1), keep: 0, limit: 10, default));
        AssertRefused(
            await Program.RunAsync(As("places_owner", database), "migrate", "--grant-to", "nobody here"),
            "There is no role 'nobody here' to grant to. Create it first");
    }

    [Fact]
    public async Task What_the_role_that_migrates_cannot_grant_is_told()
    {
        var (server, database) = await ClusterAsync();
        await server.ExecuteAsync("CREATE ROLE migrates LOGIN; CREATE ROLE serves LOGIN");
        await database.ExecuteAsync("CREATE EXTENSION postgis; CREATE EXTENSION pg_trgm; REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE, CREATE ON SCHEMA public TO migrates");

        AssertRefused(
            await Program.RunAsync(As("migrates", database), "migrate", "--grant-to", "serves"),
            "The role 'serves' lacks what the role that migrates cannot grant it. Have the owner run: GRANT USAGE ON SCHEMA public TO serves;");
        AssertRefused(await Program.RunAsync(As("serves", database)), "has PostGIS in the schema 'public', which this role may not use. Run GRANT USAGE ON SCHEMA");

        await database.ExecuteAsync("GRANT USAGE ON SCHEMA public TO serves");
        var granted = (await Program.RunAsync(As("migrates", database), "migrate", "--grant-to", "serves")).AssertSuccess();
        Assert.Contains("The role 'serves' may serve from it.", granted.Output);
        Assert.Equal("SERVING", await (await StartAsync(As("serves", database))).GrpcHealthAsync("routeguide.RouteGuide"));
    }

    [Fact]
    public async Task PostGIS_in_another_schema_is_told_in_a_line_and_the_line_helps()
    {
        var database = await EmptyDatabaseAsync();
        await database.ExecuteAsync("CREATE SCHEMA gis; CREATE EXTENSION postgis SCHEMA gis");

        var refused = await Program.MigrateAsync(database.ConnectionString);

        AssertRefused(refused, "has PostGIS in the schema 'gis', which is not in the search_path. Run ALTER DATABASE … SET search_path = public, \"gis\", or ");
        AssertRefused(await Program.RunAsync(database.ConnectionString, ("RouteService__Postgres__MigrateOnStart", "true")), "in the schema 'gis'");
        await database.ExecuteAsync($"ALTER DATABASE {database.Name} SET search_path = public, \"gis\"");
        (await Program.MigrateAsync(database.ConnectionString)).AssertSuccess();
        (await Program.ImportAsync(database.ConnectionString, "name,latitude,longitude\nOne,1,2\n")).AssertSuccess();
        Assert.Equal(1, await (await StartAsync(database.ConnectionString)).CountAsync());
        await database.ExecuteAsync($"ALTER DATABASE {database.Name} SET search_path = public");
        AssertRefused(await Program.RunAsync(database.ConnectionString), "has PostGIS in the schema 'gis'");

        // Where nothing is in sight, no migration would help.
        await database.ExecuteAsync($"ALTER DATABASE {database.Name} SET search_path = ''");
        AssertRefused(await Program.RunAsync(database.ConnectionString), "has PostGIS in the schema 'gis'");
    }

    [Fact]
    public async Task Pg_trgm_in_another_schema_is_told_in_a_line_and_the_line_helps()
    {
        var database = await EmptyDatabaseAsync();
        await database.ExecuteAsync("CREATE SCHEMA trigrams; CREATE EXTENSION pg_trgm SCHEMA trigrams");

        AssertRefused(
            await Program.MigrateAsync(database.ConnectionString),
            "has pg_trgm in the schema 'trigrams', which is not in the search_path. Run ALTER DATABASE … SET search_path = public, \"trigrams\", or ");

        await database.ExecuteAsync($"ALTER DATABASE {database.Name} SET search_path = public, \"trigrams\"");
        (await Program.MigrateAsync(database.ConnectionString)).AssertSuccess();
        Assert.Equal(true, await database.ExecuteAsync("SELECT indisvalid FROM pg_index WHERE indexrelid = 'feature_search_key'::regclass"));
    }

    [Fact]
    public async Task Who_may_not_create_pg_trgm_is_told_what_is_enough()
    {
        var (server, database) = await ClusterAsync();
        await server.ExecuteAsync("CREATE ROLE tables LOGIN");
        await database.ExecuteAsync("CREATE EXTENSION postgis; GRANT ALL ON SCHEMA public TO tables");

        AssertRefused(await Program.MigrateAsync(As("tables", database)), "for CREATE EXTENSION pg_trgm, CREATE on the database is enough.");

        await database.ExecuteAsync($"GRANT CREATE ON DATABASE {database.Name} TO tables");
        Assert.Contains("0008_search", (await Program.MigrateAsync(As("tables", database))).AssertSuccess().Output);
    }

    [Fact]
    public async Task A_database_that_has_lost_PostGIS_is_told_in_a_line()
    {
        var database = Ours(await Postgres.DatabaseAsync());
        await database.ExecuteAsync("DROP EXTENSION postgis CASCADE");

        AssertRefused(
            await Program.RunAsync(database.ConnectionString), "lacks PostGIS. Have a superuser run CREATE EXTENSION postgis in the database.");
    }

    [Theory]
    [InlineData("CREATE TABLE feature (id integer)", "has a table 'feature' that this program did not create.")]
    [InlineData("CREATE VIEW note AS SELECT 1 AS id", "has a table 'note' that this program did not create.")]
    [InlineData("CREATE TABLE schema_migration (id integer)", "has objects that this program did not create:")]
    [InlineData("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$", "is read-only")]
    public async Task What_is_in_the_way_of_a_migration_is_told_in_a_line(string sql, string complaint)
    {
        var database = await EmptyDatabaseAsync();
        await database.ExecuteAsync(sql);

        AssertRefused(await Program.MigrateAsync(database.ConnectionString), complaint);
        AssertRefused(await Program.RunAsync(database.ConnectionString, ("RouteService__Postgres__MigrateOnStart", "true")), complaint);
    }

    [Fact]
    public async Task A_database_with_an_encoding_that_cannot_hold_every_name_is_told_in_a_line()
    {
        var server = await Postgres.ServerAsync();
        var name = $"routeservice_test_{Guid.NewGuid():N}";
        await server.ExecuteAsync($"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
        try
        {
            AssertRefused(
                await Program.MigrateAsync(new NpgsqlConnectionStringBuilder(server.ConnectionString) { Database = name }.ConnectionString),
                "has the encoding LATIN1; expected UTF8.");
        }
        finally
        {
            await server.ExecuteAsync($"DROP DATABASE {name} WITH (FORCE)");
        }
    }

    [Fact]
    public async Task Why_a_migration_at_the_start_waits_or_fails_is_in_the_log()
    {
        var cluster = Ours(await Postgres.ClusterAsync());
        var database = await new PostgresServer(cluster).CreateEmptyDatabaseAsync();
        await database.ExecuteAsync("CREATE TABLE feature (id integer)");
        await cluster.StopAsync();
        var service = await LaunchAsync(database.ConnectionString, ("RouteService__Postgres__MigrateOnStart", "true"));
        await service.OutputAsync("cannot be checked; trying again every second: The database cannot be reached.");

        await cluster.StartAsync();

        await service.OutputAsync("has a table 'feature' that this program did not create.");
        await database.ExecuteAsync("DROP TABLE feature");
        await service.ReadyAsync();
    }

    [Theory]
    [InlineData("postgres")]
    [InlineData("postgresql")]
    public async Task A_connection_string_can_be_a_uri(string scheme)
    {
        var database = Ours(await Postgres.DatabaseAsync());
        var parts = new NpgsqlConnectionStringBuilder(database.ConnectionString);
        var password = parts.Password is null ? "" : $":{Uri.EscapeDataString(parts.Password)}";

        var migrate = await Program.MigrateAsync($"{scheme}://{parts.Username}{password}@{parts.Host}:{parts.Port}/{database.Name}?sslmode=prefer");

        Assert.Contains($"The database '{database.Name}' on {parts.Host} is up to date.", migrate.AssertSuccess().Output);
    }

    [Fact]
    public async Task No_part_of_a_connection_string_that_cannot_be_used_is_printed()
    {
        var migrate = await Program.MigrateAsync("Host=db;Password=Tops3;cret=5");

        AssertRefused(migrate, "ConnectionStrings__RouteService cannot be used: Its keyword number 3 is not one of Npgsql's.");
        Assert.DoesNotContain("cret", migrate.Error);
    }

    [Fact]
    public async Task A_service_that_may_migrates_when_it_starts()
    {
        var database = await EmptyDatabaseAsync();

        var service = await LaunchAsync(database.ConnectionString, ("RouteService__Postgres__MigrateOnStart", "true"));

        await service.ReadyAsync();
        Assert.Equal(0, await service.CountAsync());
    }

    [Fact]
    public async Task A_service_whose_database_comes_late_and_empty_is_ready_when_that_is_migrated()
    {
        var cluster = Ours(await Postgres.ClusterAsync());
        var database = await new PostgresServer(cluster).CreateEmptyDatabaseAsync();
        await cluster.StopAsync();
        var service = await LaunchAsync(database.ConnectionString);
        await cluster.StartAsync();

        // It is said in the log, and to callers.
        var log = await service.OutputAsync("is older than this program");
        Assert.Contains("0001_features", log);
        Assert.Contains("migrate", await ServiceOnPostgis.AssertFailsAsync(StatusCode.Unavailable, service.CountAsync));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await service.HealthAsync("ready"));

        (await Program.MigrateAsync(database.ConnectionString)).AssertSuccess();

        await service.ReadyAsync();
        Assert.Equal(0, await service.CountAsync());
    }

    [Fact]
    public async Task Roles_with_the_grants_of_the_documentation_can_do_what_it_says_and_no_more()
    {
        const string Places = "name,latitude,longitude\nOne,1,2\nTwo,2,3\n";
        var (server, database) = await ClusterAsync();
        await server.ExecuteAsync("CREATE ROLE places_owner LOGIN; CREATE ROLE places_import LOGIN; CREATE ROLE places_service LOGIN");
        await server.ExecuteAsync($"ALTER DATABASE {database.Name} OWNER TO places_owner; REVOKE ALL ON DATABASE {database.Name} FROM PUBLIC");
        await server.ExecuteAsync($"GRANT CONNECT ON DATABASE {database.Name} TO places_import, places_service");
        await database.ExecuteAsync("CREATE EXTENSION postgis");
        (await Program.MigrateAsync(As("places_owner", database))).AssertSuccess();
        await database.ExecuteAsync($"SET ROLE places_owner; {await DocumentedGrantsAsync(database.Name)}");

        foreach (var role in (string[])["places_owner", "places_import", "places_service"])
        {
            Assert.Contains("The store has 2 features.", (await Program.ImportAsync(As(role, database), Places, "--replace")).AssertSuccess().Output);
            Assert.Contains("One,1,2,", (await Program.RunAsync(As(role, database), "export", "--format", "csv")).AssertSuccess().Output);
        }

        await database.ExecuteAsync($"REVOKE TEMPORARY ON DATABASE {database.Name} FROM places_service");
        AssertRefused(await Program.ImportAsync(As("places_service", database), Places), "on the service's tables. PostgreSQL says: permission denied ");
        foreach (var role in (string[])["places_owner", "places_import", "places_service"])
        {
            Assert.Contains("is up to date", (await Program.MigrateAsync(As(role, database))).AssertSuccess().Output);
            await using var service = await ServiceOnPostgis.StartAsync(As(role, database));
            Assert.Equal("One", await service.NameAtAsync(10_000_000, 20_000_000));
            Assert.Equal(2, await service.CountAsync());
        }

        static async Task<string> DocumentedGrantsAsync(string database)
        {
            var text = await File.ReadAllTextAsync(Repository.File("docs", "operations", "database.md"));
            var sql = Regex.Match(text, "```sql\n(GRANT .+?)```", RegexOptions.Singleline);
            Assert.True(sql.Success, "docs/operations/database.md has no grants.");
            return sql.Groups[1].Value.Replace("DATABASE places ", $"DATABASE {database} ", StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task An_extension_that_was_dropped_is_made_again_and_one_out_of_sight_is_told()
    {
        var (_, database) = await ClusterAsync();
        (await Program.MigrateAsync(database.ConnectionString)).AssertSuccess();
        await database.ExecuteAsync("DROP EXTENSION pg_trgm CASCADE");

        (await Program.MigrateAsync(database.ConnectionString)).AssertSuccess();

        Assert.Equal(true, await database.ExecuteAsync("SELECT indisvalid FROM pg_index WHERE indexrelid = 'feature_search_key'::regclass"));
        await database.ExecuteAsync("CREATE SCHEMA elsewhere; UPDATE pg_extension SET extrelocatable = true WHERE extname = 'postgis'; ALTER EXTENSION postgis SET SCHEMA elsewhere");
        AssertRefused(await Program.MigrateAsync(database.ConnectionString), "has PostGIS in the schema 'elsewhere', which is not in the search_path.");
    }

    [Fact]
    public async Task What_is_wrong_with_the_connection_is_told_with_its_reason()
    {
        await using var database = await Postgres.DatabaseAsync();

        AssertRefused(
            await Program.RunAsync($"{database.ConnectionString};SSL Mode=Require", "export", "--format", "csv"), "The database cannot be reached. SSL connection requested.");
        Assert.Equal(0, (await Program.RunAsync($"{database.ConnectionString};Target Session Attributes=Primary;Load Balance Hosts=true", "export", "--format", "csv")).ExitCode);
    }

    /// <summary>As while a secret is renewed. The server is one that answers that it has TLS.</summary>
    [Fact]
    public async Task A_certificate_that_is_missing_makes_the_database_unavailable_and_is_told()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var stop = new CancellationTokenSource();
        var answering = AnswerAsync();
        var connectionString = $"Host=127.0.0.1;Port={((IPEndPoint)listener.LocalEndpoint).Port};Username=x;SSL Mode=Require;SSL Certificate=/none.crt";
        await using var database = new PostgisDatabase(connectionString);
        Func<Task>[] calls =
        [
            () => database.ReadAsync(static (_, _) => Task.FromResult(0), default),
            () => database.OpenUnpooledAsync(default),
            () => new PostgisNoteLog(database).ListenAsync(default).GetAsyncEnumerator().MoveNextAsync().AsTask(),
        ];

        foreach (var call in calls)
        {
            Assert.Equal("The database cannot be reached.", (await Assert.ThrowsAsync<StoreUnavailableException>(call)).Message);
        }

        AssertRefused(await Program.RunAsync(connectionString, "export", "--format", "csv"), "The database cannot be reached. Could not find file '/none.crt'");
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answering);

        async Task AnswerAsync()
        {
            while (true)
            {
                using var client = await listener.AcceptTcpClientAsync(stop.Token);
                try
                {
                    await client.GetStream().ReadExactlyAsync(new byte[8], stop.Token);
                    await client.GetStream().WriteAsync("S"u8.ToArray(), stop.Token);
                    _ = await client.GetStream().ReadAsync(new byte[1], stop.Token);
                }
                catch (IOException)
                {
                    // The client has gone.
                }
            }
        }
    }

    [Fact]
    public async Task Who_may_not_create_the_extension_is_told_who_may()
    {
        var (server, database) = await ClusterAsync();
        await server.ExecuteAsync($"CREATE ROLE owner LOGIN; ALTER DATABASE {database.Name} OWNER TO owner");
        const string Complaint = "have a superuser run CREATE EXTENSION postgis";

        AssertRefused(await Program.MigrateAsync(As("owner", database)), Complaint);
        AssertRefused(await Program.RunAsync(As("owner", database), ("RouteService__Postgres__MigrateOnStart", "true")), Complaint);
    }

    [Fact]
    public async Task Who_is_not_let_in_is_told_in_a_line()
    {
        var (_, database) = await ClusterAsync();

        AssertRefused(await Program.MigrateAsync(As("nobody", database)), "The database rejected the service's credentials.");
        AssertRefused(
            await Program.MigrateAsync(database.ConnectionString.Replace(database.Name, "missing", StringComparison.Ordinal)),
            "The database does not exist. PostgreSQL says: database \"missing\" does not exist (SQLSTATE 3D000).");
    }

    private static string As(string role, TestDatabase database) =>
        new NpgsqlConnectionStringBuilder(database.ConnectionString) { Username = role }.ConnectionString;

    private static void AssertRefused(Command command, string reason)
    {
        Assert.Equal((1, ""), (command.ExitCode, command.Output));
        Assert.StartsWith("routeservice: ", command.Error);
        Assert.Contains(reason, command.Error);
        Assert.Single(command.Error.Trim().Split('\n'));
    }

    private async Task<TestDatabase> EmptyDatabaseAsync() => Ours(await (await Postgres.ServerAsync()).CreateEmptyDatabaseAsync());

    /// <summary>A server of its own, as roles are the whole server's.</summary>
    private async Task<(PostgresServer Server, TestDatabase Database)> ClusterAsync()
    {
        var server = new PostgresServer(Ours(await Postgres.ClusterAsync()));
        return (server, await server.CreateEmptyDatabaseAsync());
    }
}
