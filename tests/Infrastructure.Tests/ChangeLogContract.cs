using RouteService.Domain;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Domain.Tests;
using RouteService.Domain.Watch;

namespace RouteService.Infrastructure.Tests;

/// <summary>What the change log of every store does, and a watch on it. A class for each store derives from it and makes empty ones.</summary>
public abstract class ChangeLogContract
{
    private static readonly Coordinate Here = new(517_591_900, 194_560_000);
    private static readonly Coordinate There = new(900_000_000, -1_800_000_000);

    /// <summary>A store without features and changes; it lives as long as the test.</summary>
    protected abstract Task<(IFeatureCatalog Catalog, IFeatureStore Store, IChangeLog Log)> CreateAsync();

    [Fact]
    public async Task Each_write_is_a_change_with_the_next_sequence()
    {
        var (catalog, _, log) = await CreateAsync();
        Assert.Equal(0, await log.ReadHeadAsync(default));
        Assert.Empty(await log.ReadFromAsync(0, 10, default));

        await WriteAsync(catalog, new FeatureChange.Create(Here, "a", Properties.Empty), new FeatureChange.Create(There, "b", Properties.Empty));
        await WriteAsync(catalog, new FeatureChange.Update(Here, "c", Properties.Empty));
        await WriteAsync(catalog, new FeatureChange.Delete(Here));

        var changes = await log.ReadFromAsync(1, 10, default);
        Assert.Equal([1, 2, 3, 4], changes.Select(static change => change.Sequence));
        Assert.Equal([(ChangeKind.Created, Here), (ChangeKind.Created, There)], changes.Take(2).OrderBy(static change => change.Location.LatitudeE7).Select(static change => (change.Kind, change.Location)));
        Assert.Equal([(ChangeKind.Updated, Here), (ChangeKind.Deleted, Here)], changes.Skip(2).Select(static change => (change.Kind, change.Location)));
        Assert.All(changes, static change => Assert.InRange(change.Time, DateTimeOffset.UtcNow.AddMinutes(-10), DateTimeOffset.UtcNow.AddMinutes(10)));
        Assert.Equal(changes.Skip(1).Take(2), await log.ReadFromAsync(2, 2, default));
        Assert.Equal(4, await log.ReadHeadAsync(default));
    }

    [Fact]
    public async Task What_changes_nothing_is_no_change()
    {
        var (catalog, store, log) = await CreateAsync();
        var id = Guid.NewGuid();
        await catalog.WriteAsync(new FeatureWrite([new FeatureChange.Create(Here, "a", Properties.Empty)], id), default);

        await catalog.WriteAsync(new FeatureWrite([new FeatureChange.Create(Here, "a", Properties.Empty)], id), default);
        await WriteAsync(catalog, new FeatureChange.Delete(There) { AllowMissing = true });
        await Assert.ThrowsAsync<FeatureConflictException>(() => WriteAsync(catalog, new FeatureChange.Delete(Here), new FeatureChange.Delete(There)));
        await store.ImportAsync(new Feature[] { new(Here, "a") }.ToAsyncEnumerable(), replace: false, default);

        Assert.Equal(1, await log.ReadHeadAsync(default));
        Assert.Equal("a", Assert.Single(await log.ReadFeaturesAsync([Here, There], default)).Name);
    }

    [Fact]
    public async Task A_small_import_is_its_changes_and_a_large_one_a_reset()
    {
        var (catalog, store, log) = await CreateAsync();
        await WriteAsync(catalog, new FeatureChange.Create(Here, "a", Properties.Parse("""{"a":1}"""u8)));

        FeatureContent[] two = [new(Here, "a", Properties.Empty), new(There, "b", Properties.Parse("""{"b":2}"""u8))];
        await store.ImportAsync(two.ToAsyncEnumerable(), new FeatureImport(Replace: false), default);
        var small = await log.ReadFromAsync(2, 10, default);
        await store.ImportAsync(Many(20_000, "c").ToAsyncEnumerable(), replace: false, default);
        var large = await log.ReadFromAsync(4, 10, default);
        await store.ImportAsync(Many(20_000, "d").ToAsyncEnumerable(), replace: true, default);
        var other = await log.ReadFromAsync(4 + large.Count, 10, default);

        Assert.Equal([(ChangeKind.Created, There), (ChangeKind.Updated, Here)], small.OrderBy(static change => change.Kind).Select(static change => (change.Kind, change.Location)));
        var reset = Assert.Single(large);
        Assert.Equal(ChangeKind.Reset, reset.Kind);
        Assert.True(reset.Box.Contains(new Coordinate(0, 0)) && reset.Box.Contains(new Coordinate(19_999, 19_999)));
        Assert.Contains(other, static change => change.Kind is ChangeKind.Reset);
    }

    [Fact]
    public async Task An_import_of_ten_thousand_is_listed_and_one_of_one_more_is_a_reset()
    {
        var (catalog, store, log) = await CreateAsync();
        await WriteAsync(catalog, new FeatureChange.Create(Here, "a", Properties.Empty));

        await store.ImportAsync(Many(10_000, "b").ToAsyncEnumerable(), replace: false, default);
        var listed = await log.ReadHeadAsync(default);
        await store.ImportAsync(Many(20_001, "b").Skip(10_000).ToAsyncEnumerable(), replace: false, default);

        Assert.Equal(10_001, listed);
        Assert.Equal(ChangeKind.Reset, Assert.Single(await log.ReadFromAsync(listed + 1, 10, default)).Kind);
    }

    [Fact]
    public async Task What_is_removed_is_the_oldest_and_never_the_last_so_that_no_sequence_is_given_again()
    {
        var (catalog, _, log) = await CreateAsync();
        for (var i = 0; i < 5; i++)
        {
            await WriteAsync(catalog, new FeatureChange.Create(new Coordinate(i, i), "", Properties.Empty));
        }

        Assert.Equal(0, await log.RemoveAsync(TimeSpan.FromDays(1), keep: 5, limit: 10, default));
        Assert.Equal(1, await log.RemoveAsync(TimeSpan.FromDays(1), keep: 3, limit: 1, default));
        Assert.Equal(1, await log.RemoveAsync(TimeSpan.FromDays(1), keep: 3, limit: 10, default));
        Assert.Equal([3, 4, 5], (await log.ReadFromAsync(0, 10, default)).Select(static change => change.Sequence));
        Assert.Equal(2, await log.RemoveAsync(TimeSpan.FromDays(-1), keep: 5, limit: 10, default));
        Assert.Equal(5, await log.ReadHeadAsync(default));
        Assert.Equal(0, await log.RemoveAsync(TimeSpan.FromDays(-1), keep: 0, limit: 10, default));

        await WriteAsync(catalog, new FeatureChange.Delete(new Coordinate(1, 1)));

        Assert.Equal([5, 6], (await log.ReadFromAsync(0, 10, default)).Select(static change => change.Sequence));
    }

    [Fact]
    public async Task A_watch_has_what_others_write_and_a_copy_by_it_is_right()
    {
        var (catalog, store, log) = await CreateAsync();
        await using var watches = new WatchFixture(log);
        using var watch = watches.Open();
        using var ending = new CancellationTokenSource();
        var copy = new WatchedCopy();
        var watching = copy.FollowAsync(watch, () => FeaturesAsync(catalog), ending.Token);
        await copy.UntilAsync(static events => events.Count > 0);

        var writing = Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
        {
            var random = new Random(writer);
            for (var i = 0; i < 50; i++)
            {
                var places = Enumerable.Range(0, 20).Where(_ => random.Next(4) == 0).Select(place => new Coordinate(place, 0)).ToList();
                FeatureChange[] changes =
                [
                    .. places.Select(place => random.Next(3) == 0
                        ? (FeatureChange)new FeatureChange.Delete(place) { AllowMissing = true }
                        : new FeatureChange.Update(place, $"{writer} {i}", Properties.Empty) { AllowMissing = true }),
                ];
                if (changes.Length > 0)
                {
                    await WriteAsync(catalog, changes);
                }
            }
        })).ToList();
        await store.ImportAsync(Many(15, "import").ToAsyncEnumerable(), replace: false, default);
        await Task.WhenAll(writing);
        await store.ImportAsync(Many(10_500, "many").ToAsyncEnumerable(), replace: false, default);
        await WriteAsync(catalog, new FeatureChange.Update(new Coordinate(5, 5), "last", Properties.Empty));

        await copy.UntilAsync(static events => events[^1].Feature is { Name: "last" });
        await ending.CancelAsync();
        await watching;
        Assert.Equal(await FeaturesAsync(catalog), copy.Features);
        Assert.Equal(copy.Events.Select(static e => e.Sequence).Order(), copy.Events.Select(static e => e.Sequence));
        Assert.Contains(copy.Events, static e => e.Kind is WatchEventKind.Reset);
        Assert.Contains(copy.Events, static e => e.Kind is WatchEventKind.Deleted);
    }

    [Fact]
    public async Task A_watch_that_resumes_has_what_came_meanwhile_with_its_last_state()
    {
        var (catalog, _, log) = await CreateAsync();
        await using var watches = new WatchFixture(log);
        await WriteAsync(catalog, new FeatureChange.Create(Here, "a", Properties.Empty));
        var head = await log.ReadHeadAsync(default);
        await WriteAsync(catalog, new FeatureChange.Create(There, "b", Properties.Empty));
        await WriteAsync(catalog, new FeatureChange.Update(Here, "c", Properties.Empty));
        await WriteAsync(catalog, new FeatureChange.Delete(There));
        await WriteAsync(catalog, new FeatureChange.Update(Here, "d", Properties.Empty));

        using var watch = watches.Open(after: head);
        var events = await watch.ReadAllAsync(default).Take(3).ToListAsync();

        Assert.Equal([WatchEventKind.Heartbeat, WatchEventKind.Deleted, WatchEventKind.Updated], events.Select(static e => e.Kind));
        Assert.Equal([head, head + 3, head + 4], events.Select(static e => e.Sequence));
        Assert.Equal((There, null), (events[1].Location, events[1].Feature));
        Assert.Equal("d", events[2].Feature!.Name);
    }

    private static IEnumerable<Feature> Many(int count, string name) => Enumerable.Range(0, count).Select(i => new Feature(new Coordinate(i, i), name));

    private static Task<IReadOnlyList<CatalogFeature?>> WriteAsync(IFeatureCatalog catalog, params FeatureChange[] changes) =>
        catalog.WriteAsync(new FeatureWrite(changes, RequestId: null), default);

    private static async Task<Dictionary<Coordinate, CatalogFeature>> FeaturesAsync(IFeatureCatalog catalog) =>
        (await catalog.ReadAsync([BoundingBox.World], 0, 100_000, withProperties: true, default)).Features.ToDictionary(static feature => feature.Location);
}
