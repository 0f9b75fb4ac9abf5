using Npgsql;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Domain.Tests;
using RouteService.Infrastructure.Postgis;
using RouteService.Infrastructure.Tests;

namespace RouteService.Postgis.Tests;

public sealed class PostgisNoteLogTests : NoteLogContract, IAsyncDisposable
{
    private TestStore? _store;

    [Fact]
    public async Task Who_listens_hears_of_what_another_appends()
    {
        var log = await CreateLogAsync();
        await using var connections = new PostgisDatabase(_store!.Database.ConnectionString);
        var other = new PostgisNoteLog(connections);
        using var stop = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        await using var hints = log.ListenAsync(stop.Token).GetAsyncEnumerator();
        Assert.True(await hints.MoveNextAsync());

        await other.AppendAsync([new NewNote(Guid.NewGuid(), new RouteNote(new Coordinate(1, 2), "a"), null)], default);

        Assert.True(await hints.MoveNextAsync());
        Assert.Single(await log.ReadAfterAsync(0, 10, default));
    }

    [Fact]
    public async Task A_note_is_announced_and_need_not_be_looked_for()
    {
        await CreateLogAsync();

        // Nothing but the notification can end the wait in time.
        var log = new PostgisNoteLog(_store!.Connections) { Patience = TimeSpan.FromHours(1) };
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        await using var hints = log.ListenAsync(limit.Token).GetAsyncEnumerator(limit.Token);
        Assert.True(await hints.MoveNextAsync());
        var hint = hints.MoveNextAsync();

        await log.AppendAsync([Note("a", id: null)], default);

        Assert.True(await hint);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("an id")]
    public async Task Notes_whose_connection_is_lost_are_sent_again_only_where_they_have_ids(string? id)
    {
        var log = await CreateLogAsync();
        Task<IReadOnlyList<LoggedNote>> appending;
        await using (await _store!.Database.LockAsync("note_head"))
        {
            appending = log.AppendAsync([Note("a", "another id"), Note("b", id)], default);
            await _store.Database.UntilAsync(Sessions.Waiting, static count => count == 1);
            await _store.Database.TerminateAsync(Sessions.Waiting);
        }

        if (id is null)
        {
            await Assert.ThrowsAsync<StoreUnavailableException>(() => appending);
            Assert.Empty(await log.ReadAfterAsync(0, 10, default));
        }
        else
        {
            Assert.Equal([1, 2], (await appending).Select(static note => note.Sequence));
        }
    }

    [Theory]
    [InlineData("53100")]
    [InlineData("42501")]
    public async Task A_write_that_fails_is_known_until_one_can_be_made(string state)
    {
        var log = await CreateLogAsync();
        await log.AppendAsync([Note("a", id: null)], default);
        await _store!.Database.ExecuteAsync($"""
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE SQLSTATE ''{state}''; END';
            CREATE TRIGGER fail BEFORE INSERT ON note EXECUTE FUNCTION fail()
            """);
        await log.CheckWritableAsync(default);
        var failure = await Assert.ThrowsAsync<StoreUnavailableException>(() => log.AppendAsync([Note("b", id: null)], default));

        for (var i = 0; i < 2; i++)
        {
            var check = await Assert.ThrowsAsync<StoreUnavailableException>(() => log.CheckWritableAsync(default));
            Assert.Equal(failure.Message, check.Message);
        }

        await _store.Database.ExecuteAsync("DROP TRIGGER fail ON note");
        await log.CheckWritableAsync(default);
        Assert.Equal(2, (await log.AppendAsync([Note("c", id: null)], default))[0].Sequence);
        Assert.Equal(["a", "c"], (await log.ReadAfterAsync(0, 10, default)).Select(static note => note.Note.Message));
    }

    [Theory]
    [InlineData("DELETE FROM note_head")]
    [InlineData("UPDATE note_head SET sequence = 0")]
    public async Task A_head_that_was_restored_without_its_notes_is_told_and_mended_by_a_migration(string restore)
    {
        var log = await CreateLogAsync();
        await log.AppendAsync([Note("a", id: null), Note("b", "an id")], default);
        await _store!.Database.ExecuteAsync(restore);

        await AssertToldAsync(() => log.CheckWritableAsync(default));
        await AssertToldAsync(() => log.AppendAsync([Note("c", id: null)], default));
        await AssertToldAsync(() => log.AppendAsync([Note("c", "another id")], default));
        if (restore.StartsWith("DELETE", StringComparison.Ordinal))
        {
            await AssertToldAsync(() => log.ReadHeadAsync(default));
        }

        await PostgisSchema.MigrateAsync(_store.Connections, grantTo: [], default);
        await log.CheckWritableAsync(default);
        Assert.Equal(2, await log.ReadHeadAsync(default));
        Assert.Equal(3, (await log.AppendAsync([Note("c", "another id")], default))[0].Sequence);

        static async Task AssertToldAsync(Func<Task> call) => Assert.Contains(
            "note_head lacks its row, or is behind the notes. Run 'migrate'.",
            (await Assert.ThrowsAsync<StoreUnavailableException>(call)).Message);
    }

    [Fact]
    public async Task A_note_that_a_trigger_drops_is_not_acknowledged_and_others_are()
    {
        var log = await CreateLogAsync();
        await _store!.Database.ExecuteAsync("""
            CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
            CREATE TRIGGER skip BEFORE INSERT ON note FOR EACH ROW WHEN (NEW.message = 'skipped') EXECUTE FUNCTION skip()
            """);

        var kept = await log.AppendAsync([Note("a", id: null), Note("skipped", id: null), Note("skipped", "an id"), Note("b", "another id")], default);

        Assert.Equal([true, false, false, true], kept.Select(static note => note.Sequence > 0));
        Assert.Equal(["a", "b"], (await log.ReadAfterAsync(0, 10, default)).Select(static note => note.Note.Message));
        await log.CheckWritableAsync(default);
    }

    [Fact]
    public async Task A_note_that_a_constraint_refuses_is_refused_and_nothing_is_kept()
    {
        var log = await CreateLogAsync();
        await _store!.Database.ExecuteAsync("ALTER TABLE note ADD CHECK (message <> 'refused')");

        var failure = await Assert.ThrowsAsync<StoreUnavailableException>(
            () => log.AppendAsync([Note("a", id: null), Note("refused", id: null)], default));

        Assert.Equal(StoreFailure.Refused, failure.Failure);
        Assert.Empty(await log.ReadAfterAsync(0, 10, default));
    }

    [Fact]
    public async Task A_lock_that_holds_up_notes_is_known_until_it_is_gone()
    {
        await CreateLogAsync();
        await using var connections = new PostgisDatabase($"{_store!.Database.ConnectionString};Command Timeout=1");
        var log = new PostgisNoteLog(connections);
        await using (var other = new NpgsqlConnection(_store.Database.ConnectionString))
        {
            await other.OpenAsync();
            await using var lockHead = new NpgsqlCommand("BEGIN; UPDATE note_head SET sequence = sequence", other);
            await lockHead.ExecuteNonQueryAsync();
            await log.CheckWritableAsync(default);
            Assert.Equal(
                StoreFailure.TooSlow,
                (await Assert.ThrowsAsync<StoreUnavailableException>(() => log.AppendAsync([Note("a", id: null)], default))).Failure);
            await Assert.ThrowsAsync<StoreUnavailableException>(() => log.CheckWritableAsync(default));
        }

        await log.CheckWritableAsync(default);
        await log.AppendAsync([Note("b", id: null)], default);
    }

    [Fact]
    public async Task A_listener_whose_session_is_ended_opens_another_and_does_not_fail()
    {
        var log = await CreateLogAsync();
        const string Listening = $"{Sessions.OfService} AND query LIKE 'LISTEN route_note%'";
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        await using var hints = log.ListenAsync(limit.Token).GetAsyncEnumerator(limit.Token);
        Assert.True(await hints.MoveNextAsync());
        var first = await IdAsync();

        // Longer than the wait of a session that is lost as soon as it is opened.
        Assert.True(await hints.MoveNextAsync());
        Assert.True(await hints.MoveNextAsync());
        await _store!.Database.TerminateAsync(Listening);
        Assert.True(await hints.MoveNextAsync());

        Assert.NotEqual(first, await IdAsync());

        async Task<int> IdAsync() => (int)(await _store!.Database.ExecuteAsync($"SELECT pid FROM pg_stat_activity WHERE {Listening}"))!;
    }

    [Theory]
    [InlineData("repeatable read")]
    [InlineData("serializable")]
    public async Task Whatever_the_isolation_of_the_role_the_log_and_the_import_set_their_own(string isolation)
    {
        var log = await CreateLogAsync();
        var database = _store!.Database;
        await database.ExecuteAsync($"""
            CREATE TABLE level (name text);
            CREATE FUNCTION keep_level() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN INSERT INTO level VALUES (TG_TABLE_NAME || '' '' || TG_OP || '': '' || current_setting(''transaction_isolation'')); RETURN NULL; END';
            CREATE TRIGGER level AFTER INSERT OR DELETE ON note EXECUTE FUNCTION keep_level();
            CREATE TRIGGER level AFTER INSERT ON feature EXECUTE FUNCTION keep_level();
            ALTER DATABASE {database.Name} SET default_transaction_isolation = '{isolation}'
            """);
        await database.TerminateAsync();

        await log.AppendAsync([Note("a", "id")], default);
        await log.RemoveAsync(TimeSpan.FromDays(-1), 10, default);
        await _store.Store.ImportAsync(new[] { new Feature(new Coordinate(1, 2), "") }.ToAsyncEnumerable(), replace: false, default);

        Assert.Equal(
            "feature INSERT: read committed, note DELETE: read committed, note INSERT: read committed",
            await database.ExecuteAsync("SELECT string_agg(name, ', ' ORDER BY name) FROM level"));
    }

    [Fact]
    public async Task Two_replicas_do_not_end_each_others_batches_under_any_isolation()
    {
        var log = await CreateLogAsync();
        var database = _store!.Database;
        await database.ExecuteAsync($"ALTER DATABASE {database.Name} SET default_transaction_isolation = 'serializable'");
        await database.TerminateAsync();
        await using var connections = new PostgisDatabase(database.ConnectionString);
        var logs = (INoteLog[])[log, new PostgisNoteLog(connections)];

        var sequences = await Task.WhenAll(logs.Select(each => Task.Run(async () =>
        {
            var given = new List<long>();
            for (var i = 0; i < 200; i++)
            {
                given.AddRange(await AppendAsync(each, Note($"{i}", id: null)));
            }

            return given;
        })));

        Assert.Equal(Enumerable.Range(1, 400).Select(static i => (long)i), sequences.SelectMany(static given => given).Order());
    }

    [Fact]
    public async Task Notes_with_ids_are_sent_again_when_their_connection_is_lost_and_kept_once()
    {
        var log = await CreateLogAsync();
        var database = _store!.Database;
        await log.AppendAsync([Note("a", "id-a")], default);
        await database.TerminateAsync();

        Assert.Equal([2, 1], await AppendAsync(log, Note("b", "id-b"), Note("a", "id-a")));

        Assert.Equal(["a", "b"], (await log.ReadAfterAsync(0, 10, default)).Select(static note => note.Note.Message));
    }

    [Fact]
    public async Task A_value_that_PostgreSQL_does_not_take_is_refused_and_not_unavailable()
    {
        var log = await CreateLogAsync();

        var error = await Assert.ThrowsAsync<StoreUnavailableException>(() => log.AppendAsync([Note("a\0b", id: null)], default));

        Assert.Equal(StoreFailure.Refused, error.Failure);
        Assert.Equal([1], await AppendAsync(log, Note("c", id: null)));
    }

    [Fact]
    public async Task A_post_that_PostgreSQL_refuses_fails_alone_in_its_commit()
    {
        var log = await CreateLogAsync();
        await using var connections = new PostgisDatabase(_store!.Database.ConnectionString);
        await using var chat = new ChatFixture(log);
        await using var holder = await connections.OpenUnpooledAsync(default);
        await using var held = await holder.BeginTransactionAsync();

        // The first post waits for the row, so the others share the next commit.
        await using var hold = new NpgsqlCommand("UPDATE note_head SET sequence = sequence", holder);
        await hold.ExecuteNonQueryAsync();
        var streams = Enumerable.Range(0, 31).Select(_ => chat.Join(new ChatJoin { IsSequenced = true })).ToList();
        for (var i = 0; i < streams.Count; i++)
        {
            await streams[i].PostAsync(new RouteNote(new Coordinate(i, 2), i == 20 ? "a\0b" : $"{i}"), $"id {i}", default);
            streams[i].Complete();
        }

        await held.CommitAsync();
        for (var i = 0; i < streams.Count; i++)
        {
            if (i == 20)
            {
                var error = await Assert.ThrowsAsync<StoreUnavailableException>(async () => await streams[i].ReadAllAsync(default).CountAsync());
                Assert.Equal(StoreFailure.Refused, error.Failure);
            }
            else
            {
                Assert.Equal($"{i}", Assert.Single((await streams[i].ReadAllAsync(default).SingleAsync()).ToArray()).Note.Message);
            }

            await streams[i].DisposeAsync();
        }

        Assert.Equal(
            Enumerable.Range(0, 31).Where(static i => i != 20).Select(static i => $"{i}"),
            (await log.ReadAfterAsync(0, 100, default)).Select(static note => note.Note.Message));
    }

    [Fact]
    public async Task A_statement_that_was_refused_works_again_on_its_connection()
    {
        _ = await CreateLogAsync();
        await using var database = new PostgisDatabase($"{_store!.Database.ConnectionString};Maximum Pool Size=1");

        // PostgreSQL refuses the second while it binds the parameter of the statement that it has just prepared.
        Assert.Equal("a", await EchoAsync("a"));
        var error = await Assert.ThrowsAsync<StoreUnavailableException>(() => EchoAsync("b\0"));
        Assert.Equal(StoreFailure.Refused, error.Failure);
        Assert.Equal("c", await EchoAsync("c"));
        Assert.Equal("d", await EchoAsync("d"));

        Task<string?> EchoAsync(string text) => database.WriteAsync(
            async (connection, token) =>
            {
                await using var batch = new NpgsqlBatch(connection)
                {
                    BatchCommands =
                    {
                        new NpgsqlBatchCommand("BEGIN"),
                        new NpgsqlBatchCommand("SELECT $1") { Parameters = { new NpgsqlParameter<string> { TypedValue = text } } },
                        new NpgsqlBatchCommand("COMMIT"),
                    },
                };
                return (string?)await batch.ExecuteScalarAsync(token);
            },
            mayRepeat: false,
            CancellationToken.None);
    }

    [Fact]
    public async Task An_id_that_another_note_has_is_refused_whichever_replica_has_kept_it()
    {
        var log = await CreateLogAsync();
        await using var connections = new PostgisDatabase(_store!.Database.ConnectionString);
        await using var one = new ChatFixture(log);
        await using var two = new ChatFixture(new PostgisNoteLog(connections));
        await using var first = one.Join(new ChatJoin { IsSequenced = true });
        await first.PostAsync(new RouteNote(new Coordinate(1, 2), "a"), "id", default);
        first.Complete();
        Assert.Equal(1, (await first.ReadAllAsync(default).SingleAsync()).Span[0].Sequence);

        await using var other = two.Join(new ChatJoin { IsSequenced = true });
        await other.PostAsync(new RouteNote(new Coordinate(3, 4), "a"), "id", default);

        var error = await Assert.ThrowsAsync<NoteIdTakenException>(async () => await other.ReadAllAsync(default).CountAsync());
        Assert.Equal(("id", 1L), (error.Id, error.Sequence));
    }

    [Theory]
    [InlineData("one.invalid")]
    [InlineData("one.invalid,two.invalid")]
    public async Task A_host_that_has_no_address_is_a_log_that_is_away(string host)
    {
        await using var connections = new PostgisDatabase($"Host={host};Username=postgres");
        var log = new PostgisNoteLog(connections);

        foreach (var call in (Func<Task>[])
        [
            () => log.AppendAsync([new NewNote(Guid.NewGuid(), new RouteNote(new Coordinate(1, 2), "a"), null)], default),
            () => log.RemoveAsync(TimeSpan.Zero, 1, default),
            () => log.ReadHeadAsync(default),
            async () => await log.ListenAsync(default).GetAsyncEnumerator().MoveNextAsync(),
        ])
        {
            Assert.Equal("The database cannot be reached.", (await Assert.ThrowsAsync<StoreUnavailableException>(call)).Message);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_store is not null)
        {
            await _store.DisposeAsync();
        }
    }

    private static async Task<IEnumerable<long>> AppendAsync(INoteLog log, params NewNote[] notes) =>
        (await log.AppendAsync(notes, default)).Select(static note => note.Sequence);

    private static NewNote Note(string message, string? id) => new(Guid.NewGuid(), new RouteNote(new Coordinate(1, 2), message), id);

    protected override async Task<INoteLog> CreateLogAsync()
    {
        _store = await TestStore.CreateAsync();
        return new PostgisNoteLog(_store.Connections);
    }
}
