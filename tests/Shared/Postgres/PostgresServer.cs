using DotNet.Testcontainers.Builders;
using Npgsql;
using Testcontainers.PostgreSql;

namespace RouteService.Testing;

/// <summary>
/// A PostgreSQL with PostGIS in which each test creates its own database. The first that is available of: ROUTESERVICE_TEST_POSTGRES, a connection
/// string of a role that may create databases; a container, if a Docker engine answers; a throw-away cluster of the machine's own programs.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public sealed class PostgresServer
{
    private const string Variable = "ROUTESERVICE_TEST_POSTGRES";

    private const string Image = "postgis/postgis:15-3.3";

    private static readonly Lazy<Task<PostgresServer>> Shared = new(StartAsync);

    private readonly Lazy<Task<string>> _template;

    public PostgresServer(PostgresCluster cluster)
    {
        ConnectionString = cluster.ConnectionString;
        Cluster = cluster;
        _template = new Lazy<Task<string>>(Task.FromResult(PostgresCluster.Template));
    }

    /// <param name="connectionString">Connection string of a role that may create databases, and the extension postgis in them.</param>
    private PostgresServer(string connectionString)
    {
        ConnectionString = connectionString;
        _template = new Lazy<Task<string>>(MakeTemplateAsync);
    }

    public string ConnectionString { get; }

    /// <summary>The kind of server, for the output of the run.</summary>
    public string Origin { get; private init; } = "as given";

    /// <summary>The cluster or container, if it is ours. It would end without this reference.</summary>
    public PostgresCluster? Cluster { get; }

    /// <summary>The server that the tests of this process share; it ends with the process.</summary>
    /// <exception cref="PostgresMissingException">No server is available.</exception>
    public static Task<PostgresServer> SharedAsync() => Shared.Value;

    /// <summary>Creates a database with PostGIS and nothing else.</summary>
    public async Task<TestDatabase> CreateDatabaseAsync()
    {
        // A copy takes a fifth of the time of creating the extension.
        return await CreateDatabaseAsync(await _template.Value);
    }

    /// <summary>Creates an empty database.</summary>
    public Task<TestDatabase> CreateEmptyDatabaseAsync() => CreateDatabaseAsync("template0");

    /// <summary>Runs statements as the role of <see cref="ConnectionString"/>.</summary>
    /// <param name="sql">Statements.</param>
    /// <param name="database">Name of the database; null for that of <see cref="ConnectionString"/>.</param>
    /// <returns>The first value of the first row, if any.</returns>
    public async Task<object?> ExecuteAsync(string sql, string? database = null)
    {
        await using var connection = new NpgsqlConnection(ConnectionStringTo(database));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        return await command.ExecuteScalarAsync();
    }

    internal string ConnectionStringTo(string? database)
    {
        var builder = new NpgsqlConnectionStringBuilder(ConnectionString) { Pooling = false };
        builder.Database = database ?? builder.Database;
        return builder.ConnectionString;
    }

    /// <summary>Creates a copy of a database that has no sessions.</summary>
    internal async Task<TestDatabase> CreateDatabaseAsync(string template)
    {
        var name = UniqueName();
        await ExecuteAsync($"CREATE DATABASE {name} TEMPLATE {template}");
        return new TestDatabase(this, name);
    }

    internal async Task CreatePostgisAsync(string database)
    {
        try
        {
            await ExecuteAsync("CREATE EXTENSION postgis", database);
        }
        catch (PostgresException e)
        {
            throw new PostgresMissingException($"PostgreSQL has no PostGIS (Debian: postgresql-15-postgis-3): {e.MessageText}");
        }
    }

    private static async Task<PostgresServer> StartAsync()
    {
        var server = await FindAsync();

        // The output of the run has the standard error of the test hosts.
        await Console.Error.WriteLineAsync($"PostgreSQL of the tests: {server.Origin}.");
        return server;
    }

    private static async Task<PostgresServer> FindAsync()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given)
        {
            var server = new PostgresServer(given) { Origin = $"the one that {Variable} names" };

            // This server is not ours, and does not end with this process.
            AppDomain.CurrentDomain.ProcessExit += (_, _) => server.DropTemplate();
            return server;
        }

        string reason;
        try
        {
            return await StartContainerAsync();
        }
        catch (DockerUnavailableException)
        {
            reason = "no Docker engine answers";
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // An engine without the image, and without a way to get it.
            reason = $"the container {Image} does not start: {e.Message.ReplaceLineEndings(" ")}";
        }

        return new PostgresServer(await PostgresCluster.CreateAsync()) { Origin = $"this machine's programs, because {reason}" };
    }

    private static async Task<PostgresServer> StartContainerAsync()
    {
        // Testcontainers removes it when this process has ended.
        var container = new PostgreSqlBuilder(Image).WithCommand("-c", "fsync=off", "-c", "max_connections=200").Build();
        await container.StartAsync();
        return new PostgresServer(container.GetConnectionString()) { Origin = $"a container of {Image}" };
    }

    private async Task<string> MakeTemplateAsync()
    {
        var name = UniqueName();
        await ExecuteAsync($"CREATE DATABASE {name}");
        try
        {
            await CreatePostgisAsync(name);
            return name;
        }
        catch
        {
            await ExecuteAsync($"DROP DATABASE {name}");
            throw;
        }
    }

    private void DropTemplate()
    {
        if (_template is { IsValueCreated: true, Value: { IsCompletedSuccessfully: true } made })
        {
            ExecuteAsync($"DROP DATABASE IF EXISTS {made.Result}").Wait(TimeSpan.FromSeconds(10));
        }
    }

    private static string UniqueName() => $"routeservice_test_{Guid.NewGuid():N}";
}
