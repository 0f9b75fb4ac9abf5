using System.Net;
using System.Text.RegularExpressions;
using Grpc.Core;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using RouteService.Infrastructure.Postgis;
using RouteService.Testing.Postgres;

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
        var database = Ours(await Postgres.DatabaseAsync());
        await using var connections = new PostgisDatabase(database.ConnectionString);
        await using var context = new PlacesContext(connections.Writes);

        foreach (var entity in context.Model.GetEntityTypes())
        {
            var modelled = entity.GetProperties().Select(static property => (Name: property.GetColumnName(), property.IsNullable)).ToDictionary();
            await using var command = connections.Writes.CreateCommand(
                """
                SELECT column_name, is_nullable = 'YES' FROM information_schema.columns
                WHERE table_schema = 'public' AND table_name = $1 AND is_generated = 'NEVER'
                """);
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = entity.GetTableName()! });
            await using var reader = await command.ExecuteReaderAsync();
            var columns = new Dictionary<string, bool>();
            while (await reader.ReadAsync())
            {
                columns.Add(reader.GetString(0), reader.GetBoolean(1));
            }

            Assert.Equal(columns, modelled!);
        }
    }

    [Fact]
    public async Task A_database_without_the_schema_is_told_in_a_line()
    {
        var database = await EmptyDatabaseAsync();
        const string Complaint = "is older than this program: it lacks 0001_features";

        AssertRefused(await Program.RunAsync(database.ConnectionString), Complaint);
        AssertRefused(await Program.ImportAsync(database.ConnectionString, "name,latitude,longitude\n"), Complaint);
    }

    [Fact]
    public async Task A_newer_database_is_told_in_a_line()
    {
        var database = Ours(await Postgres.DatabaseAsync());
        await database.ExecuteAsync("""INSERT INTO schema_migration ("MigrationId", "ProductVersion") VALUES ('9999_later', '99.0.0')""");
        const string Complaint = "is newer than this program: it has 9999_later";

        AssertRefused(await Program.RunAsync(database.ConnectionString), Complaint);
        AssertRefused(await Program.MigrateAsync(database.ConnectionString), Complaint);
        AssertRefused(await Program.ImportAsync(database.ConnectionString, "name,latitude,longitude\n"), Complaint);
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
        var database = await new PostgresServer(cluster.ConnectionString).CreateEmptyDatabaseAsync();
        await cluster.StopAsync();
        var service = await LaunchAsync(database.ConnectionString);
        await cluster.StartAsync();

        // It is said in the log, and to callers.
        var log = await service.OutputAsync("is older than this program");
        Assert.Contains("0001_features", log);
        Assert.Contains("migrated", await ServiceOnPostgis.AssertFailsAsync(StatusCode.Unavailable, service.CountAsync));
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

        foreach (var role in (string[])["places_owner", "places_import"])
        {
            Assert.Contains("The store has 2 features.", (await Program.ImportAsync(As(role, database), Places, "--replace")).AssertSuccess().Output);
        }

        AssertRefused(await Program.ImportAsync(As("places_service", database), Places), "The service may not use the database's tables.");
        foreach (var role in (string[])["places_owner", "places_import", "places_service"])
        {
            Assert.Contains("is up to date", (await Program.MigrateAsync(As(role, database))).AssertSuccess().Output);
            await using var service = await ServiceOnPostgis.StartAsync(As(role, database));
            Assert.Equal("One", await service.NameAtAsync(10_000_000, 20_000_000));
            Assert.Equal(2, await service.CountAsync());
        }

        static async Task<string> DocumentedGrantsAsync(string database)
        {
            var text = await File.ReadAllTextAsync(Repository.File("docs", "operations.md"));
            var sql = Regex.Match(text, "```sql\n(GRANT .+?)```", RegexOptions.Singleline);
            Assert.True(sql.Success, "docs/operations.md has no grants.");
            return sql.Groups[1].Value.Replace("DATABASE places ", $"DATABASE {database} ", StringComparison.Ordinal);
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

        AssertRefused(await Program.MigrateAsync(As("nobody", database)), "The database does not let the service in.");
        AssertRefused(
            await Program.MigrateAsync(database.ConnectionString.Replace(database.Name, "missing", StringComparison.Ordinal)),
            "The database does not exist.");
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
        var server = new PostgresServer(Ours(await Postgres.ClusterAsync()).ConnectionString);
        return (server, await server.CreateEmptyDatabaseAsync());
    }
}
