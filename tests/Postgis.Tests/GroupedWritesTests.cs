using System.Collections.Concurrent;
using Npgsql;
using RouteService.Domain;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Postgis.Tests;

/// <summary>Writes that share transactions: what one of them meets is no other's.</summary>
public sealed class GroupedWritesTests : IAsyncLifetime
{
    private static readonly Coordinate Held = new(1, 1);

    private TestStore _store = null!;
    private PostgisFeatureCatalog _catalog = null!;

    public async ValueTask InitializeAsync()
    {
        _store = await TestStore.CreateAsync();
        _catalog = new PostgisFeatureCatalog(_store.Connections);
    }

    public async ValueTask DisposeAsync()
    {
        await _catalog.DisposeAsync();
        await _store.DisposeAsync();
    }

    [Fact]
    public async Task Writes_at_once_share_transactions_and_each_has_its_own_version()
    {
        var written = await Task.WhenAll(Enumerable.Range(0, 200).Select(i => PutAsync(new Coordinate(i, 0), $"{i}")));

        Assert.Equal(Enumerable.Range(0, 200).Select(i => $"{i}"), written.Select(feature => feature.Name));
        Assert.Equal(200, written.DistinctBy(feature => feature.Etag).Count());
        Assert.InRange((long)(await _store.Database.ExecuteAsync("SELECT count(DISTINCT xmin::text) FROM feature"))!, 1, 199);
        foreach (var feature in written)
        {
            Assert.Equal(feature, await _catalog.GetAsync(feature.Location, default));
        }
    }

    [Fact]
    public async Task A_write_whose_caller_has_gone_before_its_turn_is_not_made()
    {
        var (busy, turns) = (new SemaphoreSlim(0), new SemaphoreSlim(0));
        var made = new ConcurrentQueue<Coordinate>();
        await using var writes = new GroupedWrites(async (group, _, _) =>
        {
            busy.Release();
            await turns.WaitAsync(CancellationToken.None);
            foreach (var write in group)
            {
                made.Enqueue(write.Changes[0].Location);
            }

            return [.. group.Select(static _ => new WriteOutcome([], Refusal: null))];
        });
        var first = writes.WriteAsync(At(1), default);
        await busy.WaitAsync();
        var second = writes.WriteAsync(At(2), default);
        await busy.WaitAsync();
        using var gone = new CancellationTokenSource();
        var third = writes.WriteAsync(At(3), gone.Token);
        var fourth = writes.WriteAsync(At(4), default);

        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => third);
        turns.Release(4);
        await Task.WhenAll(first, second, fourth);

        Assert.Equal([1, 2, 4], made.Select(static place => place.LatitudeE7).Order());

        static FeatureWrite At(int latitude) => new([new FeatureChange.Delete(new Coordinate(latitude, 0))], RequestId: null);
    }

    [Fact]
    public async Task A_write_that_another_transaction_holds_up_holds_up_no_other()
    {
        await PutAsync(Held, "old");
        await using var holder = await _store.Database.LockAsync(Held);
        var (held, heldToo) = (PutAsync(Held, "one"), PutAsync(Held, "two"));
        var others = await Task.WhenAll(Enumerable.Range(2, 50).Select(i => PutAsync(new Coordinate(i, 0), "other")));
        await _store.Database.UntilAsync(Sessions.Waiting, static count => count == 2);
        Assert.All(await Task.WhenAll(others.Select(other => PutAsync(other.Location, "again"))), other => Assert.Equal("again", other.Name));

        Assert.False(held.IsCompleted || heldToo.IsCompleted);
        await holder.DisposeAsync();
        var written = await Task.WhenAll(held, heldToo);
        Assert.Contains((await _catalog.GetAsync(Held, default))!.Name, written.Select(feature => feature.Name));
    }

    [Fact]
    public async Task Further_writes_to_what_is_held_up_do_not_try_before_others()
    {
        var attempts = 0;
        var unlocked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var writes = new GroupedWrites(async (group, isHurried, _) =>
        {
            if (!unlocked.Task.IsCompleted && group.Any(static write => write.Changes[0].Location == Held))
            {
                if (isHurried)
                {
                    Interlocked.Increment(ref attempts);
                    throw new StoreUnavailableException("", StoreFailure.TooSlow, new PostgresException("", "ERROR", "ERROR", "55P03"));
                }

                await unlocked.Task;
            }

            return [.. group.Select(static _ => new WriteOutcome([], Refusal: null))];
        });
        var held = Enumerable.Range(0, 200).Select(_ => writes.WriteAsync(At(Held), default)).ToList();
        for (var i = 2; i < 50; i++)
        {
            await writes.WriteAsync(At(new Coordinate(i, 0)), default);
        }

        // Those that two groups and two writes by themselves made before it was known.
        Assert.InRange(attempts, 1, 4);
        unlocked.SetResult();
        await Task.WhenAll(held);

        static FeatureWrite At(Coordinate place) => new([new FeatureChange.Delete(place)], RequestId: null);
    }

    [Fact]
    public async Task A_request_that_replicas_repeat_while_it_waits_is_answered_by_each_with_what_it_has_written()
    {
        var (added, id) = (new Coordinate(2, 2), Guid.NewGuid());
        await PutAsync(Held, "old");
        var replicas = Enumerable.Range(0, 4).Select(_ => new PostgisFeatureCatalog(_store.Connections)).ToList();
        var holder = await _store.Database.LockAsync(Held);
        var writes = replicas.ConvertAll(replica => replica.WriteAsync(
            new FeatureWrite(
                [
                    new FeatureChange.Update(Held, "new", Properties.Empty) { AllowMissing = true },
                    new FeatureChange.Update(added, "added", Properties.Empty) { AllowMissing = true },
                ],
                id),
            default));
        await _store.Database.UntilAsync(Sessions.Waiting, static count => count == 4);

        await holder.DisposeAsync();

        Assert.All(await Task.WhenAll(writes), static written => Assert.Equal(["new", "added"], written.Select(static feature => feature?.Name)));
        foreach (var replica in replicas)
        {
            await replica.DisposeAsync();
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Many_writes_that_are_held_up_leave_connections_for_others(bool haveIds)
    {
        await PutAsync(Held, "old");
        await using var holder = await _store.Database.LockAsync(Held);
        var held = Enumerable.Range(0, 60)
            .Select(i => _catalog.WriteAsync(Put(Held, $"{i}") with { RequestId = haveIds ? Guid.NewGuid() : null }, default))
            .ToList();
        await _store.Database.UntilAsync(Sessions.Waiting, static count => count >= 2);

        for (var i = 2; i < 22; i++)
        {
            Assert.Equal("other", (await PutAsync(new Coordinate(i, 0), "other")).Name);
            Assert.Equal("old", (await _catalog.GetAsync(Held, default))!.Name);
            Assert.InRange(await _store.Database.CountAsync(Sessions.Waiting), 0, 6);
        }

        Assert.DoesNotContain(held, static write => write.IsCompletedSuccessfully);
        await holder.DisposeAsync();
        await Task.WhenAll(held);
        Assert.InRange(int.Parse((await _catalog.GetAsync(Held, default))!.Name), 0, 59);
    }

    [Fact]
    public async Task A_caller_that_goes_while_its_write_is_held_up_takes_it_back()
    {
        await PutAsync(Held, "old");
        await using var holder = await _store.Database.LockAsync(Held);
        using var going = new CancellationTokenSource();
        var held = _catalog.WriteAsync(Put(Held, "new"), going.Token);
        await _store.Database.UntilAsync(Sessions.Waiting, static count => count == 1);

        await going.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => held);
        await _store.Database.UntilAsync(Sessions.Waiting, static count => count == 0);
        await holder.DisposeAsync();
        Assert.Equal("old", (await _catalog.GetAsync(Held, default))!.Name);
    }

    [Theory]
    [InlineData("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE SQLSTATE ''22P05''; END'; CREATE TRIGGER refuse BEFORE INSERT ON feature FOR EACH ROW WHEN (NEW.name = 'refused') EXECUTE FUNCTION refuse()")]
    [InlineData("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'; CREATE TRIGGER refuse BEFORE INSERT ON feature FOR EACH ROW WHEN (NEW.name = 'refused') EXECUTE FUNCTION refuse()")]
    [InlineData("ALTER TABLE feature ADD CHECK (name <> 'refused')")]
    public async Task A_value_that_PostgreSQL_refuses_fails_its_own_write_alone(string rule)
    {
        await _store.Database.ExecuteAsync(rule);

        var writes = Enumerable.Range(0, 50).Select(i => PutAsync(new Coordinate(i, 0), i == 30 ? "refused" : "kept")).ToList();

        Assert.Equal(StoreFailure.Refused, (await Assert.ThrowsAsync<StoreUnavailableException>(() => writes[30])).Failure);
        writes.RemoveAt(30);
        Assert.All(await Task.WhenAll(writes), feature => Assert.Equal("kept", feature.Name));
        Assert.Equal(49, await _store.Store.CountAsync(default));
    }

    [Theory]
    [InlineData("CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER skip BEFORE INSERT ON feature FOR EACH ROW WHEN (NEW.name = 'skipped') EXECUTE FUNCTION skip()")]
    [InlineData("CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER skip BEFORE INSERT ON feature_request FOR EACH ROW EXECUTE FUNCTION skip()")]
    public async Task What_the_database_does_not_write_fails_its_own_write_alone(string trigger)
    {
        await _store.Database.ExecuteAsync(trigger);
        var others = Enumerable.Range(0, 50).Select(i => PutAsync(new Coordinate(i, 0), "kept")).ToList();
        var skipped = _catalog.WriteAsync(Put(Held, "skipped") with { RequestId = Guid.NewGuid() }, default);
        var skippedToo = trigger.Contains("feature_request") ? skipped : _catalog.WriteAsync(Put(new Coordinate(9, 9), "skipped"), default);

        foreach (var write in (Task[])[skipped, skippedToo])
        {
            var failure = await Assert.ThrowsAsync<StoreUnavailableException>(() => write);
            Assert.StartsWith("The database does not keep what it is given: ", failure.Message);
        }

        Assert.All(await Task.WhenAll(others), static feature => Assert.Equal("kept", feature.Name));
        Assert.Equal(50, await _store.Store.CountAsync(default));
        await _store.Database.UntilQuietAsync();
    }

    [Fact]
    public async Task Of_writers_with_one_etag_one_succeeds()
    {
        var first = await PutAsync(Held, "first");

        var writes = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => OutcomeAsync(
            new FeatureWrite([new FeatureChange.Update(Held, $"{i}", Properties.Empty) { Expected = first.Etag }], RequestId: null))));

        var made = Assert.Single(writes, write => write.Refusal is null).Features[0]!;
        Assert.Equal(made, await _catalog.GetAsync(Held, default));
        Assert.All(
            writes.Select(write => write.Refusal).OfType<FeatureConflictException>(),
            conflict => Assert.Equal((FeatureConflict.Changed, made.Etag), (conflict.Conflict, conflict.Current)));
    }

    [Fact]
    public async Task A_request_that_comes_many_times_at_once_is_made_once()
    {
        var id = Guid.NewGuid();
        var create = new FeatureWrite([new FeatureChange.Create(Held, "once", Properties.Empty)], id);

        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => _catalog.WriteAsync(create, default)));

        Assert.Single(answers.Select(answer => answer[0]).Distinct());
        Assert.Equal(1L, await _store.Database.ExecuteAsync("SELECT count(*) FROM feature_change"));
        Assert.Equal(1L, await _store.Database.ExecuteAsync($"SELECT count(*) FROM feature_request WHERE request_id = '{id}'"));
    }

    [Fact]
    public async Task Writes_of_the_same_places_by_two_replicas_at_once_all_have_an_outcome()
    {
        await using var other = new PostgisFeatureCatalog(_store.Connections);
        var writers = Enumerable.Range(0, 20).Select(writer => Task.Run(async () =>
        {
            var random = new Random(writer);
            var made = 0;
            for (var i = 0; i < 50; i++)
            {
                var place = new Coordinate(random.Next(10), 0);
                FeatureChange change = random.Next(3) switch
                {
                    0 => new FeatureChange.Create(place, $"{writer}", Properties.Empty),
                    1 => new FeatureChange.Delete(place),
                    _ => new FeatureChange.Update(place, $"{i}", Properties.Empty) { AllowMissing = true },
                };
                var write = new FeatureWrite([change], random.Next(2) == 0 ? null : Guid.NewGuid());
                made += (await OutcomeAsync(write, writer % 2 == 0 ? _catalog : other)).Refusal is null ? 1 : 0;
            }

            return made;
        }));

        var total = (await Task.WhenAll(writers)).Sum();

        // A feature that comes and goes within a group is no change.
        Assert.InRange(total, 350, 1_000);
        Assert.InRange((long)(await _store.Database.ExecuteAsync("SELECT count(*) FROM feature_change"))!, 1, total);
    }

    [Fact]
    public void Writes_of_a_group_see_those_before_them()
    {
        var old = new CatalogFeature(Held, "old", Properties.Empty, new Etag(1), DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch);
        var (id, now) = (Guid.NewGuid(), DateTimeOffset.UnixEpoch.AddDays(1));
        var group = new WriteGroup(
            new Dictionary<Coordinate, CatalogFeature> { [Held] = old }, [], [.. Enumerable.Range(2, 8).Select(i => new Etag(i))], now);

        var outcomes = group.Apply(
        [
            new([new FeatureChange.Create(Held, "refused", Properties.Empty)], id),
            new([new FeatureChange.Delete(Held), new FeatureChange.Create(default, "with it", Properties.Empty)], RequestId: null),
            new([new FeatureChange.Update(default, "refused", Properties.Empty), new FeatureChange.Delete(Held)], RequestId: null),
            new([new FeatureChange.Create(Held, "new", Properties.Empty)], id),
            new([new FeatureChange.Create(Held, "repeated", Properties.Empty)], id),
            new([new FeatureChange.Delete(default)], id),
            new([new FeatureChange.Create(new Coordinate(2, 2), "gone", Properties.Empty)], RequestId: null),
            new([new FeatureChange.Delete(new Coordinate(2, 2))], RequestId: null),
        ]);

        Assert.Equal(
            [
                typeof(FeatureConflictException), null, typeof(FeatureConflictException), null, null, typeof(InvalidValueException), null, null,
            ],
            outcomes.Select(outcome => outcome.Refusal?.GetType()));
        Assert.Equal(outcomes[3].Features, outcomes[4].Features);
        Assert.Equal([new CatalogFeature(default, "with it", Properties.Empty, new Etag(3), now, now)], group.Created);
        Assert.Equal([new CatalogFeature(Held, "new", Properties.Empty, new Etag(5), now, now)], group.Updated);
        Assert.Empty(group.Deleted);
        Assert.Equal([id], group.Made.Select(request => request.Id));
    }

    private static FeatureWrite Put(Coordinate place, string name) =>
        new([new FeatureChange.Update(place, name, Properties.Empty) { AllowMissing = true }], RequestId: null);

    private async Task<CatalogFeature> PutAsync(Coordinate place, string name) => (await _catalog.WriteAsync(Put(place, name), default))[0]!;

    private async Task<WriteOutcome> OutcomeAsync(FeatureWrite write, PostgisFeatureCatalog? catalog = null)
    {
        try
        {
            return new WriteOutcome(await (catalog ?? _catalog).WriteAsync(write, default), Refusal: null);
        }
        catch (FeatureConflictException e)
        {
            return new WriteOutcome([], e);
        }
    }
}
