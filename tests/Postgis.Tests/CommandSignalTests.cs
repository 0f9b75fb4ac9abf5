using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace RouteService.Postgis.Tests;

/// <summary>A command of the built program that is ended in the middle has done nothing, or is as if it had never begun after the next one.</summary>
public sealed class CommandSignalTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(RunningService.SigTerm, "import", "places.csv")]
    [InlineData(RunningService.SigTerm, "import", "places.csv", "--replace")]
    [InlineData(RunningService.SigKill, "import", "places.csv", "--replace")]
    [InlineData(RunningService.SigTerm, "export", "out.csv")]
    [InlineData(RunningService.SigTerm, "export", "out.csv.gz")]
    public async Task A_signal_in_the_middle_changes_nothing(int signal, params string[] arguments)
    {
        await using var database = await Postgres.DatabaseAsync();
        await database.FillAsync(100);
        await File.WriteAllTextAsync(Path.Combine(_folder, "places.csv"), "name,lat,lon\nnew,1,2\n");
        using var command = Start(database, arguments);
        await using (await database.LockFeaturesAsync())
        {
            await database.UntilAsync(Sessions.Waiting, static count => count > 0);
            await SignalAsync(command, signal);
        }

        await database.UntilAsync(Sessions.OfService, static count => count == 0);
        Assert.Equal(100L, await database.ExecuteAsync("SELECT count(*) FROM feature WHERE name LIKE 'place %'"));
        Assert.Equal(100L, await database.ExecuteAsync("SELECT count(*) FROM feature"));
        Assert.Equal(["places.csv"], Directory.GetFileSystemEntries(_folder).Select(Path.GetFileName));
    }

    [Fact]
    public async Task A_second_signal_ends_a_command_whatever_it_waits_for()
    {
        // An export whose reader does not read waits within a write, which no token ends.
        await using var database = await Postgres.DatabaseAsync();
        await database.ExecuteAsync("INSERT INTO feature (latitude, longitude, name) SELECT i, 0, repeat('x', 1000) FROM generate_series(1, 30000) AS i");
        using var command = Start(database, ["export", "--format", "csv"]);
        await database.UntilAsync($"{Sessions.OfService} AND wait_event = 'ClientWrite'", static count => count > 0);
        while (!command.HasExited && RunningService.TrySend(RunningService.SigTerm, command.Id))
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            await Task.WhenAny(command.WaitForExitAsync(), Task.Delay(200));
        }

        await command.WaitForExitAsync();
        Assert.Equal(128 + RunningService.SigTerm, command.ExitCode);
    }

    [Fact]
    public async Task What_a_killed_export_leaves_is_gone_after_the_next_one_and_another_that_is_under_way_goes_on()
    {
        await using var database = await Postgres.DatabaseAsync();
        await database.FillAsync(100);
        await File.WriteAllTextAsync(Path.Combine(_folder, "out.csv.new"), "not ours");
        Process goesOn;
        await using (await database.LockFeaturesAsync())
        {
            for (var i = 0; i < 2; i++)
            {
                using var killed = Start(database, ["export", "out.csv"]);
                await database.UntilAsync(Sessions.Waiting, static count => count > 0);
                await SignalAsync(killed, RunningService.SigKill);
                await database.TerminateAsync();
            }

            goesOn = Start(database, ["export", "out.csv"]);
            await database.UntilAsync(Sessions.Waiting, static count => count > 0);
            Assert.Equal(["out.csv.new", "a draft"], Files());
            using var other = Start(database, ["export", "out.csv"]);
            await database.UntilAsync(Sessions.Waiting, static count => count == 2);
            Assert.Equal(["out.csv.new", "a draft", "a draft"], Files());
            await SignalAsync(other, RunningService.SigTerm);
        }

        using (goesOn)
        {
            await goesOn.WaitForExitAsync();
            Assert.Equal(0, goesOn.ExitCode);
        }

        Assert.Equal(["out.csv", "out.csv.new"], Files());
        Assert.Equal("not ours", await File.ReadAllTextAsync(Path.Combine(_folder, "out.csv.new")));
        Assert.Equal(101, (await File.ReadAllLinesAsync(Path.Combine(_folder, "out.csv"))).Length);

        // Ours first, then drafts, whatever their names are.
        IEnumerable<string> Files() => Directory.GetFiles(_folder).Select(static file => Path.GetFileName(file) is var name && name.Length > 20 ? "a draft" : name)
            .OrderBy(static name => name is "a draft").ThenBy(static name => name, StringComparer.Ordinal);
    }

    [Theory]
    [InlineData(RunningService.SigTerm)]
    [InlineData(RunningService.SigKill)]
    public async Task A_migration_that_is_ended_in_the_middle_leaves_nothing_of_itself_and_the_next_run_goes_on(int signal)
    {
        await using var database = await (await Postgres.ServerAsync()).CreateEmptyDatabaseAsync();
        await database.ExecuteAsync("""
            CREATE FUNCTION linger() RETURNS event_trigger LANGUAGE plpgsql AS
                'BEGIN IF to_regclass(''note'') IS NOT NULL THEN PERFORM pg_sleep(600); END IF; END';
            CREATE EVENT TRIGGER linger ON ddl_command_start EXECUTE FUNCTION linger()
            """);
        using var command = Start(database, ["migrate"]);
        await database.UntilAsync($"{Sessions.OfService} AND wait_event = 'PgSleep'", static count => count > 0);

        await SignalAsync(command, signal, "Cancelled; the migrations that were applied before stay");

        await database.TerminateAsync();
        await database.ExecuteAsync("DROP EVENT TRIGGER linger; DROP FUNCTION linger");
        Assert.Equal("feature", await database.ExecuteAsync("SELECT string_agg(relname, ' ') FROM pg_class WHERE relname IN ('feature', 'note')"));
        using var again = Start(database, ["migrate"]);
        await again.WaitForExitAsync();
        Assert.Equal(0, again.ExitCode);
        Assert.Contains("has been migrated: 0002_notes, ", await again.StandardOutput.ReadToEndAsync());
    }

    [Fact]
    public async Task A_service_that_is_ended_while_it_starts_ends_as_any_other()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        using var service = Start($"Host=127.0.0.1;Port={((IPEndPoint)silent.LocalEndpoint).Port};Username=postgres;Timeout=60", ["serve"]);
        using var waiting = await silent.AcceptTcpClientAsync();

        RunningService.Send(RunningService.SigTerm, service.Id);

        await service.WaitForExitAsync();
        Assert.Equal((0, ""), (service.ExitCode, await service.StandardError.ReadToEndAsync()));
    }

    private Process Start(TestDatabase database, string[] arguments) =>
        Start(new NpgsqlConnectionStringBuilder(database.ConnectionString) { ApplicationName = null }.ConnectionString, arguments);

    private Process Start(string connectionString, string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Repository.Program, .. arguments])
        {
            WorkingDirectory = _folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in RunningService.Environment)
        {
            start.Environment[name] = value;
        }

        start.Environment["ConnectionStrings__RouteService"] = connectionString;
        return Process.Start(start)!;
    }

    private static async Task SignalAsync(Process command, int signal, string told = "Cancelled; nothing was changed.")
    {
        RunningService.Send(signal, command.Id);
        await command.WaitForExitAsync();
        if (signal == RunningService.SigTerm)
        {
            Assert.Equal(130, command.ExitCode);
            Assert.StartsWith(told, Assert.Single((await command.StandardError.ReadToEndAsync()).Trim().Split('\n')));
        }
    }
}
