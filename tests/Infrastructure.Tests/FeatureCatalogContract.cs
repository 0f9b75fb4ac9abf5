using System.Text;
using RouteService.Domain;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Tests;

/// <summary>What every store does with single writes. A class for each store derives from it and makes empty ones.</summary>
public abstract class FeatureCatalogContract
{
    private static readonly Coordinate Lodz = new(517_591_900, 194_560_000);
    private static readonly Coordinate Pole = new(900_000_000, -1_800_000_000);
    private static readonly Properties Tower = Of("""{"height":61.5,"name:pl":"Wieża","open":true,"roof":null,"uses":["view",{"since":1e300}]}""");

    /// <summary>A store without features, by both of its ports; it lives as long as the test.</summary>
    protected abstract Task<(IFeatureCatalog Catalog, IFeatureStore Store)> CreateAsync();

    [Fact]
    public async Task What_is_created_is_there_for_both_ports_with_all_that_it_has()
    {
        var (catalog, store) = await CreateAsync();
        Assert.Null(await catalog.GetAsync(Lodz, default));
        Assert.Null(await store.FindAsync(Lodz, default));

        var created = await OneAsync(catalog, new FeatureChange.Create(Lodz, "Łódź 👋", Tower));

        Assert.Equal((Lodz, "Łódź 👋", Tower), (created.Location, created.Name, created.Properties));
        Assert.Equal(created.CreatedAt, created.UpdatedAt);
        Assert.InRange(created.CreatedAt, DateTimeOffset.UtcNow.AddMinutes(-10), DateTimeOffset.UtcNow.AddMinutes(10));
        Assert.Equal(created, await catalog.GetAsync(Lodz, default));
        Assert.Equal(new Feature(Lodz, "Łódź 👋"), await store.FindAsync(Lodz, default));
        Assert.Equal(1, await store.CountAsync(default));
        Assert.Equal([new Feature(Lodz, "Łódź 👋")], await store.InAreaAsync(BoundingBox.World, default).ToListAsync());
    }

    [Fact]
    public async Task What_exists_is_not_created_again()
    {
        var (catalog, _) = await CreateAsync();
        var first = await OneAsync(catalog, new FeatureChange.Create(Lodz, "first", Tower));

        var conflict = await ConflictAsync(catalog, new FeatureChange.Create(Lodz, "second", Properties.Empty));

        Assert.Equal((FeatureConflict.Exists, Lodz, first.Etag), (conflict.Conflict, conflict.Location, conflict.Current));
        Assert.Equal(first, await catalog.GetAsync(Lodz, default));
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task An_update_writes_what_it_sets_and_makes_another_version(bool setsName, bool setsProperties)
    {
        var (catalog, store) = await CreateAsync();
        var before = await OneAsync(catalog, new FeatureChange.Create(Lodz, "before", Tower));
        var other = Of("""{"a":"b"}""");

        var after = await OneAsync(
            catalog, new FeatureChange.Update(Lodz, "after", other) { SetsName = setsName, SetsProperties = setsProperties });

        Assert.Equal((setsName ? "after" : "before", setsProperties ? other : Tower), (after.Name, after.Properties));
        Assert.NotEqual(before.Etag, after.Etag);
        Assert.Equal(before.CreatedAt, after.CreatedAt);
        Assert.True(after.UpdatedAt >= before.UpdatedAt);
        Assert.Equal(after, await catalog.GetAsync(Lodz, default));
        Assert.Equal(after.Name, (await store.FindAsync(Lodz, default))!.Name);
    }

    [Fact]
    public async Task Properties_that_are_emptied_are_gone()
    {
        var (catalog, _) = await CreateAsync();
        await OneAsync(catalog, new FeatureChange.Create(Lodz, "", Tower));

        var after = await OneAsync(catalog, new FeatureChange.Update(Lodz, "", Properties.Empty));

        Assert.Equal(Properties.Empty, after.Properties);
        Assert.Equal(after, await catalog.GetAsync(Lodz, default));
    }

    [Fact]
    public async Task What_is_missing_is_updated_and_deleted_only_where_that_is_allowed()
    {
        var (catalog, _) = await CreateAsync();

        Assert.Equal(FeatureConflict.Missing, (await ConflictAsync(catalog, new FeatureChange.Update(Lodz, "", Tower))).Conflict);
        Assert.Equal(FeatureConflict.Missing, (await ConflictAsync(catalog, new FeatureChange.Delete(Lodz))).Conflict);
        Assert.Equal([null], await WriteAsync(catalog, new FeatureChange.Delete(Lodz) { AllowMissing = true }));
        var created = await OneAsync(
            catalog,
            new FeatureChange.Update(Lodz, "made", Tower) { SetsName = false, SetsProperties = false, AllowMissing = true });
        Assert.Equal(("made", Tower), (created.Name, created.Properties));
        Assert.Equal(created, await catalog.GetAsync(Lodz, default));
    }

    [Fact]
    public async Task A_deleted_feature_is_gone_for_both_ports_and_its_etag_is_not_given_again()
    {
        var (catalog, store) = await CreateAsync();
        var first = await OneAsync(catalog, new FeatureChange.Create(Lodz, "a", Tower));

        Assert.Equal([null], await WriteAsync(catalog, new FeatureChange.Delete(Lodz)));

        Assert.Null(await catalog.GetAsync(Lodz, default));
        Assert.Null(await store.FindAsync(Lodz, default));
        Assert.Equal(0, await store.CountAsync(default));
        var second = await OneAsync(catalog, new FeatureChange.Create(Lodz, "a", Properties.Empty));
        Assert.NotEqual(first.Etag, second.Etag);
        Assert.Equal(second, await catalog.GetAsync(Lodz, default));
        Assert.Equal(
            FeatureConflict.Changed, (await ConflictAsync(catalog, new FeatureChange.Update(Lodz, "", Tower) { Expected = first.Etag })).Conflict);
    }

    [Fact]
    public async Task A_version_that_is_not_the_current_one_is_refused_with_the_current_one()
    {
        var (catalog, _) = await CreateAsync();
        var first = await OneAsync(catalog, new FeatureChange.Create(Lodz, "a", Tower));
        var second = await OneAsync(catalog, new FeatureChange.Update(Lodz, "b", Tower) { Expected = first.Etag });

        foreach (var change in (FeatureChange[])[
            new FeatureChange.Update(Lodz, "c", Tower) { Expected = first.Etag },
            new FeatureChange.Update(Lodz, "c", Tower) { Expected = first.Etag, AllowMissing = true },
            new FeatureChange.Delete(Lodz) { Expected = first.Etag },
            new FeatureChange.Delete(Lodz) { Expected = first.Etag, AllowMissing = true }])
        {
            var conflict = await ConflictAsync(catalog, change);
            Assert.Equal((FeatureConflict.Changed, second.Etag), (conflict.Conflict, conflict.Current));
        }

        Assert.Equal(second, await catalog.GetAsync(Lodz, default));
        Assert.Equal([null], await WriteAsync(catalog, new FeatureChange.Delete(Lodz) { Expected = second.Etag }));
        var missing = await ConflictAsync(catalog, new FeatureChange.Update(Lodz, "c", Tower) { Expected = second.Etag, AllowMissing = true });
        Assert.Equal((FeatureConflict.Changed, null), (missing.Conflict, missing.Current));
    }

    [Fact]
    public async Task Of_two_writers_with_one_etag_one_succeeds()
    {
        var (catalog, _) = await CreateAsync();
        var feature = await OneAsync(catalog, new FeatureChange.Create(Lodz, "0", Properties.Empty));
        for (var round = 1; round <= 20; round++)
        {
            var etag = feature.Etag;
            var outcomes = await Task.WhenAll(Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
            {
                try
                {
                    return await OneAsync(catalog, new FeatureChange.Update(Lodz, $"{writer}", Properties.Empty) { Expected = etag });
                }
                catch (FeatureConflictException e) when (e.Conflict is FeatureConflict.Changed)
                {
                    return null;
                }
            })));

            feature = Assert.Single(outcomes.OfType<CatalogFeature>());
            Assert.Equal(feature, await catalog.GetAsync(Lodz, default));
        }
    }

    [Fact]
    public async Task Of_many_that_create_one_feature_one_does()
    {
        var (catalog, _) = await CreateAsync();
        for (var round = 0; round < 20; round++)
        {
            var place = new Coordinate(round, round);
            var outcomes = await Task.WhenAll(Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
            {
                try
                {
                    return await OneAsync(catalog, new FeatureChange.Create(place, $"{writer}", Properties.Empty));
                }
                catch (FeatureConflictException e) when (e.Conflict is FeatureConflict.Exists)
                {
                    return null;
                }
            })));

            Assert.Equal(Assert.Single(outcomes.OfType<CatalogFeature>()), await catalog.GetAsync(place, default));
        }
    }

    [Fact]
    public async Task A_batch_is_done_whole_in_the_order_of_its_changes()
    {
        var (catalog, store) = await CreateAsync();
        await OneAsync(catalog, new FeatureChange.Create(new Coordinate(500, -500), "old", Tower));
        await OneAsync(catalog, new FeatureChange.Create(Pole, "goes", Tower));

        var changes = Enumerable.Range(0, 998).Select(i => new FeatureChange.Update(new Coordinate(i, -i), $"{i}", Tower) { AllowMissing = true })
            .Prepend<FeatureChange>(new FeatureChange.Delete(Pole)).Append(new FeatureChange.Create(Lodz, "new", Properties.Empty)).ToArray();
        var features = await WriteAsync(catalog, changes);

        Assert.Equal(changes.Length, features.Count);
        Assert.Null(features[0]);
        Assert.Equal(changes.Skip(1).Select(change => change.Location), features.Skip(1).Select(feature => feature!.Location));
        Assert.Single(features.OfType<CatalogFeature>().Select(feature => feature.Etag).Distinct());
        foreach (var feature in features.OfType<CatalogFeature>())
        {
            Assert.Equal(feature, await catalog.GetAsync(feature.Location, default));
        }

        Assert.Equal(999, await store.CountAsync(default));
    }

    [Fact]
    public async Task A_batch_with_a_conflict_changes_nothing_and_tells_the_first()
    {
        var (catalog, store) = await CreateAsync();
        var before = await OneAsync(catalog, new FeatureChange.Create(Lodz, "a", Tower));
        var id = Guid.NewGuid();

        var conflict = await Assert.ThrowsAsync<FeatureConflictException>(() => catalog.WriteAsync(
            new FeatureWrite(
                [
                    new FeatureChange.Update(Lodz, "b", Tower),
                    new FeatureChange.Create(new Coordinate(1, 1), "new", Tower),
                    new FeatureChange.Delete(Pole),
                    new FeatureChange.Delete(new Coordinate(2, 2)),
                ],
                id),
            default));

        Assert.Equal((FeatureConflict.Missing, Pole), (conflict.Conflict, conflict.Location));
        Assert.Equal(before, await catalog.GetAsync(Lodz, default));
        Assert.Equal(1, await store.CountAsync(default));

        // Nothing is kept of its id either.
        Assert.Equal("c", (await OneAsync(catalog, new FeatureChange.Update(Lodz, "c", Tower), id)).Name);
    }

    [Fact]
    public async Task Batches_of_the_same_features_in_another_order_do_not_stop_each_other()
    {
        var (catalog, store) = await CreateAsync();
        var places = Enumerable.Range(0, 50).Select(i => new Coordinate(i, i)).ToList();

        await Task.WhenAll(Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
        {
            var chance = new Random(writer);
            for (var i = 0; i < 20; i++)
            {
                var order = places.OrderBy(_ => chance.Next()).ToList();
                await WriteAsync(catalog, [.. order.Select(place => new FeatureChange.Update(place, $"{writer} {i}", Tower) { AllowMissing = true })]);
            }
        })));

        // All features are of one batch, the last.
        Assert.Single((await store.InAreaAsync(BoundingBox.World, default).ToListAsync()).Select(feature => feature.Name).Distinct());
    }

    [Fact]
    public async Task A_write_that_is_repeated_under_its_id_is_done_once()
    {
        var (catalog, _) = await CreateAsync();
        var (create, update, delete) = (Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid());

        var created = await OneAsync(catalog, new FeatureChange.Create(Lodz, "a", Tower), create);
        Assert.Equal(created, await OneAsync(catalog, new FeatureChange.Create(Lodz, "a", Tower), create));

        // Not refused by the etag that its own first time has replaced.
        var change = new FeatureChange.Update(Lodz, "b", Tower) { Expected = created.Etag };
        var updated = await OneAsync(catalog, change, update);
        Assert.Equal(updated, await OneAsync(catalog, change, update));

        // As the feature is now.
        var later = await OneAsync(catalog, new FeatureChange.Update(Lodz, "later", Tower));
        Assert.Equal(later, await OneAsync(catalog, change, update));

        Assert.Equal([null], await WriteAsync(catalog, delete, new FeatureChange.Delete(Lodz)));
        Assert.Equal([null], await WriteAsync(catalog, delete, new FeatureChange.Delete(Lodz)));
        Assert.Equal([null], await WriteAsync(catalog, update, change));
    }

    [Fact]
    public async Task Repeats_at_the_same_time_are_done_once()
    {
        var (catalog, _) = await CreateAsync();
        for (var round = 0; round < 20; round++)
        {
            var (place, id) = (new Coordinate(round, round), Guid.NewGuid());
            var features = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(
                () => OneAsync(catalog, new FeatureChange.Create(place, "once", Tower), id))));

            Assert.Single(features.Distinct());
        }
    }

    [Fact]
    public async Task The_id_of_another_write_is_refused()
    {
        var (catalog, _) = await CreateAsync();
        var id = Guid.NewGuid();
        await OneAsync(catalog, new FeatureChange.Create(Lodz, "a", Tower), id);

        foreach (var change in (FeatureChange[])[new FeatureChange.Create(Pole, "a", Tower), new FeatureChange.Delete(Lodz)])
        {
            var refusal = await Assert.ThrowsAsync<InvalidValueException>(() => WriteAsync(catalog, id, change));
            Assert.Equal("request_id", refusal.Place);
        }

        Assert.Null(await catalog.GetAsync(Pole, default));
        Assert.NotNull(await catalog.GetAsync(Lodz, default));
    }

    [Fact]
    public async Task An_import_makes_other_versions_of_what_it_changes_without_their_properties()
    {
        var (catalog, store) = await CreateAsync();
        var named = await OneAsync(catalog, new FeatureChange.Create(Lodz, "named", Properties.Empty));
        var tower = await OneAsync(catalog, new FeatureChange.Create(Pole, "tower", Tower));
        var place = new Coordinate(1, 1);
        var other = await OneAsync(catalog, new FeatureChange.Create(place, "other", Tower));

        await store.ImportAsync(
            new Feature[] { new(Lodz, "renamed"), new(Pole, "tower"), new(new Coordinate(2, 2), "imported") }.ToAsyncEnumerable(), replace: false, default);

        var renamed = (await catalog.GetAsync(Lodz, default))!;
        Assert.Equal("renamed", renamed.Name);
        Assert.NotEqual(named.Etag, renamed.Etag);
        Assert.True(renamed.UpdatedAt >= named.UpdatedAt);
        Assert.Equal(named.CreatedAt, renamed.CreatedAt);
        var bare = (await catalog.GetAsync(Pole, default))!;
        Assert.Equal(Properties.Empty, bare.Properties);
        Assert.NotEqual(tower.Etag, bare.Etag);
        Assert.Equal(other, await catalog.GetAsync(place, default));
        var imported = (await catalog.GetAsync(new Coordinate(2, 2), default))!;
        Assert.Equal(("imported", Properties.Empty, imported.CreatedAt), (imported.Name, imported.Properties, imported.UpdatedAt));
        Assert.Equal(
            FeatureConflict.Changed, (await ConflictAsync(catalog, new FeatureChange.Update(Lodz, "", Tower) { Expected = named.Etag })).Conflict);
        var updated = await OneAsync(catalog, new FeatureChange.Update(imported.Location, "updated", Tower) { Expected = imported.Etag });
        Assert.NotEqual(imported.Etag, updated.Etag);
    }

    [Fact]
    public async Task An_import_that_replaces_leaves_no_properties()
    {
        var (catalog, store) = await CreateAsync();
        await OneAsync(catalog, new FeatureChange.Create(Lodz, "same", Tower));
        await OneAsync(catalog, new FeatureChange.Create(Pole, "goes", Tower));

        await store.ImportAsync(new Feature[] { new(Lodz, "same") }.ToAsyncEnumerable(), replace: true, default);

        Assert.Equal(Properties.Empty, (await catalog.GetAsync(Lodz, default))!.Properties);
        Assert.Null(await catalog.GetAsync(Pole, default));
        Assert.Equal(Properties.Empty, (await OneAsync(catalog, new FeatureChange.Create(Pole, "back", Properties.Empty))).Properties);
        Assert.Equal(Properties.Empty, (await catalog.GetAsync(Pole, default))!.Properties);
    }

    [Theory]
    [MemberData(nameof(Texts.Kinds), MemberType = typeof(Texts))]
    public async Task Names_and_properties_are_any_text(string kind)
    {
        var (catalog, _) = await CreateAsync();
        var text = string.Concat(Enumerable.Repeat(Texts.Of(kind), 100));
        var properties = new Properties(new Dictionary<string, PropertyValue> { [text] = new PropertyValue.Text(text) });

        var created = await OneAsync(catalog, new FeatureChange.Create(Lodz, text, properties));

        Assert.Equal((text, properties), (created.Name, created.Properties));
        Assert.Equal(created, await catalog.GetAsync(Lodz, default));
    }

    protected static Properties Of(string json) => Properties.Parse(Encoding.UTF8.GetBytes(json));

    protected static async Task<CatalogFeature> OneAsync(IFeatureCatalog catalog, FeatureChange change, Guid? requestId = null) =>
        Assert.Single(await catalog.WriteAsync(new FeatureWrite([change], requestId), default))!;

    private static Task<IReadOnlyList<CatalogFeature?>> WriteAsync(IFeatureCatalog catalog, params FeatureChange[] changes) =>
        catalog.WriteAsync(new FeatureWrite(changes, RequestId: null), default);

    private static Task<IReadOnlyList<CatalogFeature?>> WriteAsync(IFeatureCatalog catalog, Guid id, FeatureChange change) =>
        catalog.WriteAsync(new FeatureWrite([change], id), default);

    private static Task<FeatureConflictException> ConflictAsync(IFeatureCatalog catalog, FeatureChange change) =>
        Assert.ThrowsAsync<FeatureConflictException>(() => WriteAsync(catalog, change));
}
