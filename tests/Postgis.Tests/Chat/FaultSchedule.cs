
namespace RouteService.Postgis.Tests.Chat;

/// <summary>Faults with their times and targets.</summary>
internal sealed record FaultSchedule(IReadOnlyList<Fault> Faults)
{
    /// <summary>A random schedule: replicas and the database each have one fault after the other, in parallel.</summary>
    public static FaultSchedule Create(Random chance, double seconds)
    {
        var faults = new List<Fault>();
        for (var replica = 0; replica < ChatReplicas.Count; replica++)
        {
            Add([FaultKind.Kill, FaultKind.Kill, FaultKind.Terminate, FaultKind.Pause], replica, pause: 10);
        }

        Add([FaultKind.StopDatabase, FaultKind.CrashDatabase, FaultKind.EndSessions, FaultKind.EndListeners, FaultKind.EndListeners], replica: null, pause: 6);
        return new FaultSchedule([.. faults.OrderBy(static fault => fault.At)]);

        void Add(FaultKind[] kinds, int? replica, double pause)
        {
            for (var at = pause * chance.NextDouble(); at < seconds;)
            {
                var fault = new Fault(Math.Round(at, 2), kinds[chance.Next(kinds.Length)], replica, Math.Round(0.1 + (4 * Math.Pow(chance.NextDouble(), 2)), 2));
                faults.Add(fault);
                at += fault.Lasts + 0.5 + (2 * pause * chance.NextDouble());
            }
        }
    }

    /// <summary>Carries out the schedule, and returns when all replicas are ready again.</summary>
    public Task RunAsync(ChatReplicas replicas) =>
        Task.WhenAll(Faults.GroupBy(static fault => fault.Replica).Select(faults => RunAsync(replicas, [.. faults])));

    public override string ToString() => string.Join('\n', Faults);

    private static async Task RunAsync(ChatReplicas replicas, Fault[] faults)
    {
        var started = DateTime.UtcNow;
        foreach (var fault in faults)
        {
            var wait = started.AddSeconds(fault.At) - DateTime.UtcNow;
            await Task.Delay(wait > TimeSpan.Zero ? wait : TimeSpan.Zero);
            await RunAsync(replicas, fault.Kind, fault.Replica ?? 0, TimeSpan.FromSeconds(fault.Lasts));
        }
    }

    private static async Task RunAsync(ChatReplicas replicas, FaultKind kind, int replica, TimeSpan lasts)
    {
        switch (kind)
        {
            case FaultKind.Kill or FaultKind.Terminate:
                await replicas.StopAsync(replica, kind is FaultKind.Kill ? RunningService.SigKill : RunningService.SigTerm);
                await Task.Delay(lasts);
                await replicas.StartAsync(replica);
                break;

            case FaultKind.Pause:
                await replicas.PauseAsync(replica, 3 * lasts);
                break;

            case FaultKind.StopDatabase or FaultKind.CrashDatabase:
                await replicas.Cluster.StopAsync(kind is FaultKind.StopDatabase ? StopMode.Fast : StopMode.Immediate);
                await Task.Delay(lasts);
                await replicas.Cluster.StartAsync();
                break;

            case FaultKind.EndSessions:
                await replicas.TerminateSessionsAsync();
                break;

            default:
                await replicas.TerminateListenersAsync();
                break;
        }
    }
}

/// <summary>One fault.</summary>
/// <param name="At">Seconds until the fault, which also waits for the end of the target's fault before it.</param>
/// <param name="Replica">Replica; null for the database.</param>
/// <param name="Lasts">Duration in seconds, for faults that last.</param>
internal sealed record Fault(double At, FaultKind Kind, int? Replica, double Lasts)
{
    public override string ToString() => FormattableString.Invariant($"{At,6} s: {Kind}{(Replica is null ? "" : $" of replica {Replica}")}, {Lasts} s");
}

internal enum FaultKind
{
    /// <summary>kill -9, and a restart.</summary>
    Kill,

    /// <summary>SIGTERM, and a restart.</summary>
    Terminate,

    /// <summary>SIGSTOP, and SIGCONT.</summary>
    Pause,

    /// <summary>PostgreSQL stops in order, and starts.</summary>
    StopDatabase,

    /// <summary>PostgreSQL stops as by a crash, and starts.</summary>
    CrashDatabase,

    /// <summary>pg_terminate_backend on all sessions of the service.</summary>
    EndSessions,

    /// <summary>pg_terminate_backend on the listening sessions of the replicas.</summary>
    EndListeners,
}
