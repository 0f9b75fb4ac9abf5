using Grpc.Net.Client;
using RouteService.Domain.Chat;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Postgis.Tests.Chat;

/// <summary>Three replicas of the built program on one PostgreSQL, and their faults. The tests of a class share them, one after the other.</summary>
public sealed class ChatReplicas : IAsyncLifetime
{
    public const int Count = 3;

    // As a condition on pg_stat_activity.
    private const string Listening = $"{Sessions.OfService} AND query LIKE 'LISTEN route_note%'";

    private static readonly Dictionary<string, string> Settings = new()
    {
        // The checker needs histories without a bound. The cache holds a part of the notes, so that the log is read too.
        ["RouteService__Chat__HistoryPerPost"] = "1000000",
        ["RouteService__Chat__CacheMegabytes"] = "1",
        ["RouteService__Shutdown__GraceSeconds"] = "5",
    };

    private readonly RunningService[] _services = [.. Enumerable.Range(0, Count).Select(static _ => new RunningService())];

    private TestDatabase _database = null!;

    internal PostgresCluster Cluster { get; private set; } = null!;

    internal string ConnectionString => _database.ConnectionString;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    /// <summary>Starts the database and the replicas that are not running.</summary>
    internal async Task StartAsync()
    {
        if (Cluster is null)
        {
            // Acknowledged notes survive a crash of PostgreSQL, though not of the machine.
            Cluster = await Postgres.ClusterAsync("synchronous_commit = on");
            _database = await Postgres.DatabaseAsync(Cluster);
        }

        await Task.WhenAll(Enumerable.Range(0, Count).Where(i => _services[i].HasExited).Select(StartAsync));
    }

    /// <summary>Checks that no replica has ended except by a fault.</summary>
    internal void AssertRunning() => Assert.DoesNotContain(_services, static service => service.HasExited);

    internal async Task StartAsync(int replica)
    {
        var service = _services[replica];
        foreach (var (name, value) in Settings)
        {
            service.Settings[name] = value;
        }

        service.Settings["ConnectionStrings__RouteService"] = _database.ConnectionString;
        await service.LaunchAsync("dotnet", Repository.Program);
    }

    internal GrpcChannel Connect(int replica) => GrpcChannel.ForAddress($"http://localhost:{_services[replica].GrpcPort}");

    /// <returns>The exit code.</returns>
    internal Task<int> StopAsync(int replica, int signal) => _services[replica].StopAsync(signal);

    internal async Task PauseAsync(int replica, TimeSpan time)
    {
        _services[replica].Send(RunningService.SigStop);
        try
        {
            await Task.Delay(time);
        }
        finally
        {
            _services[replica].Send(RunningService.SigCont);
        }
    }

    /// <summary>Waits until every replica has a listening session.</summary>
    internal Task UntilAllListenAsync() => _database.UntilAsync(Listening, static sessions => sessions >= Count);

    /// <summary>Ends the listening sessions of the replicas.</summary>
    /// <returns>Number of sessions.</returns>
    internal async Task<long> TerminateListenersAsync() => (long)(await _database.ExecuteAsync(
        $"SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE {Listening}"))!;

    internal Task TerminateSessionsAsync() => _database.TerminateAsync();

    /// <summary>The output of the replicas.</summary>
    internal string Output => string.Join("\n\n", _services.Select(static service => service.Output));

    internal async Task<IReadOnlyList<LoggedNote>> ReadLogAsync()
    {
        await using var connections = new PostgisDatabase(_database.ConnectionString);
        return await new PostgisNoteLog(connections).ReadAfterAsync(0, int.MaxValue, default);
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            foreach (var service in _services)
            {
                await service.DisposeAsync();
            }
        }
        finally
        {
            if (Cluster is not null)
            {
                await Cluster.DisposeAsync();
            }
        }
    }
}
