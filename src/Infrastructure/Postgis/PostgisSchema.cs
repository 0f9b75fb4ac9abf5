using Microsoft.EntityFrameworkCore;
using Npgsql;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Postgis;

/// <summary>The schema: whether the database has the one this program was built for, and how it gets it.</summary>
public static class PostgisSchema
{
    // Any number that nobody else locks; these are the letters "RouteSvc".
    private const long MigrationLock = 0x526F757465537663;

    /// <summary>Looks whether the database has exactly the migrations of this program.</summary>
    /// <exception cref="SchemaException">It is older or newer; says so and what to do, in one line.</exception>
    /// <exception cref="StoreUnavailableException">It cannot be asked.</exception>
    public static async Task CheckAsync(PostgisDatabase database, CancellationToken cancellationToken)
    {
        try
        {
            await using var context = new PlacesContext(database.Schema);

            // Else a database that does not exist would count as one without migrations.
            await context.Database.OpenConnectionAsync(cancellationToken);
            if (await MissingAsync(context, database, cancellationToken) is { Count: > 0 } missing)
            {
                throw new SchemaException(
                    $"The {database.Description} is older than this program: it lacks {string.Join(", ", missing)}. "
                    + "Run 'migrate', or set RouteService__Postgres__MigrateOnStart to true.");
            }
        }
        catch (Exception e) when (FaultIn(e) is { } fault)
        {
            throw PostgisErrors.Unavailable(fault);
        }
    }

    /// <summary>Brings the database to this program's schema; of many that do so at once, one does, and the others wait for it.</summary>
    /// <returns>The names of what was applied; none where it was up to date.</returns>
    /// <exception cref="SchemaException">The database is newer, or does not allow it; says what to do, in one line.</exception>
    /// <exception cref="StoreUnavailableException">It cannot be asked.</exception>
    public static async Task<IReadOnlyList<string>> MigrateAsync(PostgisDatabase database, CancellationToken cancellationToken)
    {
        try
        {
            await using var context = new PlacesContext(database.Writes);

            // The lock is the connection's, which stays open until the end and takes it along if we are killed.
            await context.Database.OpenConnectionAsync(cancellationToken);
            context.Database.SetCommandTimeout(TimeSpan.Zero);
            await context.Database.ExecuteSqlAsync($"SELECT pg_advisory_lock({MigrationLock})", cancellationToken);
            try
            {
                var missing = await MissingAsync(context, database, cancellationToken);
                if (missing.Count > 0)
                {
                    // Even with nothing to do it creates its history table, which a role that only reads may not.
                    await context.Database.MigrateAsync(cancellationToken);
                }

                return missing;
            }
            finally
            {
                await context.Database.ExecuteSqlAsync($"SELECT pg_advisory_unlock({MigrationLock})", CancellationToken.None);
            }
        }
        catch (PostgresException e) when (e is { SqlState: PostgresErrorCodes.InsufficientPrivilege })
        {
            throw new SchemaException(
                $"The role may not migrate the {database.Description}: {e.MessageText}. Migrate with the role that owns the schema; "
                + "if it is the extension, have a superuser run CREATE EXTENSION postgis there.", e);
        }
        catch (Exception e) when (FaultIn(e) is { } fault)
        {
            throw PostgisErrors.Unavailable(fault);
        }
    }

    /// <summary>The migrations of this program that the database does not have.</summary>
    /// <exception cref="SchemaException">It has others.</exception>
    private static async Task<List<string>> MissingAsync(
        PlacesContext context, PostgisDatabase database, CancellationToken cancellationToken)
    {
        var known = context.Database.GetMigrations().ToList();
        var applied = (await context.Database.GetAppliedMigrationsAsync(cancellationToken)).ToList();
        if (applied.Except(known, StringComparer.Ordinal).ToList() is { Count: > 0 } unknown)
        {
            throw new SchemaException(
                $"The {database.Description} is newer than this program: it has {string.Join(", ", unknown)}. "
                + "Run the program that migrated it, or a later one.");
        }

        return known.Except(applied, StringComparer.Ordinal).ToList();
    }

    /// <summary>The database's fault; EF Core wraps a transient one in an InvalidOperationException.</summary>
    private static NpgsqlException? FaultIn(Exception e) =>
        e as NpgsqlException ?? (e as InvalidOperationException)?.InnerException as NpgsqlException;
}

/// <summary>The database's schema is not this program's. The message is for the person who runs it, one line.</summary>
public sealed class SchemaException(string message, Exception? innerException = null) : Exception(message, innerException);
