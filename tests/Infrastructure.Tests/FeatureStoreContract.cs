using System.Runtime.CompilerServices;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Import;

namespace RouteService.Infrastructure.Tests;

/// <summary>What every store does. A class for each store derives from it and makes empty ones.</summary>
public abstract class FeatureStoreContract
{
    private static readonly Coordinate Princeton = new(403_487_200, -746_590_500);

    /// <summary>A store without features; it lives as long as the test.</summary>
    protected abstract Task<IFeatureStore> CreateStoreAsync();

    [Fact]
    public async Task A_feature_is_found_at_exactly_its_place()
    {
        var store = await StoreOfAsync(new Feature(Princeton, "Princeton"));

        Assert.Equal(new Feature(Princeton, "Princeton"), await store.FindAsync(Princeton, default));
        Assert.Null(await store.FindAsync(new Coordinate(Princeton.LatitudeE7 + 1, Princeton.LongitudeE7), default));
        Assert.Null(await store.FindAsync(new Coordinate(Princeton.LatitudeE7, Princeton.LongitudeE7 - 1), default));
    }

    [Theory]
    [InlineData("")]
    [InlineData("Zürich – 東京 – القاهرة")]
    [InlineData("👩‍🚀 \U0010FFFF")]
    [InlineData("a\tb\r\nc \"d\" 'e' ; -- %_")]
    public async Task A_name_is_any_Unicode(string name)
    {
        var store = await StoreOfAsync(new Feature(Princeton, name));

        Assert.Equal(name, (await store.FindAsync(Princeton, default))!.Name);
        Assert.Equal([name], (await ListAsync(store, BoundingBox.World)).Select(feature => feature.Name));
    }

    [Theory]
    [MemberData(nameof(Texts.Kinds), MemberType = typeof(Texts))]
    public Task A_name_is_any_text(string kind) => A_name_is_any_Unicode(string.Concat(Enumerable.Repeat(Texts.Of(kind), 1_000)));

    [Fact]
    public async Task Places_are_counted_as_often_as_they_are_asked_for()
    {
        var store = await StoreOfAsync(new Feature(Princeton, "Princeton"), new Feature(default, ""));

        Assert.Equal(3, await store.CountAtAsync(new Coordinate[] { Princeton, new(1, 1), Princeton, default }, default));
        Assert.Equal(0, await store.CountAtAsync(ReadOnlyMemory<Coordinate>.Empty, default));
    }

    [Fact]
    public async Task The_corners_of_the_world_are_inside_it()
    {
        Coordinate[] corners = [.. from latitude in (int[])[-900_000_000, 0, 900_000_000]
                                   from longitude in (int[])[-1_800_000_000, 0, 1_800_000_000]
                                   select new Coordinate(latitude, longitude)];
        var store = await StoreOfAsync([.. corners.Select(corner => new Feature(corner, $"{corner}"))]);

        Assert.Equal(corners.ToHashSet(), (await ListAsync(store, BoundingBox.World)).Select(feature => feature.Location).ToHashSet());
        foreach (var corner in corners)
        {
            Assert.Equal([corner], (await ListAsync(store, new BoundingBox(corner, corner))).Select(feature => feature.Location));
            Assert.NotNull(await store.FindAsync(corner, default));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Every_rectangle_and_every_point_is_answered_as_a_scan_of_all_places_answers_it(int seed)
    {
        var features = await SamplePlaces.ReadAllAsync().ToListAsync();
        var byPlace = features.ToDictionary(feature => feature.Location);
        var store = await StoreOfAsync([.. features]);
        var chance = new Random(seed);

        for (var i = 0; i < 1_000; i++)
        {
            var area = RandomBox(chance, features);
            var expected = features.Where(feature => area.Contains(feature.Location)).OrderBy(Place).ToList();
            var listed = (await ListAsync(store, area)).OrderBy(Place).ToList();
            Assert.True(
                expected.SequenceEqual(listed),
                $"seed {seed}, box {i} ({area.SouthWest} to {area.NorthEast}): {listed.Count} features; {expected.Count} are right");
        }

        for (var i = 0; i < 10_000; i++)
        {
            var place = chance.Next(2) == 0 ? Any(chance, features).Location : RandomPlace(chance);
            Assert.Equal(byPlace.GetValueOrDefault(place), await store.FindAsync(place, default));
        }

        static (int, int) Place(Feature feature) => (feature.Location.LatitudeE7, feature.Location.LongitudeE7);
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(0, 1)]
    public async Task Of_places_next_to_each_other_a_listing_in_parts_has_each_once(int north, int east)
    {
        Coordinate[] row = [.. Enumerable.Range(-1_000, 2_001).Select(i => new Coordinate(i * north, i * east))];
        var store = await StoreOfAsync([.. row.Select(place => new Feature(place, ""))]);

        var listed = await ListAsync(store, new BoundingBox(row[0], row[^1]));

        Assert.Equal(row, listed.Select(static feature => feature.Location).OrderBy(static place => (place.LatitudeE7, place.LongitudeE7)));
    }

    [Fact]
    public async Task Of_two_records_at_one_place_the_later_wins_and_is_counted()
    {
        var store = await CreateStoreAsync();

        var summary = await store.ImportAsync(
            Stream(new Feature(Princeton, "first"), new Feature(default, "other"), new Feature(Princeton, "second")), replace: false, default);

        Assert.Equal(new ImportSummary(Read: 3, Superseded: 1, Overwritten: 0, Total: 2), summary);
        Assert.Equal("second", (await store.FindAsync(Princeton, default))!.Name);
    }

    [Fact]
    public async Task An_import_adds_to_what_is_there_and_overwrites_at_the_same_place()
    {
        var store = await StoreOfAsync(new Feature(Princeton, "old"), new Feature(default, "stays"));

        var summary = await store.ImportAsync(Stream(new Feature(Princeton, "new"), new Feature(new(1, 1), "more")), replace: false, default);

        Assert.Equal(new ImportSummary(Read: 2, Superseded: 0, Overwritten: 1, Total: 3), summary);
        Assert.Equal("new", (await store.FindAsync(Princeton, default))!.Name);
        Assert.Equal("stays", (await store.FindAsync(default, default))!.Name);
        Assert.Equal(3, await store.CountAsync(default));
    }

    [Fact]
    public async Task An_import_that_replaces_leaves_nothing_of_what_was_there()
    {
        var store = await StoreOfAsync(new Feature(Princeton, "old"), new Feature(default, "gone"));

        var summary = await store.ImportAsync(Stream(new Feature(Princeton, "new")), replace: true, default);

        Assert.Equal(new ImportSummary(Read: 1, Superseded: 0, Overwritten: 0, Total: 1), summary);
        Assert.Equal([new Feature(Princeton, "new")], await ListAsync(store, BoundingBox.World));
    }

    [Fact]
    public async Task An_import_that_fails_changes_nothing()
    {
        var store = await StoreOfAsync(new Feature(Princeton, "old"));

        var error = await Assert.ThrowsAsync<InvalidDataException>(async () => await store.ImportAsync(Broken(), replace: true, default));

        Assert.Equal("record 1001", error.Message);
        Assert.Equal([new Feature(Princeton, "old")], await ListAsync(store, BoundingBox.World));

        static async IAsyncEnumerable<Feature> Broken()
        {
            for (var i = 0; i < 1_000; i++)
            {
                yield return new Feature(new Coordinate(i, i), "new");
            }

            await Task.Yield();
            throw new InvalidDataException("record 1001");
        }
    }

    [Fact]
    public async Task An_import_that_is_cancelled_changes_nothing()
    {
        var store = await StoreOfAsync(new Feature(Princeton, "old"));
        using var cancellation = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await store.ImportAsync(Endless(), replace: true, cancellation.Token));

        Assert.Equal([new Feature(Princeton, "old")], await ListAsync(store, BoundingBox.World));

        async IAsyncEnumerable<Feature> Endless([EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            for (var i = 0; ; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                yield return new Feature(new Coordinate(i, i), "new");
                if (i == 500)
                {
                    await cancellation.CancelAsync();
                }
            }
        }
    }

    [Fact]
    public async Task An_import_that_is_cancelled_after_its_last_record_changes_nothing()
    {
        var store = await StoreOfAsync(new Feature(Princeton, "old"));
        using var cancellation = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await store.ImportAsync(Last(), replace: true, cancellation.Token));

        Assert.Equal([new Feature(Princeton, "old")], await ListAsync(store, BoundingBox.World));

        async IAsyncEnumerable<Feature> Last()
        {
            yield return new Feature(new Coordinate(1, 1), "new");
            await cancellation.CancelAsync();
        }
    }

    [Fact]
    public async Task Of_many_records_at_one_place_the_last_wins()
    {
        var store = await StoreOfAsync(new Feature(Princeton, "old"));
        var records = Enumerable.Range(0, 10_000).Select(i => new Feature(new Coordinate(i % 10, 0), $"{(i * 7_919) % 10_007}")).ToArray();

        await store.ImportAsync(Stream(records), replace: true, default);

        Assert.Equal(records[^10..].ToHashSet(), (await ListAsync(store, BoundingBox.World)).ToHashSet());
    }

    [Fact]
    public async Task While_an_import_runs_readers_see_the_state_before_it_and_after_it_the_new_one()
    {
        var store = await StoreOfAsync(new Feature(Princeton, "old"));
        var halfway = new TaskCompletionSource();
        var goOn = new TaskCompletionSource();

        var import = store.ImportAsync(InTwoHalves(), replace: true, default).AsTask();
        await halfway.Task;
        Assert.Equal([new Feature(Princeton, "old")], await ListAsync(store, BoundingBox.World));
        Assert.NotNull(await store.FindAsync(Princeton, default));
        goOn.SetResult();
        await import;

        Assert.Null(await store.FindAsync(Princeton, default));
        Assert.Equal(2_000, (await ListAsync(store, BoundingBox.World)).Count);

        async IAsyncEnumerable<Feature> InTwoHalves()
        {
            for (var i = 0; i < 2_000; i++)
            {
                if (i == 1_000)
                {
                    halfway.SetResult();
                    await goOn.Task;
                }

                yield return new Feature(new Coordinate(i, -i), $"{i}");
            }
        }
    }

    [Fact]
    public async Task Readers_that_stand_still_hold_up_neither_each_other_nor_an_import()
    {
        var store = await StoreOfAsync([.. Enumerable.Range(0, 5_000).Select(i => new Feature(new Coordinate(i, i), $"{i}"))]);
        var standing = new List<IAsyncEnumerator<Feature>>();
        for (var i = 0; i < 100; i++)
        {
            var reader = store.InAreaAsync(BoundingBox.World, default).GetAsyncEnumerator();
            Assert.True(await reader.MoveNextAsync());
            standing.Add(reader);
        }

        await store.ImportAsync(Stream(new Feature(Princeton, "new")), replace: false, default);
        Assert.NotNull(await store.FindAsync(Princeton, default));

        foreach (var reader in standing)
        {
            var count = 1;
            while (await reader.MoveNextAsync())
            {
                count++;
            }

            Assert.InRange(count, 5_000, 5_001);
            await reader.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_listing_ends_when_its_token_fires()
    {
        var store = await StoreOfAsync([.. Enumerable.Range(0, 5_000).Select(i => new Feature(new Coordinate(i, i), $"{i}"))]);
        using var cancellation = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var _ in store.InAreaAsync(BoundingBox.World, cancellation.Token))
            {
                await cancellation.CancelAsync();
            }
        });
    }

    [Fact]
    public async Task Counting_ends_when_its_token_fires()
    {
        var store = await StoreOfAsync(new Feature(new Coordinate(1, 2), "a"));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await store.CountAtAsync(new Coordinate[5_000], new CancellationToken(canceled: true)));
    }

    [Fact]
    public async Task Many_callers_at_once_are_all_answered()
    {
        var features = await SamplePlaces.ReadAllAsync().ToListAsync();
        var store = await StoreOfAsync([.. features]);

        await Task.WhenAll(Enumerable.Range(0, 16).Select(caller => Task.Run(async () =>
        {
            foreach (var feature in features.Skip(caller))
            {
                Assert.Equal(feature, await store.FindAsync(feature.Location, default));
            }

            Assert.Equal(features.Count, (await ListAsync(store, BoundingBox.World)).Count);
        })));
    }

    protected static async Task<List<Feature>> ListAsync(IFeatureStore store, BoundingBox area) =>
        await store.InAreaAsync(area, default).ToListAsync();

    protected static IAsyncEnumerable<Feature> Stream(params Feature[] features) => features.ToAsyncEnumerable();

    private async Task<IFeatureStore> StoreOfAsync(params Feature[] features)
    {
        var store = await CreateStoreAsync();
        await store.ImportAsync(Stream(features), replace: false, default);
        return store;
    }

    private static Feature Any(Random chance, List<Feature> features) => features[chance.Next(features.Count)];

    private static Coordinate RandomPlace(Random chance) => new(chance.Next(-900_000_000, 900_000_001), chance.Next(-1_800_000_000, 1_800_000_001));

    /// <summary>Boxes of all sizes and shapes; often with edges exactly on features, at the poles or at ±180°.</summary>
    private static BoundingBox RandomBox(Random chance, List<Feature> features)
    {
        var a = chance.Next(2) == 0 ? Any(chance, features).Location : RandomPlace(chance);
        return chance.Next(6) switch
        {
            0 => new BoundingBox(a, a),
            1 => new BoundingBox(a, Any(chance, features).Location),
            2 => new BoundingBox(new Coordinate(a.LatitudeE7, -1_800_000_000), new Coordinate(a.LatitudeE7, 1_800_000_000)),
            3 => new BoundingBox(new Coordinate(-900_000_000, a.LongitudeE7), new Coordinate(900_000_000, RandomPlace(chance).LongitudeE7)),
            4 => new BoundingBox(a, new Coordinate(
                Math.Clamp(a.LatitudeE7 + chance.Next(-20_000_000, 20_000_000), -900_000_000, 900_000_000),
                (int)Math.Clamp((long)a.LongitudeE7 + chance.Next(-20_000_000, 20_000_000), -1_800_000_000, 1_800_000_000))),
            _ => new BoundingBox(a, RandomPlace(chance)),
        };
    }
}
