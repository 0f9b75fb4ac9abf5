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

    public async ValueTask DisposeAsync() => await Server.ExecuteAsync($"DROP DATABASE IF EXISTS {Name} WITH (FORCE)");
}
