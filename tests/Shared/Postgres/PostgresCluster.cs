using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace RouteService.Testing;

/// <summary>
/// A throw-away PostgreSQL from the machine's own programs, on a free port of 127.0.0.1. It requires no password; the superuser is postgres.
/// It ends with this process, also if this process is killed.
/// </summary>
public sealed class PostgresCluster : IAsyncDisposable
{
    // Waits for the end of its input, which comes when this process ends, even by kill -9: then it stops the server in the folder, and removes the
    // folder. It runs in the background and holds none of our files open, so nothing waits for it. The second pass is for a server that was starting.
    private const string Guard = """
        trap '' INT HUP TERM
        exec 3<&0 >/dev/null 2>&1
        (
            read -r line <&3
            folder=$1
            shift
            for pass in 1 2; do
                for file in "$folder"/*/postmaster.pid; do
                    [ ! -e "$file" ] || "$@" -D "${file%/postmaster.pid}" -m immediate -w stop
                done
                rm -rf "$folder"
                sleep 2
            done
        ) &
        """;

    // Durability is not needed: the data need not survive the machine.
    private const string Settings = """
        listen_addresses = '127.0.0.1'
        unix_socket_directories = ''
        fsync = off
        synchronous_commit = off
        full_page_writes = off
        max_connections = 200
        max_wal_size = 4GB
        wal_keep_size = 256MB
        """;

    /// <summary>The database with PostGIS, from which others are copied.</summary>
    internal const string Template = "template1";

    // Whose folder is copied for each cluster: a copy takes a tenth of the time of making one.
    private static readonly Lazy<Task<PostgresCluster>> Seed = new(MakeSeedAsync);

    // Another program may take the port between our check and PostgreSQL's use of it.
    private const int Attempts = 5;

    private readonly Programs _programs;
    private readonly string _folder;
    private readonly string _data;
    private readonly Process? _guard;

    private PostgresCluster(Programs programs, string folder, string name, Process? guard)
    {
        _programs = programs;
        _folder = folder;
        _data = Path.Combine(folder, name);
        _guard = guard;
    }

    /// <summary>The port, which stays the same when the cluster is stopped and started again.</summary>
    public int Port { get; private set; }

    /// <summary>The connection string of the superuser.</summary>
    public string ConnectionString => $"Host=127.0.0.1;Port={Port};Username=postgres;Database=postgres";

    /// <summary>Creates a cluster, whose template1 has PostGIS, and starts it.</summary>
    /// <exception cref="PostgresMissingException">This machine has no PostgreSQL, or it has no PostGIS.</exception>
    public static async Task<PostgresCluster> CreateAsync(params string[] settings)
    {
        var seed = await Seed.Value;
        var cluster = await MakeAsync(seed._programs);
        try
        {
            await seed._programs.CopyAsync(seed._data, cluster._data);
            await seed._programs.AppendAsync(Path.Combine(cluster._data, "postgresql.conf"), string.Join('\n', settings));
            await cluster.StartOnFreePortAsync();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Creates a hot standby of this cluster, which follows it by streaming, and starts it. Dispose of it before its primary.</summary>
    public async Task<PostgresCluster> CreateStandbyAsync()
    {
        var standby = new PostgresCluster(_programs, _folder, $"standby-{Guid.NewGuid():N}", guard: null);
        await _programs.RunAsync(
            "pg_basebackup", "-d", $"host=127.0.0.1 port={Port} user=postgres", "-D", standby._data, "-R", "-X", "stream", "-c", "fast", "--no-sync");
        await standby.StartOnFreePortAsync();
        return standby;
    }

    /// <summary>Starts it after <see cref="StopAsync"/>, on the same port.</summary>
    public Task StartAsync() => _programs.RunAsync(
        "pg_ctl", "-D", _data, "-l", LogFile, "-o", $"-c port={Port}", "-t", "120", "-w", "start");

    public Task StopAsync(StopMode mode = StopMode.Fast) => _programs.RunAsync(
        "pg_ctl", "-D", _data, "-m", mode.ToString().ToLowerInvariant(), "-t", "120", "-w", "stop");

    public async Task RestartAsync(StopMode mode = StopMode.Fast)
    {
        await StopAsync(mode);
        await StartAsync();
    }

    /// <summary>Promotes a standby to primary.</summary>
    public Task PromoteAsync() => _programs.RunAsync("pg_ctl", "-D", _data, "-t", "120", "-w", "promote");

    /// <summary>Returns when a standby has caught up with this primary.</summary>
    public async Task WaitForStandbyAsync(PostgresCluster standby)
    {
        await using var ours = new NpgsqlConnection($"{ConnectionString};Pooling=false");
        await ours.OpenAsync();
        await using var where = new NpgsqlCommand("SELECT pg_current_wal_lsn()::text", ours);
        var position = (string)(await where.ExecuteScalarAsync())!;
        await using var theirs = new NpgsqlConnection($"{standby.ConnectionString};Pooling=false");
        await theirs.OpenAsync();
        await using var there = new NpgsqlCommand("SELECT coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false)", theirs)
        {
            Parameters = { new NpgsqlParameter<string> { TypedValue = position } },
        };
        while (!(bool)(await there.ExecuteScalarAsync())!)
        {
            await Task.Delay(20);
        }
    }

    /// <summary>Its log.</summary>
    public Task<string> ReadLogAsync() => File.ReadAllTextAsync(LogFile);

    public async ValueTask DisposeAsync()
    {
        try
        {
            await StopAsync(StopMode.Immediate);
        }
        catch (InvalidOperationException)
        {
            // It is not running. If it is and cannot be stopped, the guard tries again.
        }

        _guard?.StandardInput.Close();
        _guard?.Dispose();
    }

    private string LogFile => $"{_data}.log";

    private async Task StartOnFreePortAsync()
    {
        for (var attempt = 1; ; attempt++)
        {
            Port = FreePort.Next();
            try
            {
                await StartAsync();
                return;
            }
            catch (InvalidOperationException e)
            {
                var log = File.Exists(LogFile) ? await ReadLogAsync() : "";
                if (attempt == Attempts || !log.Contains("Address already in use", StringComparison.Ordinal))
                {
                    throw new InvalidOperationException($"{e.Message}\n{log}", e);
                }
            }
        }
    }

    private static async Task<PostgresCluster> MakeAsync(Programs programs)
    {
        var folder = await programs.MakeFolderAsync();
        return new PostgresCluster(programs, folder, "primary", StartGuard(programs, folder));
    }

    private static async Task<PostgresCluster> MakeSeedAsync()
    {
        var programs = await Programs.FindAsync();
        var seed = await MakeAsync(programs);
        await programs.RunAsync(
            "initdb", "-D", seed._data, "-U", "postgres", "-A", "trust", "--locale=C", "-E", "UTF8", "--no-sync", "--no-instructions");
        await programs.AppendAsync(Path.Combine(seed._data, "postgresql.conf"), Settings);
        await seed.StartOnFreePortAsync();
        await new PostgresServer(seed).CreatePostgisAsync(Template);
        await seed.StopAsync();
        return seed;
    }

    private static Process StartGuard(Programs programs, string folder)
    {
        var start = new ProcessStartInfo("sh", ["-c", Guard, "sh", folder, .. programs.Command("pg_ctl")])
        {
            WorkingDirectory = "/",
            RedirectStandardInput = true,
        };
        return Process.Start(start)!;
    }
}

/// <summary>How PostgreSQL is stopped.</summary>
public enum StopMode
{
    /// <summary>Ends the sessions and shuts down in order.</summary>
    Fast,

    /// <summary>Drops everything, as a crash does.</summary>
    Immediate,
}
