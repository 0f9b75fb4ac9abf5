using Npgsql;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Domain.Tests;
using RouteService.Domain.Watch;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Postgis.Tests;

/// <summary>Which server is asked, and what is tried again on which, when there are a primary and a standby.</summary>
public sealed class PrimaryTests : ServiceTest
{
    private PostgresCluster _primary = null!;
    private PostgresCluster _standby = null!;
    private TestDatabase _database = null!;

    [Fact]
    public async Task A_primary_that_has_moved_is_found_by_the_first_note_that_meets_the_old_one()
    {
        await StartAsync();
        await using var host = new TcpSwitch(_primary.Port);
        await using var connections = new PostgisDatabase(At(host.Port));
        var log = new PostgisNoteLog(connections);
        Assert.Equal([1], (await log.AppendAsync([Note("a")], default)).Select(static note => note.Sequence));
        await FailOverAsync(host);

        Assert.Equal([2], (await log.AppendAsync([Note("b")], default)).Select(static note => note.Sequence));
        Assert.Equal(_standby.Port, await connections.ReadPrimaryAsync(ServerPortAsync, default));
    }

    [Fact]
    public async Task While_there_is_no_other_server_a_note_is_refused_as_read_only()
    {
        await StartAsync();
        await using var connections = new PostgisDatabase(At(_standby.Port));

        var error = await Assert.ThrowsAsync<StoreUnavailableException>(() => new PostgisNoteLog(connections).AppendAsync([Note("a")], default));

        Assert.Equal("The database is read-only; expected the primary.", error.Message);
    }

    [Fact]
    public async Task Notes_that_a_read_only_server_refuses_leave_readers_their_connections()
    {
        await StartAsync();
        await using var connections = new PostgisDatabase($"{At(_standby.Port)};Maximum Pool Size=1");
        var log = new PostgisNoteLog(connections);
        var before = await connections.ReadAsync(SessionAsync, default);

        await Assert.ThrowsAsync<StoreUnavailableException>(() => log.AppendAsync([Note("a")], default));
        await Assert.ThrowsAsync<StoreUnavailableException>(() => connections.CheckWritableAsync(default));

        Assert.Equal(before, await connections.ReadAsync(SessionAsync, default));

        static async Task<int> SessionAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
        {
            await using var command = new NpgsqlCommand("SELECT pg_backend_pid()", connection);
            return (int)(await command.ExecuteScalarAsync(cancellationToken))!;
        }
    }

    [Fact]
    public async Task A_listener_goes_to_the_new_primary_with_the_notes()
    {
        await StartAsync();
        await using var host = new TcpSwitch(_primary.Port);
        await using var connections = new PostgisDatabase(At(host.Port));
        var log = new PostgisNoteLog(connections) { Patience = TimeSpan.FromMilliseconds(200) };
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        await using var hints = log.ListenAsync(limit.Token).GetAsyncEnumerator(limit.Token);
        Assert.True(await hints.MoveNextAsync());
        await log.AppendAsync([Note("a")], default);
        await FailOverAsync(host);
        await log.AppendAsync([Note("b")], default);

        while ((long)(await OnStandbyAsync("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN route_note%'"))! == 0)
        {
            Assert.True(await hints.MoveNextAsync());
        }
    }

    [Fact]
    public async Task A_watch_goes_to_the_new_primary_with_the_writes()
    {
        await StartAsync();
        await using var host = new TcpSwitch(_primary.Port);
        await using var connections = new PostgisDatabase(At(host.Port));
        var catalog = new PostgisFeatureCatalog(connections);
        await using var watches = new WatchFixture(new PostgisChangeLog(connections) { Patience = TimeSpan.FromMilliseconds(200) });
        using var watch = watches.Open();
        await using var events = watch.ReadAllAsync(TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        Assert.Equal(WatchEventKind.Heartbeat, (await NextAsync(events)).Kind);
        await PutAsync(catalog, 1, "a");
        Assert.Equal("a", (await NextAsync(events)).Feature!.Name);
        await FailOverAsync(host);

        await PutAsync(catalog, 1, "b");

        Assert.Equal("b", (await NextAsync(events)).Feature!.Name);
    }

    [Fact]
    public async Task A_change_that_the_new_primary_does_not_have_is_a_reset_for_those_who_were_sent_it()
    {
        await StartAsync();
        await using var host = new TcpSwitch(_primary.Port);
        await using var connections = new PostgisDatabase(At(host.Port));
        var catalog = new PostgisFeatureCatalog(connections);
        await using var watches = new WatchFixture(new PostgisChangeLog(connections) { Patience = TimeSpan.FromMilliseconds(200) });
        using var watch = watches.Open();
        await using var events = watch.ReadAllAsync(TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        Assert.Equal(WatchEventKind.Heartbeat, (await NextAsync(events)).Kind);
        await OnStandbyAsync("ALTER SYSTEM SET primary_conninfo = ''");
        await OnStandbyAsync("SELECT pg_reload_conf()");
        while ((long)(await OnStandbyAsync("SELECT count(*) FROM pg_stat_wal_receiver"))! > 0)
        {
            await Task.Delay(20);
        }

        await PutAsync(catalog, 1, "lost");
        var lost = await NextAsync(events);
        await _standby.PromoteAsync();
        host.GoTo(_standby.Port);
        await SetReadOnlyAsync("on");

        await PutAsync(catalog, 2, "kept");

        var next = await NextAsync(events);
        Assert.Equal(WatchEventKind.Reset, next.Kind);
        if (next.Sequence < lost.Sequence)
        {
            // The log was read between the failover and the write.
            next = await NextAsync(events);
            Assert.Equal((WatchEventKind.Created, "kept"), (next.Kind, next.Feature!.Name));
        }

        Assert.Equal(lost.Sequence, next.Sequence);
        await PutAsync(catalog, 1, "again");
        next = await NextAsync(events);
        Assert.Equal((WatchEventKind.Created, lost.Sequence + 1, "again"), (next.Kind, next.Sequence, next.Feature!.Name));
    }

    [Fact]
    public async Task Whether_notes_can_be_written_is_known_and_asking_finds_the_new_primary()
    {
        await StartAsync();
        await using var standby = new PostgisDatabase(At(_standby.Port));
        var error = await Assert.ThrowsAsync<StoreUnavailableException>(() => standby.CheckWritableAsync(default));
        Assert.Equal("The database is read-only; expected the primary.", error.Message);
        await using var host = new TcpSwitch(_primary.Port);
        await using var connections = new PostgisDatabase(At(host.Port));
        await connections.CheckWritableAsync(default);
        await FailOverAsync(host);

        await connections.CheckWritableAsync(default);

        Assert.Equal(_standby.Port, await connections.ReadPrimaryAsync(ServerPortAsync, default));
    }

    [Fact]
    public async Task A_service_on_a_standby_is_ready_and_its_chat_is_not()
    {
        await StartAsync();
        var service = await StartAsync(At(_standby.Port));

        Assert.Equal("SERVING", await service.GrpcHealthAsync(""));
        Assert.Equal("NOT_SERVING", await service.GrpcHealthAsync("routeguide.RouteGuide"));
        Assert.Equal("SERVING", await (await StartAsync(At(_primary.Port))).GrpcHealthAsync("routeguide.RouteGuide"));
    }

    [Fact]
    public async Task After_a_failover_behind_one_name_the_first_note_is_kept_and_the_chat_is_healthy()
    {
        await StartAsync();
        await using var host = new TcpSwitch(_primary.Port);
        var service = await StartAsync(At(host.Port));
        await PostAsync(service, "before");
        await FailOverAsync(host);

        await PostAsync(service, "after");

        Assert.Equal("SERVING", await service.GrpcHealthAsync("routeguide.RouteGuide"));
        Assert.Equal("before, after", await OnStandbyAsync("SELECT string_agg(message, ', ' ORDER BY sequence) FROM note", _database.Name));
    }

    [Fact]
    public async Task A_primary_that_stays_read_only_is_told_by_health_after_the_time_that_is_tolerated_and_once_in_the_log()
    {
        await StartAsync();
        var service = await LaunchAsync(At(_primary.Port), ("RouteService__Postgres__WriteOutageTolerance", "00:00:01"));
        await service.ReadyAsync();
        await UntilAsync(service, "SERVING");

        await SetReadOnlyAsync("on");

        await UntilAsync(service, "NOT_SERVING");
        Assert.Equal("SERVING", await service.GrpcHealthAsync(""));
        Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
        await SetReadOnlyAsync("off");
        await UntilAsync(service, "SERVING");
        var lines = (await service.OutputAsync("can be used for writes again.")).Split('\n').Where(static line => line.Contains("Health: ")).ToList();
        Assert.Equal(2, lines.Count);
        Assert.EndsWith("Health: the store cannot be used for writes: The database is read-only; expected the primary.", lines[0].Trim());
    }

    [Fact]
    public async Task Conflicts_on_a_standby_cost_no_call()
    {
        await StartAsync();
        await OnStandbyAsync("ALTER SYSTEM SET max_standby_streaming_delay = 0");
        await OnStandbyAsync("SELECT pg_reload_conf()");
        var service = await StartAsync(AtBoth());
        var isOver = false;
        var calls = Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            while (!Volatile.Read(ref isOver))
            {
                Assert.Equal(10, await service.CountAsync());
                Assert.StartsWith("place 1 ", await service.NameAtAsync(800, -1500));
            }
        }));

        // What is replayed on the standby ends the queries that are in its way.
        while (!calls.IsCompleted && Convert.ToInt64(await OnStandbyAsync($"SELECT confl_lock FROM pg_stat_database_conflicts WHERE datname = '{_database.Name}'")) < 3)
        {
            await _database.ExecuteAsync("BEGIN; LOCK TABLE feature IN ACCESS EXCLUSIVE MODE; ROLLBACK");
        }

        Volatile.Write(ref isOver, true);
        await calls;
    }

    [Fact]
    public async Task Notes_are_read_from_the_primary_though_features_are_read_from_a_standby()
    {
        await StartAsync();
        await using var connections = new PostgisDatabase(AtBoth());
        var log = new PostgisNoteLog(connections);
        await OnStandbyAsync("SELECT pg_wal_replay_pause()");
        await log.AppendAsync([Note("a"), Note("b")], default);

        Assert.Equal(2, await log.ReadHeadAsync(default));
        Assert.Equal(2, (await log.ReadAfterAsync(0, 10, default)).Count);
        Assert.Equal(2, (await log.ReadAfterAsync([new Coordinate(1, 2)], 0, 10, default)).Count);
        Assert.Equal(2, (await log.ReadBeforeAsync([new Coordinate(1, 2)], 3, 10, default)).Count);
        Assert.Equal(_standby.Port, await connections.ReadAsync(static (connection, _) => Task.FromResult(connection.Port), default));
        await OnStandbyAsync("SELECT pg_wal_replay_resume()");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_read_that_a_standby_cancels_is_read_again_from_the_primary_if_there_is_one(bool isPrimaryKnown)
    {
        await StartAsync();
        await OnStandbyAsync("ALTER SYSTEM SET max_standby_streaming_delay = 0");
        await OnStandbyAsync("SELECT pg_reload_conf()");
        await using var connections = new PostgisDatabase(isPrimaryKnown ? AtBoth() : At(_standby.Port));
        var ports = new List<int>();

        var reading = connections.ReadAsync(
            async (connection, token) =>
            {
                ports.Add(connection.Port);
                var seconds = ports.Count == 1 ? 60 : 0;
                await using var command = new NpgsqlCommand($"SELECT count(*) FROM (SELECT pg_sleep({seconds})) AS wait, feature", connection);
                return (long)(await command.ExecuteScalarAsync(token))!;
            },
            default);
        while (!reading.IsCompleted && ports.Count < 2)
        {
            // What is replayed on the standby ends the queries that are in its way.
            await _database.ExecuteAsync("BEGIN; LOCK TABLE feature IN ACCESS EXCLUSIVE MODE; INSERT INTO feature VALUES (0, 0, ''); ROLLBACK");
            await Task.Delay(50);
        }

        Assert.Equal(10, await reading);
        Assert.Equal(isPrimaryKnown ? [_standby.Port, _primary.Port] : [_standby.Port], ports.Distinct());
    }

    private static Task PutAsync(PostgisFeatureCatalog catalog, int place, string name) => catalog.WriteAsync(
        new FeatureWrite([new FeatureChange.Update(new Coordinate(place, place), name, Properties.Empty) { AllowMissing = true }], Guid.NewGuid()), default);

    private static async Task<WatchEvent> NextAsync(IAsyncEnumerator<WatchEvent> events)
    {
        Assert.True(await events.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(1)));
        return events.Current;
    }

    private static NewNote Note(string message) => new(Guid.NewGuid(), new RouteNote(new Coordinate(1, 2), message), null);

    private async Task StartAsync()
    {
        _primary = Ours(await Postgres.ClusterAsync("synchronous_commit = on"));
        _database = await Postgres.DatabaseAsync(_primary);
        await _database.FillAsync(10);
        _standby = Ours(await _primary.CreateStandbyAsync());
        await _primary.WaitForStandbyAsync(_standby);
    }

    /// <summary>Makes the standby the primary, and the old primary read-only for the sessions that stay with it.</summary>
    private async Task FailOverAsync(TcpSwitch host)
    {
        await _primary.WaitForStandbyAsync(_standby);
        await _standby.PromoteAsync();
        host.GoTo(_standby.Port);
        await SetReadOnlyAsync("on");
    }

    private async Task SetReadOnlyAsync(string value)
    {
        await _database.ExecuteAsync($"ALTER SYSTEM SET default_transaction_read_only = {value}");
        await _database.ExecuteAsync("SELECT pg_reload_conf()");

        // Sessions read the file when they next do something.
        while ((string)(await _database.ExecuteAsync("SHOW default_transaction_read_only"))! != value)
        {
            await Task.Delay(20);
        }
    }

    private static async Task PostAsync(ServiceOnPostgis service, string message)
    {
        using var chat = service.Routes.RouteChat(deadline: ServiceOnPostgis.Deadline);
        await chat.RequestStream.WriteAsync(new Contracts.Routeguide.RouteNote { Location = new Contracts.Routeguide.Point { Latitude = 1 }, Message = message });
        await chat.RequestStream.CompleteAsync();
        while (await chat.ResponseStream.MoveNext(default))
        {
        }
    }

    private static async Task UntilAsync(ServiceOnPostgis service, string health)
    {
        var patience = System.Diagnostics.Stopwatch.StartNew();
        while (await service.GrpcHealthAsync("routeguide.RouteGuide") != health)
        {
            Assert.True(patience.Elapsed < TimeSpan.FromMinutes(1), $"It is not {health} after a minute.");
            await Task.Delay(100);
        }
    }

    private static async Task<int> ServerPortAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT inet_server_port()", connection);
        return (int)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private string At(int port) => $"Host=127.0.0.1;Port={port};Username=postgres;Database={_database.Name}";

    private string AtBoth() => $"Host=127.0.0.1:{_primary.Port},127.0.0.1:{_standby.Port};Username=postgres;Database={_database.Name};"
        + "Target Session Attributes=prefer-standby";

    private Task<object?> OnStandbyAsync(string sql, string? database = null) => new PostgresServer(_standby).ExecuteAsync(sql, database);
}
