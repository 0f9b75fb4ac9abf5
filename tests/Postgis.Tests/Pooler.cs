using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace RouteService.Postgis.Tests;

/// <summary>PgBouncer in transaction mode before a PostgreSQL.</summary>
internal sealed class Pooler : IAsyncDisposable
{
    private const string Program = "/usr/sbin/pgbouncer";

    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-pooler-").FullName;
    private readonly string _settings;
    private Process _process = null!;

    private Pooler(string connectionString, int clients)
    {
        using (var listener = new TcpListener(IPAddress.Loopback, 0))
        {
            listener.Start();
            Port = ((IPEndPoint)listener.LocalEndpoint).Port;
        }

        var to = new NpgsqlConnectionStringBuilder(connectionString);
        _settings = Path.Combine(_folder, "pgbouncer.ini");
        File.WriteAllText(_settings, $"""
            [databases]
            * = host={to.Host} port={to.Port} user={to.Username} password={to.Password ?? "none"}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {Port}
            unix_socket_dir =
            auth_type = any
            pool_mode = transaction
            max_client_conn = {clients}
            server_login_retry = 1

            """);
        File.SetUnixFileMode(_folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
    }

    public int Port { get; }

    /// <summary>Starts one, and skips the test where the program is missing.</summary>
    /// <param name="server">The connection string of the PostgreSQL.</param>
    /// <param name="clients">The most connections it takes.</param>
    public static async Task<Pooler> StartAsync(string server, int clients = 100)
    {
        Assert.SkipUnless(File.Exists(Program), "pgbouncer is missing: apt-get install pgbouncer");
        var pooler = new Pooler(server, clients);
        await pooler.StartAsync();
        return pooler;
    }

    /// <summary>The connection string to a database through it, as docs/operations/database.md has it.</summary>
    public string To(TestDatabase database) =>
        $"Host=127.0.0.1;Port={Port};Database={database.Name};Username=postgres;Max Auto Prepare=0";

    public async Task RestartAsync()
    {
        await StopAsync();
        await StartAsync();
    }

    public async Task StopAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    public async Task StartAsync()
    {
        // As root it will not run.
        string[] user = Environment.IsPrivilegedProcess ? ["-u", "nobody"] : [];
        _process = Process.Start(new ProcessStartInfo(Program, ["-q", .. user, _settings]) { RedirectStandardError = true })!;
        var errors = _process.StandardError.ReadToEndAsync();
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (true)
        {
            Assert.False(_process.HasExited, _process.HasExited ? await errors : "");
            try
            {
                using var socket = new TcpClient();
                await socket.ConnectAsync(IPAddress.Loopback, Port, patience.Token);
                return;
            }
            catch (SocketException)
            {
                await Task.Delay(20, patience.Token);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
