using Microsoft.EntityFrameworkCore;
using Npgsql;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Postgis;

/// <summary>Checks whether the database has the schema of this program, and migrates it.</summary>
public static class PostgisSchema
{
    // Numbers that no other program locks: the letters "RouteSvc" and "RouteIdx".
    private const long MigrationLock = 0x526F757465537663;
    private const long IndexLock = 0x526F757465496478;

    // Between two attempts to get a lock. A statement that waits for it has a snapshot, and the build of an index waits for its end.
    private static readonly TimeSpan LockPause = TimeSpan.FromMilliseconds(100);

    // The requirements of a database before it has a schema.
    private const string SettingSql = """
        SELECT
            current_setting('server_encoding'),
            to_regtype('geometry') IS NOT NULL,
            (SELECT nspname FROM pg_extension JOIN pg_namespace AS schema ON schema.oid = extnamespace WHERE extname = 'postgis')::text,
            EXISTS (SELECT FROM pg_available_extensions WHERE name = 'postgis'),
            current_setting('transaction_read_only')::boolean,
            EXISTS (SELECT FROM pg_opclass WHERE opcname = 'gin_trgm_ops' AND pg_opclass_is_visible(oid)),
            (SELECT nspname FROM pg_extension JOIN pg_namespace AS schema ON schema.oid = extnamespace WHERE extname = 'pg_trgm')::text,
            EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm'),
            (SELECT has_schema_privilege(extnamespace, 'USAGE') FROM pg_extension WHERE extname = 'postgis')
        """;

    // Later migrations that do not declare compatibility with our newest one. The first programs had no such column.
    private const string IncompatibleSql = $"""
        SELECT "MigrationId" FROM {RouteDbContext.HistoryTable} AS applied
        WHERE "MigrationId" = ANY ($1) AND (to_jsonb(applied) ->> 'compatible_with' COLLATE "C" <= $2) IS NOT TRUE
        ORDER BY 1
        """;

    /// <summary>Checks that the database has PostGIS, the migrations of this program, and no incompatible later ones.</summary>
    /// <exception cref="SchemaException">It has not; one line says what is wrong and what to do.</exception>
    /// <exception cref="StoreUnavailableException">It cannot be asked.</exception>
    public static Task CheckAsync(PostgisDatabase database, CancellationToken cancellationToken) => database.ReadPreferPrimaryAsync(
        async (connection, token) =>
        {
            await using var context = new RouteDbContext(connection);
            if (await MissingAsync(context, database, token) is { Count: > 0 } missing)
            {
                // Where nothing is found at all, it may only be out of sight, or no migration may help.
                if (missing.Count == context.Database.GetMigrations().Count())
                {
                    await CheckSettingAsync(connection, database, toMigrate: true, token);
                }

                throw new SchemaException(
                    $"The {database.Description} is older than this program: it lacks {string.Join(", ", missing)}. "
                    + "Run 'migrate', or set RouteService__Postgres__MigrateOnStart to true.");
            }

            await CheckSettingAsync(connection, database, toMigrate: false, token);
            return true;
        },
        cancellationToken);

    /// <summary>Migrates the database to this program's schema. Of several processes at once, one migrates and the others wait.</summary>
    /// <param name="database">The database.</param>
    /// <param name="grantTo">Roles that are granted what the service needs, on these tables and on those of later migrations.</param>
    /// <param name="cancellationToken">Ends what is under way without a trace. Migrations before it stay; the next call goes on.</param>
    /// <returns>The migrations that were applied; empty if the schema was up to date.</returns>
    /// <exception cref="SchemaException">The database is newer, or does not allow the migration; one line says what to do.</exception>
    /// <exception cref="StoreUnavailableException">It cannot be asked.</exception>
    public static async Task<IReadOnlyList<string>> MigrateAsync(
        PostgisDatabase database, IReadOnlyList<string> grantTo, CancellationToken cancellationToken)
    {
        // The lock belongs to the connection, and is released with it, also if this process is killed.
        await using var connection = await database.OpenUnhurriedAsync(cancellationToken);
        await using var context = new RouteDbContext(connection);
        context.Database.SetCommandTimeout(TimeSpan.Zero);
        try
        {
            await LockAsync(connection, MigrationLock, cancellationToken);
            var missing = await MissingAsync(context, database, cancellationToken);
            await CheckSettingAsync(connection, database, toMigrate: missing.Count > 0, cancellationToken);
            if (missing.Count > 0)
            {
                await CheckNoneInTheWayAsync(context, missing, database, cancellationToken);

                // EF Core creates its history table even if there is nothing to do, which a role that only reads may not.
                await context.Database.MigrateAsync(cancellationToken);
            }

            await PostgisNoteLog.MendHeadAsync(connection, cancellationToken);
            foreach (var role in grantTo)
            {
                await GrantAsync(connection, role, cancellationToken);
            }

            // Earlier programs wait for this lock inside a statement.
            await context.Database.ExecuteSqlAsync($"SELECT pg_advisory_unlock({MigrationLock})", cancellationToken);
            await BuildIndexesAsync(connection, cancellationToken);
            return missing;
        }
        catch (Exception e) when (PostgisErrors.FaultIn(e) is { } fault)
        {
            throw fault is PostgresException answer ? Refused(answer, database) : PostgisErrors.Unavailable(fault);
        }
    }

    /// <summary>The migrations of this program that the database does not have.</summary>
    /// <exception cref="SchemaException">The database has later migrations that are not compatible with this program.</exception>
    private static async Task<List<string>> MissingAsync(
        RouteDbContext context, PostgisDatabase database, CancellationToken cancellationToken)
    {
        var known = context.Database.GetMigrations().ToList();
        var applied = (await context.Database.GetAppliedMigrationsAsync(cancellationToken)).ToList();
        var missing = known.Except(applied, StringComparer.Ordinal).ToList();
        if (applied.Except(known, StringComparer.Ordinal).ToList() is not { Count: > 0 } later)
        {
            return missing;
        }

        // A migration that is missing below a later one is not this program's to add.
        var incompatible = missing.Count > 0 ? later : await IncompatibleAsync(context, later, known[^1], cancellationToken);
        return incompatible.Count == 0
            ? []
            : throw new SchemaException(
                $"The {database.Description} is newer than this program: it has {string.Join(", ", incompatible)}. "
                + "Run the program that migrated it, or a later one.");
    }

    private static async Task<List<string>> IncompatibleAsync(
        RouteDbContext context, List<string> later, string newest, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(IncompatibleSql, (NpgsqlConnection)context.Database.GetDbConnection());
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. later] });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = newest });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var incompatible = new List<string>();
        while (await reader.ReadAsync(cancellationToken))
        {
            incompatible.Add(reader.GetString(0));
        }

        return incompatible;
    }

    /// <summary>Grants a role what the service needs; on tables of later migrations, all rights but to alter them.</summary>
    /// <exception cref="SchemaException">The role does not exist, or lacks what the role that migrates cannot grant.</exception>
    private static async Task GrantAsync(NpgsqlConnection connection, string role, CancellationToken cancellationToken)
    {
        var (to, schema, lacks) = await LookAsync();
        await using var grant = new NpgsqlCommand(
            $"""
                {string.Concat(lacks.Select(privilege => $"GRANT {privilege} TO {to};"))}
                GRANT SELECT ON {RouteDbContext.HistoryTable} TO {to};
                GRANT SELECT, INSERT, UPDATE, DELETE ON feature, feature_properties, feature_request TO {to};
                GRANT SELECT, DELETE ON feature_change TO {to};
                GRANT SELECT, INSERT, DELETE ON note TO {to};
                GRANT SELECT, UPDATE ON note_head TO {to};
                ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {to};
                ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE, SELECT ON SEQUENCES TO {to}
                """,
            connection);
        await grant.ExecuteNonQueryAsync(cancellationToken);

        // PostgreSQL only warns of what this role cannot grant.
        if ((await LookAsync()).Lacks is [_, ..] left)
        {
            throw new SchemaException(
                $"The role '{role}' lacks what the role that migrates cannot grant it. Have the owner run: "
                + $"{string.Join(' ', left.Select(privilege => $"GRANT {privilege} TO {to};"))}");
        }

        async Task<(string To, string Schema, string[] Lacks)> LookAsync()
        {
            await using var look = new NpgsqlCommand(
                """
                SELECT quote_ident(rolname), quote_ident(current_schema()), array_remove(ARRAY[
                    CASE WHEN NOT has_database_privilege(rolname, current_database(), 'CONNECT')
                        THEN 'CONNECT ON DATABASE ' || quote_ident(current_database()) END,
                    CASE WHEN NOT has_database_privilege(rolname, current_database(), 'TEMPORARY')
                        THEN 'TEMPORARY ON DATABASE ' || quote_ident(current_database()) END,
                    CASE WHEN NOT has_schema_privilege(rolname, current_schema(), 'USAGE')
                        THEN 'USAGE ON SCHEMA ' || quote_ident(current_schema()) END,
                    (SELECT 'USAGE ON SCHEMA ' || quote_ident(nspname)
                        FROM pg_extension JOIN pg_namespace AS schema ON schema.oid = extnamespace
                        WHERE extname = 'postgis' AND nspname <> current_schema()
                            AND NOT has_schema_privilege(rolname, schema.oid, 'USAGE'))], NULL)
                FROM pg_roles WHERE rolname = $1
                """,
                connection);
            look.Parameters.Add(new NpgsqlParameter<string> { TypedValue = role });
            await using var reader = await look.ExecuteReaderAsync(cancellationToken);
            return await reader.ReadAsync(cancellationToken)
                ? (reader.GetString(0), reader.GetString(1), await reader.GetFieldValueAsync<string[]>(2, cancellationToken))
                : throw new SchemaException($"There is no role '{role}' to grant to. Create it first: CREATE ROLE … LOGIN.");
        }
    }

    /// <exception cref="SchemaException">The database lacks a requirement that no migration provides.</exception>
    private static async Task CheckSettingAsync(
        NpgsqlConnection connection, PostgisDatabase database, bool toMigrate, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(SettingSql, connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        var (encoding, isVisible) = (reader.GetString(0), reader.GetBoolean(1));
        var schema = reader.GetValue(2) as string;
        var (isInstalled, isReadOnly) = (reader.GetBoolean(3), reader.GetBoolean(4));
        var (isTrigramVisible, isTrigramInstalled) = (reader.GetBoolean(5), reader.GetBoolean(7));
        var trigramSchema = reader.GetValue(6) as string;
        var problem = (encoding, schema) switch
        {
            (not "UTF8", _) => $"has the encoding {encoding}; expected UTF8. Create it with ENCODING 'UTF8'",
            (_, { } closed) when reader.GetValue(8) is false =>
                $"has PostGIS in the schema '{closed}', which this role may not use. Run GRANT USAGE ON SCHEMA \"{closed}\" TO the role",
            (_, { } other) when !isVisible => $"has PostGIS in {OutOfSight(other)}",
            (_, null) when !isInstalled =>
                "lacks PostGIS, and its server does not have it. Install it there (Debian: postgresql-15-postgis-3), and have a superuser "
                + "run CREATE EXTENSION postgis in the database",
            (_, null) when !toMigrate => "lacks PostGIS. Have a superuser run CREATE EXTENSION postgis in the database",
            _ when toMigrate && isReadOnly => "is read-only, so it cannot be migrated. Name the primary in Host, or, if it is the primary, "
                + "run ALTER DATABASE … SET default_transaction_read_only = off",

            // Only an index is made of it.
            _ when toMigrate && !isTrigramVisible && trigramSchema is not null => $"has pg_trgm in {OutOfSight(trigramSchema)}",
            _ when toMigrate && !isTrigramVisible && !isTrigramInstalled =>
                "lacks pg_trgm, and its server does not have it. Install it there: it is one of PostgreSQL's own additional modules "
                + "(Debian: postgresql-15, elsewhere also postgresql-contrib)",
            _ => null,
        };
        if (problem is not null)
        {
            throw new SchemaException($"The {database.Description} {problem}.");
        }

        static string OutOfSight(string schema) => $"the schema '{schema}', which is not in the search_path. "
            + $"Run ALTER DATABASE … SET search_path = {(schema is "public" ? schema : $"public, \"{schema}\"")}"
            + ", or name it in the Search Path of the connection string, if that has one";
    }

    /// <exception cref="SchemaException">A table that would be created exists, and this program did not create it.</exception>
    private static async Task CheckNoneInTheWayAsync(
        RouteDbContext context, List<string> missing, PostgisDatabase database, CancellationToken cancellationToken)
    {
        if (missing.Count < context.Database.GetMigrations().Count())
        {
            return;
        }

        foreach (var table in context.Model.GetEntityTypes().Select(static entity => entity.GetTableName()!))
        {
            var exists = context.Database.SqlQuery<bool>($"SELECT to_regclass({table}) IS NOT NULL AS \"Value\"");
            if (await exists.SingleAsync(cancellationToken))
            {
                throw new SchemaException(
                    $"The {database.Description} has a table '{table}' that this program did not create. "
                    + "Give the service a database or a schema of its own, or rename the table.");
            }
        }
    }

    /// <summary>Builds the indexes that are missing, as after a killed import, or invalid, as after a killed build.</summary>
    private static async Task BuildIndexesAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        if (await PostgisIndexes.LackingAsync(connection, cancellationToken) is [])
        {
            return;
        }

        // Another process may be building them.
        await LockAsync(connection, IndexLock, cancellationToken);
        await PostgisIndexes.CreateExtensionAsync(connection, cancellationToken);
        foreach (var (index, invalid) in await PostgisIndexes.LackingAsync(connection, cancellationToken))
        {
            await PostgisIndexes.BuildAsync(connection, index, invalid, cancellationToken);
        }
    }

    /// <summary>Gets a lock for the rest of the session.</summary>
    private static async Task LockAsync(NpgsqlConnection connection, long key, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT pg_try_advisory_lock($1)", connection);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = key });
        while (await command.ExecuteScalarAsync(cancellationToken) is false)
        {
            await Task.Delay(LockPause, TimeProvider.System, cancellationToken);
        }
    }

    private static Exception Refused(PostgresException answer, PostgisDatabase database) => answer.SqlState switch
    {
        PostgresErrorCodes.InsufficientPrivilege => new SchemaException(
            $"The role may not migrate the {database.Description}: {OneLine(answer)}. Migrate with the role that owns the schema; "
            + "if it is an extension, have a superuser run CREATE EXTENSION postgis there; for CREATE EXTENSION pg_trgm, CREATE on "
            + "the database is enough.",
            answer),
        PostgresErrorCodes.DuplicateTable or PostgresErrorCodes.DuplicateObject or PostgresErrorCodes.UndefinedColumn =>
            new SchemaException(
                $"The {database.Description} has objects that this program did not create: {OneLine(answer)}. "
                + "Give the service a database or a schema of its own.",
                answer),
        _ => PostgisErrors.Unavailable(answer),
    };

    private static string OneLine(PostgresException answer) => answer.MessageText.ReplaceLineEndings(" ");
}

/// <summary>The database does not have this program's schema. The message is one line for the operator.</summary>
public sealed class SchemaException(string message, Exception? innerException = null) : Exception(message, innerException);
