using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Sqlite;

namespace RouteService.Infrastructure.Tests;

public sealed class SqliteNoteLogTests : NoteLogContract, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-test-").FullName;
    private readonly List<SqliteNoteLog> _logs = [];

    public void Dispose()
    {
        _logs.ForEach(log => log.Dispose());
        Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Notes_are_there_when_the_log_is_opened_again()
    {
        var log = Open("notes.db");
        await log.AppendAsync([new NewNote(Guid.NewGuid(), new RouteNote(new Coordinate(1, 2), "kept"), null)], default);
        log.Dispose();

        Assert.Equal("kept", Assert.Single(await Open("notes.db").ReadAfterAsync(0, 10, default)).Note.Message);
    }

    [Fact]
    public async Task A_note_is_removed_when_it_is_older_than_the_limit_and_not_before()
    {
        var now = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var log = Open("notes.db", new StoppedClock(now));
        await log.AppendAsync([new NewNote(Guid.NewGuid(), new RouteNote(new Coordinate(1, 2), "a"), null)], default);

        Assert.Equal(0, await log.RemoveAsync(TimeSpan.Zero, 10, default));
        Assert.Equal(1, await log.RemoveAsync(TimeSpan.FromMilliseconds(-1), 10, default));
    }

    [Fact]
    public async Task Notes_of_another_process_are_hinted_at_and_those_of_its_own_are_not()
    {
        var (ours, theirs) = (Open("notes.db"), Open("notes.db"));
        await using var hints = ours.ListenAsync(TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        Assert.True(await hints.MoveNextAsync());
        var next = hints.MoveNextAsync().AsTask();
        await ours.AppendAsync([new NewNote(Guid.NewGuid(), new RouteNote(new Coordinate(1, 2), "ours"), null)], default);
        await Task.Delay(200, TestContext.Current.CancellationToken);
        Assert.False(next.IsCompleted);

        await theirs.AppendAsync([new NewNote(Guid.NewGuid(), new RouteNote(new Coordinate(1, 2), "theirs"), null)], default);

        Assert.True(await next);
        Assert.Equal("theirs", Assert.Single(await ours.ReadAfterAsync(1, 10, default)).Note.Message);
    }

    [Fact]
    public async Task That_another_program_holds_the_file_is_known()
    {
        var log = Open("notes.db");
        await using var other = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={Path.Combine(_folder, "notes.db")}");
        await other.OpenAsync();
        await ExecuteAsync("BEGIN IMMEDIATE");

        await Assert.ThrowsAsync<StoreUnavailableException>(() => log.CheckWritableAsync(default));
        await ExecuteAsync("ROLLBACK");
        await log.CheckWritableAsync(default);

        async Task ExecuteAsync(string sql)
        {
            await using var command = other.CreateCommand();
            command.CommandText = sql;
            await command.ExecuteNonQueryAsync();
        }
    }

    [Theory]
    [InlineData("deleted")]
    [InlineData("replaced")]
    [InlineData("without its log")]
    public async Task Nothing_is_acknowledged_that_is_not_in_the_file_at_the_path(string state)
    {
        var log = Open("notes.db");
        var path = Path.Combine(_folder, "notes.db");
        await log.AppendAsync([new NewNote(Guid.NewGuid(), new RouteNote(new Coordinate(1, 2), "before"), null)], default);
        Assert.Equal(1, await log.ReadHeadAsync(default));
        var moved = state is "without its log" ? path + "-wal" : path;
        File.Move(moved, moved + ".away");
        if (state is "replaced")
        {
            File.Copy(path + ".away", path);
        }

        await FailAsync(() => log.AppendAsync([new NewNote(Guid.NewGuid(), new RouteNote(new Coordinate(1, 2), "lost"), null)], default));
        await FailAsync(() => log.ReadHeadAsync(default));
        await FailAsync(() => log.ReadAfterAsync(0, 10, default));
        await FailAsync(() => log.CheckWritableAsync(default));
        Assert.Equal(state is not "deleted", File.Exists(path));

        // In its place again.
        File.Move(moved + ".away", moved, overwrite: true);
        await log.CheckWritableAsync(default);
        await log.AppendAsync([new NewNote(Guid.NewGuid(), new RouteNote(new Coordinate(1, 2), "after"), null)], default);
        Assert.Equal("after", (await log.ReadAfterAsync(0, 10, default))[^1].Note.Message);

        static async Task FailAsync(Func<Task> call) => Assert.StartsWith(
            "The file of the notes, or its -wal, was deleted, moved or replaced", (await Assert.ThrowsAsync<StoreUnavailableException>(call)).Message);
    }

    [Fact]
    public async Task A_file_that_is_not_ours_is_told_and_left_as_it_is()
    {
        var path = Path.Combine(_folder, "garbage.db");
        var garbage = new byte[10_000];
        new Random(1).NextBytes(garbage);
        await File.WriteAllBytesAsync(path, garbage);

        Assert.Contains("is not a database", Assert.Throws<StoreUnavailableException>(() => Open("garbage.db")).Message);
        Assert.Equal(garbage, await File.ReadAllBytesAsync(path));
    }

    [Fact]
    public void A_link_to_a_missing_file_is_told()
    {
        var path = System.IO.File.CreateSymbolicLink(Path.Combine(_folder, "link"), Path.Combine(_folder, "none")).FullName;

        var refusal = Assert.Throws<StoreUnavailableException>(
            () => SqliteNoteLog.Open(new SqliteOptions { NotesPath = path }, TimeProvider.System));

        Assert.Contains($"'{path}' is a link to '{_folder}/none', which does not exist.", refusal.Message);
        Assert.Contains("RouteService__Sqlite__NotesPath", refusal.Message);
    }

    [Fact]
    public void A_folder_that_cannot_be_made_is_told() => Assert.Contains(
        "Set RouteService__Sqlite__NotesPath to a writable path.",
        Assert.Throws<StoreUnavailableException>(() => SqliteNoteLog.Open(new SqliteOptions { NotesPath = "/dev/null/x/y.db" }, TimeProvider.System)).Message);

    protected override Task<INoteLog> CreateLogAsync() => Task.FromResult<INoteLog>(Open("notes.db"));

    private SqliteNoteLog Open(string name, TimeProvider? clock = null)
    {
        var log = SqliteNoteLog.Open(new SqliteOptions { NotesPath = Path.Combine(_folder, name) }, clock ?? TimeProvider.System);
        _logs.Add(log);
        return log;
    }

    private sealed class StoppedClock(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
