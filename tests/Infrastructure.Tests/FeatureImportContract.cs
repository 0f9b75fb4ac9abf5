using System.Text;
using FsCheck;
using FsCheck.Fluent;
using RouteService.Domain;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Export;
using RouteService.Infrastructure.Import;

namespace RouteService.Infrastructure.Tests;

/// <summary>What every store does with imports of properties, their requests, and exports. A class for each store derives from it.</summary>
public abstract class FeatureImportContract
{
    private static readonly Coordinate Lodz = new(517_591_900, 194_560_000);
    private static readonly Coordinate Pole = new(900_000_000, -1_800_000_000);
    private static readonly Properties Tower = Of("""{"height":61.5,"open":true,"uses":["view",{"since":1e300}]}""");
    private static readonly Properties Mill = Of("""{"height":61}""");

    /// <summary>A store without features, by both of its ports; it lives as long as the test.</summary>
    protected abstract Task<(IFeatureCatalog Catalog, IFeatureStore Store)> CreateAsync();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_import_keeps_properties_and_makes_other_versions_of_what_differs_only(bool isEmpty)
    {
        var (catalog, store) = await CreateAsync();
        var places = Enumerable.Range(0, 6).Select(static i => new Coordinate(i, -i)).ToList();
        if (!isEmpty)
        {
            await ImportAsync(store, new FeatureContent(Pole, "elsewhere", Tower));
        }

        await ImportAsync(
            store,
            [.. places.Select((place, i) => new FeatureContent(place, $"{i}", i % 2 == 0 ? Tower : Properties.Empty))]);
        var before = await AllAsync(catalog, places);
        Assert.Equal([Tower, Properties.Empty, Tower, Properties.Empty, Tower, Properties.Empty], before.Select(static feature => feature.Properties));

        var summary = await ImportAsync(
            store,
            new FeatureContent(places[0], "0", Tower),
            new FeatureContent(places[1], "1", Properties.Empty),
            new FeatureContent(places[2], "2", Mill),
            new FeatureContent(places[3], "3", Mill),
            new FeatureContent(places[4], "4", Properties.Empty),
            new FeatureContent(places[5], "renamed", Tower),
            new FeatureContent(new Coordinate(7, 7), "new", Mill));

        Assert.Equal(new ImportSummary(Read: 7, Superseded: 0, Overwritten: 6, Total: isEmpty ? 7 : 8), summary);
        var after = await AllAsync(catalog, places);
        Assert.Equal([Tower, Properties.Empty, Mill, Mill, Properties.Empty, Tower], after.Select(static feature => feature.Properties));
        Assert.Equal(before[..2], after[..2]);
        foreach (var (old, changed) in before.Zip(after).Skip(2))
        {
            Assert.NotEqual(old.Etag, changed.Etag);
            Assert.Equal(old.CreatedAt, changed.CreatedAt);
            Assert.True(changed.UpdatedAt >= old.UpdatedAt);
        }

        Assert.Equal(("new", Mill), ((await catalog.GetAsync(new Coordinate(7, 7), default))!.Name, (await catalog.GetAsync(new Coordinate(7, 7), default))!.Properties));
        Assert.Equal(isEmpty, await catalog.GetAsync(Pole, default) is null);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Of_several_records_at_one_place_the_last_one_counts_with_its_properties(bool isEmpty)
    {
        var (catalog, store) = await CreateAsync();
        if (!isEmpty)
        {
            await ImportAsync(store, new FeatureContent(Lodz, "old", Mill));
        }

        var summary = await ImportAsync(
            store,
            new FeatureContent(Lodz, "first", Tower),
            new FeatureContent(Pole, "first", Properties.Empty),
            new FeatureContent(Lodz, "last", Properties.Empty),
            new FeatureContent(Pole, "last", Mill));

        Assert.Equal(new ImportSummary(Read: 4, Superseded: 2, Overwritten: isEmpty ? 0 : 1, Total: 2), summary);
        Assert.Equal(
            [("last", Properties.Empty), ("last", Mill)],
            (await AllAsync(catalog, [Lodz, Pole])).Select(static feature => (feature.Name, feature.Properties)));
    }

    [Fact]
    public async Task An_import_that_replaces_leaves_only_its_own_properties()
    {
        var (catalog, store) = await CreateAsync();
        await ImportAsync(store, new FeatureContent(Lodz, "same", Tower), new FeatureContent(Pole, "goes", Mill));

        await store.ImportAsync(
            Stream(new FeatureContent(Lodz, "same", Tower), new FeatureContent(default, "new", Mill)), new FeatureImport(Replace: true), default);

        Assert.Equal(2, await store.CountAsync(default));
        Assert.Equal([Tower, Mill], (await AllAsync(catalog, [Lodz, default])).Select(static feature => feature.Properties));
        await catalog.WriteAsync(new FeatureWrite([new FeatureChange.Create(Pole, "back", Properties.Empty)], RequestId: null), default);
        Assert.Equal(Properties.Empty, (await catalog.GetAsync(Pole, default))!.Properties);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_import_that_is_sent_again_has_the_first_summary_and_writes_nothing(bool replace)
    {
        var (catalog, store) = await CreateAsync();
        await ImportAsync(store, new FeatureContent(Lodz, "old", Mill));
        var import = new FeatureImport(replace, Guid.NewGuid());
        FeatureContent[] records = [new(Lodz, "a", Tower), new(default, "b", Mill), new(default, "c", Mill)];
        var first = await store.ImportAsync(Stream(records), import, default);
        Assert.Equal(new ImportSummary(Read: 3, Superseded: 1, Overwritten: replace ? 0 : 1, Total: 2), first);
        await catalog.WriteAsync(new FeatureWrite([new FeatureChange.Delete(default)], RequestId: null), default);
        var left = (await catalog.GetAsync(Lodz, default))!;

        Assert.Equal(first, await store.ImportAsync(Stream(records), import, default));

        Assert.Equal(left, await catalog.GetAsync(Lodz, default));
        Assert.Null(await catalog.GetAsync(default, default));
    }

    [Fact]
    public async Task The_id_of_another_request_is_refused_and_nothing_is_written()
    {
        var (catalog, store) = await CreateAsync();
        var (import, write) = (Guid.NewGuid(), Guid.NewGuid());
        await store.ImportAsync(Stream(new FeatureContent(Lodz, "a", Tower)), new FeatureImport(Replace: false, import), default);
        await catalog.WriteAsync(new FeatureWrite([new FeatureChange.Create(Pole, "b", Mill)], write), default);

        foreach (var other in (FeatureImport[])[new(Replace: true, import), new(Replace: false, write)])
        {
            var refusal = await Assert.ThrowsAsync<InvalidValueException>(
                async () => await store.ImportAsync(Stream(new FeatureContent(default, "c", Mill)), other, default));
            Assert.Equal("request_id", refusal.Place);
        }

        await Assert.ThrowsAsync<InvalidValueException>(
            () => catalog.WriteAsync(new FeatureWrite([new FeatureChange.Create(default, "c", Mill)], import), default));
        Assert.Equal(2, await store.CountAsync(default));
    }

    [Fact]
    public async Task The_id_of_an_import_that_failed_can_be_used_again()
    {
        var (catalog, store) = await CreateAsync();
        var import = new FeatureImport(Replace: false, Guid.NewGuid());

        await Assert.ThrowsAsync<InvalidDataException>(async () => await store.ImportAsync(Broken(), import, default));

        Assert.Equal(1, (await store.ImportAsync(Stream(new FeatureContent(Lodz, "a", Tower)), import, default)).Total);
        Assert.Equal(Tower, (await catalog.GetAsync(Lodz, default))!.Properties);

        static async IAsyncEnumerable<FeatureContent> Broken()
        {
            yield return new FeatureContent(Pole, "x", Tower);
            await Task.Yield();
            throw new InvalidDataException();
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task While_an_import_waits_for_its_records_others_write_and_import(bool replace)
    {
        var (catalog, store) = await CreateAsync();
        var (halfway, goOn) = (new TaskCompletionSource(), new TaskCompletionSource());
        var import = store.ImportAsync(InTwoHalves(), new FeatureImport(replace), default).AsTask();
        await halfway.Task;

        await catalog.WriteAsync(new FeatureWrite([new FeatureChange.Create(Lodz, "mine", Mill)], RequestId: null), default);
        await ImportAsync(store, new FeatureContent(Pole, "mine", Mill));

        Assert.Equal("mine", (await catalog.GetAsync(Pole, default))!.Name);
        goOn.SetResult();
        Assert.Equal(new ImportSummary(Read: 2, Superseded: 0, Overwritten: replace ? 0 : 1, Total: replace ? 2 : 3), await import);
        Assert.Equal(("import", Tower), ((await catalog.GetAsync(Pole, default))!.Name, (await catalog.GetAsync(Pole, default))!.Properties));

        async IAsyncEnumerable<FeatureContent> InTwoHalves()
        {
            yield return new FeatureContent(Pole, "import", Tower);
            halfway.SetResult();
            await goOn.Task;
            yield return new FeatureContent(default, "import", Tower);
        }
    }

    [Fact]
    public async Task Imports_and_writes_of_the_same_features_at_once_leave_each_feature_as_one_of_them_made_it()
    {
        var (catalog, store) = await CreateAsync();
        var places = Enumerable.Range(0, 60).Select(static i => new Coordinate(i, i)).ToList();
        using var ending = new CancellationTokenSource();
        var writing = Enumerable.Range(0, 3).Select(writer => Task.Run(async () =>
        {
            var chance = new Random(writer);
            for (var i = 0; !ending.IsCancellationRequested; i++)
            {
                var (name, properties) = Made($"{writer} {i}");
                var some = places.Where(_ => chance.Next(4) == 0).ToList();
                FeatureChange[] changes = chance.Next(3) == 0
                    ? [.. some.Select(static place => new FeatureChange.Delete(place) { AllowMissing = true })]
                    : [.. some.Select(place => new FeatureChange.Update(place, name, properties) { AllowMissing = true })];
                await catalog.WriteAsync(new FeatureWrite(changes, RequestId: null), default);
            }
        })).ToList();

        for (var i = 0; i < 20; i++)
        {
            var (name, properties) = Made($"import {i}");
            var summary = await ImportAsync(store, [.. places.Select(place => new FeatureContent(place, name, i % 3 == 0 ? Properties.Empty : properties))]);
            Assert.Equal((places.Count, 0), (summary.Read, summary.Superseded));
        }

        await ending.CancelAsync();
        await Task.WhenAll(writing);
        foreach (var place in places)
        {
            if (await catalog.GetAsync(place, default) is { } feature && feature.Properties.Members.Count > 0)
            {
                Assert.Equal(Made(feature.Name).Properties, feature.Properties);
            }
        }

        static (string Name, Properties Properties) Made(string name) =>
            (name, new Properties(new Dictionary<string, PropertyValue> { ["by"] = new PropertyValue.Text(name) }));
    }

    [Fact]
    public async Task All_features_are_read_as_they_were_when_the_reading_began()
    {
        var (catalog, store) = await CreateAsync();
        FeatureContent[] features = [.. Enumerable.Range(0, 5_000).Select(static i => new FeatureContent(new Coordinate(i, -i), $"{i}", i % 2 == 0 ? Tower : Properties.Empty))];
        await ImportAsync(store, features);
        await using var reading = store.ReadAllAsync(default).GetAsyncEnumerator();
        Assert.True(await reading.MoveNextAsync());

        await catalog.WriteAsync(new FeatureWrite([new FeatureChange.Delete(new Coordinate(4_999, -4_999))], RequestId: null), default);
        await ImportAsync(store, [.. features.Select(static feature => feature with { Name = "changed", Properties = Mill })]);

        var read = new List<FeatureContent> { reading.Current };
        while (await reading.MoveNextAsync())
        {
            read.Add(reading.Current);
        }

        Assert.Equal(features.ToHashSet(), read.ToHashSet());
        Assert.Equal(features.Length, read.Count);
        Assert.Equal(read.Select(static feature => feature.Location), await store.ReadAllAsync(default).Select(static feature => feature.Location).ToListAsync());
    }

    [Fact]
    public async Task An_export_ends_when_its_token_fires()
    {
        var (_, store) = await CreateAsync();
        await ImportAsync(store, [.. Enumerable.Range(0, 5_000).Select(static i => new FeatureContent(new Coordinate(i, -i), "", Properties.Empty))]);
        using var cancellation = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var _ in store.ReadAllAsync(cancellation.Token))
            {
                await cancellation.CancelAsync();
            }
        });
    }

    /// <summary>Features with any names and properties, exported from the store and imported again, are the same, in every format.</summary>
    [Theory]
    [InlineData(ExportFormat.GeoJson)]
    [InlineData(ExportFormat.GeoJsonLines)]
    [InlineData(ExportFormat.Csv)]
    public async Task What_is_exported_is_imported_as_it_was(ExportFormat format)
    {
        var (_, store) = await CreateAsync();
        var path = Path.GetTempFileName();
        try
        {
            foreach (var features in Contents.Sample(12, 15).Append([]))
            {
                await store.ImportAsync(Stream([.. features]), new FeatureImport(Replace: true), default);
                var before = await store.ReadAllAsync(default).ToListAsync();
                await using (var file = File.Create(path))
                {
                    Assert.Equal(before.Count, await FeatureWriter.WriteAsync(file, format, store.ReadAllAsync(default), default));
                }

                using (var read = FeatureFile.Open(path))
                {
                    await store.ImportAsync(read.ReadAll(skipInvalid: false).ToAsyncEnumerable(), new FeatureImport(Replace: true), default);
                }

                Assert.Equal(before, await store.ReadAllAsync(default).ToListAsync());
                Assert.Equal(features.DistinctBy(static feature => feature.Location).Count(), before.Count);
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static readonly Gen<string> AnyText = Gen.OneOf(
        Gen.Elements("", "name", "Name", "title", "display_name", "properties", "a", "é", "日本", "😀", "\"", "\"\"", "\\", "\u2028", "\r\n", "\n", "\t", "\u001f", ",", ";", " a ", "{", "[1]", "'", "=1+1", "NULL", "\uFEFF", "\u007f"),
        from letters in Gen.ArrayOf(Gen.Choose(1, 0x10FFFF).Where(static rune => Rune.IsValid(rune)), 5)
        select string.Concat(letters.Select(static rune => new Rune(rune).ToString())));

    private static readonly Gen<List<FeatureContent>> Contents =
        from features in Gen.ArrayOf(
            from latitude in Gen.OneOf(Gen.Choose(-900_000_000, 900_000_000), Gen.Elements(-900_000_000, -1, 0, 1, 900_000_000))
            from longitude in Gen.OneOf(Gen.Choose(-1_800_000_000, 1_800_000_000), Gen.Elements(-1_800_000_000, -1, 0, 10, 1_800_000_000))
            from name in AnyText
            from members in Members(3)
            select new FeatureContent(new Coordinate(latitude, longitude), name, new Properties(members)),
            40)
        select features.ToList();

    private static Gen<Dictionary<string, PropertyValue>> Members(int depth) =>
        from count in Gen.Choose(0, 4)
        from names in Gen.ArrayOf(AnyText, count)
        from values in Gen.ArrayOf(Value(depth), count)
        select names.Zip(values).DistinctBy(static member => member.First).ToDictionary(static member => member.First, static member => member.Second);

    private static Gen<PropertyValue> Value(int depth)
    {
        var scalar = Gen.OneOf(
            Gen.Constant<PropertyValue>(new PropertyValue.Null()),
            from truth in Gen.Elements(true, false) select (PropertyValue)new PropertyValue.Truth(truth),
            from text in AnyText select (PropertyValue)new PropertyValue.Text(text),
            from number in Gen.OneOf(
                Gen.Elements(0, -0.0, 1, -1, 0.1, 1e20, 1.2345678901234567e20, 1e21, 1e-7, 1e300, 5e-324, double.MaxValue, 9007199254740993, 123456.789),
                from high in Gen.Choose(int.MinValue, int.MaxValue)
                from low in Gen.Choose(int.MinValue, int.MaxValue)
                let bits = BitConverter.Int64BitsToDouble(((long)high << 32) | (uint)low)
                select double.IsFinite(bits) ? bits : 0)
            select (PropertyValue)new PropertyValue.Number(number));
        return depth == 0 ? scalar : Gen.OneOf(
            scalar,
            from items in Gen.ArrayOf(Value(depth - 1), 3) select (PropertyValue)new PropertyValue.List(items),
            from members in Members(depth - 1) select (PropertyValue)new PropertyValue.Map(members));
    }

    private static Properties Of(string json) => Properties.Parse(Encoding.UTF8.GetBytes(json));

    private static IAsyncEnumerable<FeatureContent> Stream(params FeatureContent[] features) => features.ToAsyncEnumerable();

    private static async Task<ImportSummary> ImportAsync(IFeatureStore store, params FeatureContent[] features) =>
        await store.ImportAsync(Stream(features), new FeatureImport(Replace: false), default);

    private static async Task<CatalogFeature[]> AllAsync(IFeatureCatalog catalog, IEnumerable<Coordinate> places)
    {
        var features = new List<CatalogFeature>();
        foreach (var place in places)
        {
            features.Add((await catalog.GetAsync(place, default))!);
        }

        return [.. features];
    }
}
