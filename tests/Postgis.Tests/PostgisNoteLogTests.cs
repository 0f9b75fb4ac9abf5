using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
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
            () => log.RemoveAsync(DateTimeOffset.UtcNow, 1, default),
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

    protected override async Task<INoteLog> CreateLogAsync()
    {
        _store = await TestStore.CreateAsync();
        return new PostgisNoteLog(_store.Connections);
    }
}
