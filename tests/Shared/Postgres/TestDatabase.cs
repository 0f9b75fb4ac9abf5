using Npgsql;

namespace RouteService.Testing;

/// <summary>A database of one test; disposal drops it with all its sessions.</summary>
public sealed class TestDatabase : IAsyncDisposable
{
    internal TestDatabase(PostgresServer server, string name)
    {
        Server = server;
        Name = name;
        ConnectionString = new NpgsqlConnectionStringBuilder(server.ConnectionString) { Database = name }.ConnectionString;
    }

    public PostgresServer Server { get; }

    public string Name { get; }

    public string ConnectionString { get; }

    /// <inheritdoc cref="PostgresServer.ExecuteAsync" />
    public Task<object?> ExecuteAsync(string sql) => Server.ExecuteAsync(sql, Name);

    /// <summary>Creates a copy of this database, which must have no sessions.</summary>
    public Task<TestDatabase> CopyAsync() => Server.CreateDatabaseAsync(Name);

    /// <summary>Restores a dump of this database in an empty one, by PostgreSQL's programs.</summary>
    /// <exception cref="PostgresMissingException">This machine does not have them.</exception>
    public async Task RestoreToAsync(TestDatabase empty)
    {
        var programs = await Programs.FindAsync();
        var file = $"{await programs.MakeFolderAsync()}/dump";
        await programs.RunAsync("pg_dump", "--format=custom", $"--file={file}", $"--dbname={Uri}");
        await programs.RunAsync("pg_restore", "--exit-on-error", $"--dbname={empty.Uri}", file);
        await programs.RemoveAsync(Path.GetDirectoryName(file)!);
    }

    private string Uri => new NpgsqlConnectionStringBuilder(ConnectionString) is var parts && parts.Password is { } password
        ? $"postgresql://{parts.Username}:{System.Uri.EscapeDataString(password)}@{parts.Host}:{parts.Port}/{Name}"
        : $"postgresql://{parts.Username}@{parts.Host}:{parts.Port}/{Name}";

    public async ValueTask DisposeAsync() => await Server.ExecuteAsync($"DROP DATABASE IF EXISTS {Name} WITH (FORCE)");
}
