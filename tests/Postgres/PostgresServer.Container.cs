using Testcontainers.PostgreSql;

namespace RouteService.Testing.Postgres;

public sealed partial class PostgresServer
{
    private const string Image = "postgis/postgis:15-3.3";

    static partial void UseContainer(ref Func<Task<string>>? start) => start = static async () =>
    {
        // Testcontainers removes it when this process has ended.
        var container = new PostgreSqlBuilder().WithImage(Image).WithCommand("-c", "fsync=off", "-c", "max_connections=200").Build();
        await container.StartAsync();
        return container.GetConnectionString();
    };
}
