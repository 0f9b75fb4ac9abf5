using Npgsql;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Domain.Tests;
using RouteService.Domain.Watch;
using RouteService.Infrastructure.Postgis;
using RouteService.Infrastructure.Tests;

namespace RouteService.Postgis.Tests;

public sealed class PostgisChangeLogTests : ChangeLogContract, IAsyncDisposable
{
    private TestStore? _store;

    public async ValueTask DisposeAsync()
    {
        if (_store is not null)
        {
            await _store.DisposeAsync();
        }
    }

    [Fact]
    public async Task What_others_do_with_SQL_alone_is_logged_with_the_kind_of_each_row()
    {
        var (_, _, log) = await CreateAsync();
        var database = _store!.Database;

        Assert.Equal("1 0,0", await ChangesAsync("INSERT INTO feature (latitude, longitude, name) VALUES (0, 0, 'a')"));
        Assert.Equal("2 0,0 | 1 1,1", await ChangesAsync(
            "INSERT INTO feature (latitude, longitude, name) VALUES (0, 0, 'b'), (1, 1, 'b') ON CONFLICT (latitude, longitude) DO UPDATE SET name = 'c'"));
        Assert.Equal("3 0,0 | 3 1,1 | 1 2,2 | 1 3,3", await ChangesAsync("UPDATE feature SET latitude = latitude + 2, longitude = longitude + 2"));
        Assert.Equal("3 2,2 | 2 3,3 | 1 4,4", await ChangesAsync("""
            UPDATE feature SET latitude = 4, longitude = 4 WHERE latitude = 3; DELETE FROM feature WHERE latitude = 2;
            INSERT INTO feature (latitude, longitude, name) VALUES (3, 3, 'c')
            """, static changes => changes.GroupBy(static change => change.Location).Select(static at => at.Last() with { Kind = at.Count() > 1 ? ChangeKind.Updated : at.Last().Kind })));
        Assert.Equal("", await ChangesAsync("UPDATE feature SET name = 'd' WHERE latitude = 9; DELETE FROM feature WHERE latitude = 9"));
        Assert.Equal("", await ChangesAsync("BEGIN; DELETE FROM feature; ROLLBACK"));
        Assert.Equal("3 3,3 | 1 5,5", await ChangesAsync("""
            BEGIN; DELETE FROM feature WHERE latitude = 3; SAVEPOINT s; DELETE FROM feature WHERE latitude = 4; ROLLBACK TO s;
            INSERT INTO feature (latitude, longitude, name) VALUES (5, 5, 'e'); COMMIT
            """));
        Assert.Equal("4 -900000000,-1800000000 900000000,1800000000", await ChangesAsync("TRUNCATE feature"));
        Assert.Equal("4 1,-10001 10001,-1", await ChangesAsync(
            "INSERT INTO feature (latitude, longitude, name) SELECT i, -i, '' FROM generate_series(1, 10001) AS i"));
        Assert.Equal("4 1,-10001 10001,19999", await ChangesAsync("UPDATE feature SET longitude = longitude + 20000"));
        Assert.Equal("4 1,9999 10001,19999", await ChangesAsync("DELETE FROM feature"));
        Assert.Equal(0L, await database.ExecuteAsync("SELECT count(*) FROM feature_change_pending"));

        async Task<string> ChangesAsync(string sql, Func<IEnumerable<LoggedChange>, IEnumerable<LoggedChange>>? select = null)
        {
            var head = await log.ReadHeadAsync(default);
            await database.ExecuteAsync(sql);
            var changes = await log.ReadFromAsync(head + 1, 100, default);
            Assert.Equal(changes.Select((_, i) => head + 1 + i), changes.Select(static change => change.Sequence));
            return string.Join(" | ", (select?.Invoke(changes) ?? changes).OrderBy(static change => change.Location.LatitudeE7).Select(static change =>
                change.Kind is ChangeKind.Reset
                    ? $"{(int)change.Kind} {At(change.Box.SouthWest)} {At(change.Box.NorthEast)}"
                    : $"{(int)change.Kind} {At(change.Location)}"));
        }

        static string At(Coordinate place) => FormattableString.Invariant($"{place.LatitudeE7},{place.LongitudeE7}");
    }

    [Fact]
    public async Task A_large_statement_after_small_ones_in_the_same_session_does_not_use_their_plan()
    {
        var (_, _, log) = await CreateAsync();
        await using var connection = await _store!.Connections.OpenUnpooledAsync(default);
        for (var i = 0; i < 10; i++)
        {
            await RunAsync("INSERT INTO feature (latitude, longitude, name) VALUES (0, 0, ''); UPDATE feature SET name = 'a'; DELETE FROM feature");
        }

        await RunAsync("INSERT INTO feature (latitude, longitude, name) SELECT i, i, '' FROM generate_series(1, 10000) AS i");
        await RunAsync("UPDATE feature SET latitude = -latitude");
        await RunAsync("DELETE FROM feature");

        Assert.Equal(30 + 10_000 + 20_000 + 10_000, await log.ReadHeadAsync(default));

        async Task RunAsync(string sql)
        {
            // Nested loops over ten thousand rows would take longer than the limit.
            await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 10 };
            await command.ExecuteNonQueryAsync();
        }
    }

    [Fact]
    public async Task A_role_without_rights_on_the_log_changes_features_and_one_that_serves_reads_it()
    {
        var (_, _, log) = await CreateAsync();
        var database = _store!.Database;
        var role = $"changes_{Guid.NewGuid():N}";
        await database.ExecuteAsync($"CREATE ROLE {role}; GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON feature, feature_properties TO {role}");
        try
        {
            // A table of its own by the name of ours is not ours.
            await database.ExecuteAsync($"""
                SET ROLE {role}; CREATE TEMP TABLE feature_change (sequence bigint);
                INSERT INTO feature (latitude, longitude, name) VALUES (0, 0, ''); UPDATE feature SET name = 'a'; DELETE FROM feature; TRUNCATE feature
                """);
            Assert.Equal(4, await log.ReadHeadAsync(default));

            await PostgisSchema.MigrateAsync(_store.Connections, [role], default);
            await database.ExecuteAsync($"SET ROLE {role}; DELETE FROM feature_change WHERE sequence = (SELECT min(sequence) FROM feature_change)");
            Assert.Equal(2, (await log.ReadFromAsync(1, 10, default))[0].Sequence);
        }
        finally
        {
            await database.ExecuteAsync($"DROP OWNED BY {role}; DROP ROLE {role}");
        }
    }

    [Fact]
    public async Task Transactions_of_several_statements_and_writes_of_the_service_never_wait_for_each_other_in_a_circle()
    {
        var (catalog, store, log) = await CreateAsync();
        await using var watches = new WatchFixture(log);
        using var watch = watches.Open();
        using var ending = new CancellationTokenSource();
        var copy = new WatchedCopy();
        var watching = copy.FollowAsync(watch, ListAsync, ending.Token);
        await copy.UntilAsync(static events => events.Count > 0);

        // Those of one kind have their own places, in the order of the keys: only the log is what they all wait for.
        var others = Enumerable.Range(0, 3).Select(other => Task.Run(async () =>
        {
            var random = new Random(other);
            for (var i = 0; i < 40; i++)
            {
                var statements = Enumerable.Range(0, 20).Where(_ => random.Next(5) == 0).Select(place => random.Next(4) switch
                {
                    0 => $"DELETE FROM feature WHERE latitude = {place} AND longitude = 1",
                    1 => $"SAVEPOINT s; UPDATE feature SET name = 'rolled back' WHERE latitude = {place} AND longitude = 1; ROLLBACK TO s",
                    _ => $"INSERT INTO feature (latitude, longitude, name) VALUES ({place}, 1, '{other} {i}') ON CONFLICT (latitude, longitude) DO UPDATE SET name = excluded.name",
                });
                await _store!.Database.ExecuteAsync(
                    $"BEGIN; LOCK TABLE feature IN ROW EXCLUSIVE MODE; {string.Join("; ", statements)}; {(random.Next(5) == 0 ? "ROLLBACK" : "COMMIT")}");
            }
        }));
        var ours = Enumerable.Range(0, 3).Select(writer => Task.Run(async () =>
        {
            var random = new Random(writer + 10);
            for (var i = 0; i < 40; i++)
            {
                var changes = Enumerable.Range(0, 20).Where(_ => random.Next(4) == 0).Select(place =>
                    (FeatureChange)new FeatureChange.Update(new Coordinate(place, 0), $"ours {writer} {i}", Properties.Empty) { AllowMissing = true }).ToList();
                if (changes.Count > 0)
                {
                    await catalog.WriteAsync(new FeatureWrite(changes, RequestId: null), default);
                }
            }
        }));
        var importing = Task.Run(async () =>
        {
            for (var i = 0; i < 5; i++)
            {
                await store.ImportAsync(
                    Enumerable.Range(5, 10).Select(place => new Feature(new Coordinate(place, 2), $"import {i}")).ToAsyncEnumerable(), replace: i % 2 == 0, default);
            }
        });
        await Task.WhenAll([.. others, .. ours, importing]);
        await catalog.WriteAsync(
            new FeatureWrite([new FeatureChange.Create(new Coordinate(100, 0), "last", Properties.Empty)], RequestId: null), default);

        await copy.UntilAsync(static events => events[^1].Feature is { Name: "last" });
        await ending.CancelAsync();
        await watching;
        Assert.Equal(await ListAsync(), copy.Features);

        async Task<Dictionary<Coordinate, CatalogFeature>> ListAsync() =>
            (await catalog.ReadAsync([BoundingBox.World], 0, 1_000, withProperties: true, default)).Features.ToDictionary(static feature => feature.Location);
    }

    protected override async Task<(IFeatureCatalog Catalog, IFeatureStore Store, IChangeLog Log)> CreateAsync()
    {
        _store = await TestStore.CreateAsync();
        return (new PostgisFeatureCatalog(_store.Connections), _store.Store, new PostgisChangeLog(_store.Connections));
    }
}
