using System.Text;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Tests;

/// <summary>What searches find in every store, against a scan of all features. A class for each store derives from it.</summary>
public abstract class FeatureSearchContract
{
    private static readonly string[] Names =
    [
        "Łódź", "lodz 2", "Straße", "STRASSE", "東京", "", "café", "a%_\\\"'", "CAFÉ 東京都", "서울역", "Ёлка", "ガラス", "🚀🚀 ½", "100%_off", "x\\y'z",
    ];

    private static readonly string[] Texts =
    [
        "LÓDZ", "ss", "京", "e", "%", "strasse", "ẞE", "東京", "東京都", "cafe 東", "서우", "울역", "елк", "カラス", "🚀", "🚀🚀", "1⁄2", "100%_", "%_\\\"", "x\\y'",
        "X\\Y'Z", "a%_", "zzz",
    ];

    /// <summary>A store without features; it lives as long as the test.</summary>
    protected abstract Task<IFeatureCatalog> CreateAsync();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Every_search_finds_in_pages_what_a_scan_finds(int seed)
    {
        var chance = new Random(seed);
        var (catalog, features) = await FillAsync(chance, 2_000);
        var search = new FeatureSearch(catalog);
        for (var i = 0; i < 150; i++)
        {
            var filter = RandomFilter(chance, features);
            var expected = features.Where(feature => filter.Matches(feature.Location, feature.Name, feature.Properties))
                .OrderBy(feature => ZOrder.Encode(feature.Location)).ToList();
            var limit = chance.Next(4) switch { 0 => 1 + chance.Next(3), 1 => FeatureSearch.MaxPage, _ => 1 + chance.Next(200) };
            limit = Math.Max(limit, expected.Count / 20);

            Assert.True(expected.SequenceEqual(await AllAsync(search, filter, limit)), $"seed {seed}, search {i}, limit {limit}");
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task The_nearest_are_those_that_a_scan_has_first(int seed)
    {
        var chance = new Random(seed);
        var (catalog, features) = await FillAsync(chance, 1_000);
        var search = new FeatureSearch(catalog);
        for (var i = 0; i < 40; i++)
        {
            var filter = i % 2 == 0 ? new FeatureFilter() : RandomFilter(chance, features);
            var near = PlaceNear(chance, features);
            var limit = 1 + chance.Next(30);
            var expected = features.Where(feature => filter.Matches(feature.Location, feature.Name, feature.Properties))
                .Select(feature => new NearFeature(feature, Haversine.Meters(near, feature.Location)))
                .OrderBy(found => found.Meters).ThenBy(found => ZOrder.Encode(found.Feature.Location)).Take(limit).ToList();

            var found = await search.FindNearestAsync(filter, near, limit, withProperties: true, default);

            Assert.True(expected.SequenceEqual(found), $"seed {seed}, search {i}, near {near}, limit {limit}");
        }
    }

    [Fact]
    public async Task Those_at_the_same_distance_come_in_the_order_of_codes()
    {
        var catalog = await CreateAsync();
        Coordinate[] places = [new(0, -10), new(0, 10), new(-10, 0), new(10, 0), new(900_000_000, 5), new(900_000_000, -5), new(-900_000_000, 0)];
        await CreateAsync(catalog, [.. places.Select(place => new FeatureChange.Create(place, "", Properties.Empty))]);
        var search = new FeatureSearch(catalog);

        var around = await search.FindNearestAsync(new FeatureFilter(), default, 3, withProperties: true, default);
        var pole = await search.FindNearestAsync(new FeatureFilter(), new Coordinate(900_000_000, 1_800_000_000), 2, withProperties: true, default);

        Assert.Equal(places[..4].OrderBy(place => (Haversine.Meters(default, place), ZOrder.Encode(place))).Take(3), around.Select(found => found.Feature.Location));
        Assert.Equal([places[5], places[4]], pole.Select(found => found.Feature.Location));
        Assert.All(pole, found => Assert.Equal(0, found.Meters));
    }

    [Fact]
    public async Task Where_few_match_a_page_ends_after_its_candidates_and_the_next_goes_on()
    {
        var catalog = await CreateAsync();
        for (var i = 0; i < 24; i++)
        {
            await CreateAsync(catalog, [.. Enumerable.Range(i * 1_000, 1_000).Select(n => new FeatureChange.Create(
                new Coordinate(n, n), n == 23_999 ? "needle" : "hay", Properties.Empty))]);
        }

        var search = new FeatureSearch(catalog);
        // Too short for an index.
        var filter = new FeatureFilter(text: "DL");

        var first = await search.ReadPageAsync(filter, 0, 10, withProperties: true, default);
        Assert.Empty(first.Features);
        var last = await search.ReadPageAsync(filter, ZOrder.Encode(first.GoesOnAfter!.Value) + 1, 10, withProperties: true, default);

        Assert.Equal(["needle"], last.Features.Select(feature => feature.Name));
        Assert.Null(last.GoesOnAfter);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task The_few_that_match_are_found_whatever_their_names_are(int seed)
    {
        var catalog = await CreateAsync();
        var chance = new Random(seed);
        string[] words = [.. Names, "İstanbul", "Đà Nẵng", "ﬁn", "שָׁלוֹם", "ไทย", "𝐀𐐀", "\u0301", "ℵ"];
        var changes = Enumerable.Range(0, 3_000).Select(i => new FeatureChange.Create(
            new Coordinate(chance.Next(900_000_000), i),
            string.Join(" -"[chance.Next(2)], chance.GetItems(words, chance.Next(4))),
            chance.Next(100) == 0 ? Of($$"""{"n":{{chance.Next(-3, 4)}}.5,"s":"\"{{chance.Next(3)}}","list":["x"]}""") : Of("""{"list":"y"}"""))).ToArray();
        var features = new List<CatalogFeature>();
        foreach (var batch in changes.Chunk(1_000))
        {
            features.AddRange(await CreateAsync(catalog, batch));
        }

        var search = new FeatureSearch(catalog);
        string[] members = ["""{"n":1.5}""", """{"s":"\"2"}""", """{"n":-0.5,"s":"\"1"}""", """{"list":"x"}""", """{"list":"y"}""", """{"n":7}"""];
        for (var i = 0; i < 200; i++)
        {
            // A piece of a name, in another case.
            var name = chance.GetItems(features.ToArray(), 1)[0].Name.EnumerateRunes().ToArray();
            var first = chance.Next(name.Length + 1);
            var text = string.Concat(name.Skip(first).Take(chance.Next(1, 12)));
            text = TextFold.Fold(text).Length == 0 ? "" : chance.Next(2) == 0 ? text.ToUpperInvariant() : text;
            var filter = new FeatureFilter(
                chance.Next(3) == 0 ? RandomArea(chance, features) : null, text, chance.Next(3) == 0 ? Of(members[chance.Next(members.Length)]) : null);
            var near = PlaceNear(chance, features);
            var matches = features.Where(feature => filter.Matches(feature.Location, feature.Name, feature.Properties)).ToList();

            Assert.True(
                matches.OrderBy(feature => ZOrder.Encode(feature.Location)).SequenceEqual(await AllAsync(search, filter, 50)),
                $"seed {seed}, search {i}, text '{text}'");
            Assert.True(
                matches.Select(feature => (feature.Location, Haversine.Meters(near, feature.Location)))
                    .OrderBy(found => found.Item2).ThenBy(found => ZOrder.Encode(found.Location)).Take(3).SequenceEqual(
                        (await search.FindNearestAsync(filter, near, 3, withProperties: false, default))
                            .Select(found => (found.Feature.Location, found.Meters))),
                $"seed {seed}, nearest {i}, text '{text}'");
        }
    }

    [Fact]
    public async Task A_page_of_a_thin_area_ends_after_the_crowd_beside_it_and_the_next_goes_on()
    {
        // Where a page is not the first: a store may have another way for that.
        const int Crowd = 30_000;
        var catalog = await CreateAsync();
        foreach (var longitudes in Enumerable.Range(0, Crowd).Chunk(1_000))
        {
            await CreateAsync(catalog, [.. longitudes.Select(static longitude => new FeatureChange.Create(new Coordinate(1, longitude), "beside", Properties.Empty))]);
        }

        int[] inside = [0, Crowd - 3, Crowd - 2, Crowd - 1];
        await CreateAsync(catalog, [.. inside.Select(static longitude => new FeatureChange.Create(new Coordinate(0, longitude), "inside", Properties.Empty))]);
        var search = new FeatureSearch(catalog);
        var filter = new FeatureFilter(new Box(new Coordinate(0, 0), new Coordinate(0, Crowd)));
        var pages = new List<SearchPage>();

        for (long? from = ZOrder.Encode(new Coordinate(0, 0)) + 1; from is { } code;)
        {
            pages.Add(await search.ReadPageAsync(filter, code, 10, withProperties: true, default));
            from = pages[^1].GoesOnAfter is { } last ? ZOrder.Encode(last) + 1 : null;
        }

        Assert.Equal(2, pages.Count);
        Assert.Empty(pages[0].Features);
        Assert.Equal(inside[1..], pages[1].Features.Select(static feature => feature.Location.LongitudeE7).Order());
    }

    [Fact]
    public async Task Long_properties_end_a_read_before_its_limit_and_the_next_goes_on()
    {
        const int Length = 60 * 1024;
        var catalog = await CreateAsync();
        var features = new List<CatalogFeature>();
        foreach (var places in Enumerable.Range(0, 300).Chunk(50))
        {
            features.AddRange(await CreateAsync(catalog, [.. places.Select(static place => new FeatureChange.Create(
                new Coordinate(place * 1_000, place), "long", Of($$"""{"kind":"long","text":"{{new string('x', Length)}}"}""")))]));
        }

        features.Sort(static (a, b) => ZOrder.Encode(a.Location).CompareTo(ZOrder.Encode(b.Location)));
        var read = await catalog.ReadAsync([BoundingBox.World], 0, 1_000, withProperties: true, default);
        Assert.InRange(read.Features.Count, 1, (CatalogPage.MaxLength / Length) + 1);
        Assert.Equal(read.Features[^1].Location, read.GoesOnAfter);
        Assert.Null(await catalog.FindAsync(new FeatureFilter(properties: Of("""{"kind":"long"}""")), 10_000, withProperties: true, default));

        var search = new FeatureSearch(catalog);
        foreach (var filter in new[] { new FeatureFilter(), new FeatureFilter(properties: Of("""{"kind":"long"}""")), new FeatureFilter(text: "none") })
        {
            var matches = filter.FoldedText.Length > 0 ? [] : features;
            Assert.Equal(matches, await AllAsync(search, filter, FeatureSearch.MaxPage));
            var page = await search.ReadPageAsync(filter, 0, FeatureSearch.MaxPage, withProperties: true, default);
            var nearest = await search.FindNearestAsync(filter, default, FeatureSearch.MaxPage, withProperties: true, default);

            // 2 MiB of them.
            Assert.Equal((Math.Min(35, matches.Count), Math.Min(35, matches.Count)), (page.Features.Count, nearest.Count));
            Assert.Equal(
                matches.OrderBy(static feature => Haversine.Meters(default, feature.Location)).Take(nearest.Count),
                nearest.Select(static found => found.Feature));
        }
    }

    [Fact]
    public async Task What_stays_comes_once_while_others_come_and_go()
    {
        var chance = new Random(1);
        var (catalog, features) = await FillAsync(chance, 1_000);
        var search = new FeatureSearch(catalog);
        var (stay, go) = (features.Where((_, i) => i % 2 == 0).ToList(), new Queue<CatalogFeature>(features.Where((_, i) => i % 2 == 1)));
        var found = new List<CatalogFeature>();

        for (long? from = 0; from is { } code;)
        {
            var page = await search.ReadPageAsync(new FeatureFilter(), code, 50, withProperties: true, default);
            found.AddRange(page.Features);
            from = page.GoesOnAfter is { } last ? ZOrder.Encode(last) + 1 : null;
            FeatureChange[] changes = [
                .. Enumerable.Range(0, Math.Min(10, go.Count)).Select(_ => new FeatureChange.Delete(go.Dequeue().Location)),
                .. Enumerable.Range(0, 10).Select(_ => new FeatureChange.Update(RandomPlace(chance, []), "new", Properties.Empty) { AllowMissing = true })];
            await catalog.WriteAsync(new FeatureWrite([.. changes.DistinctBy(change => change.Location)], null), default);
        }

        Assert.Equal(found.Count, found.Select(feature => feature.Location).Distinct().Count());
        Assert.Subset(found.Select(feature => feature.Location).ToHashSet(), stay.Select(feature => feature.Location).ToHashSet());
    }

    private static async Task<List<CatalogFeature>> AllAsync(FeatureSearch search, FeatureFilter filter, int limit)
    {
        var found = new List<CatalogFeature>();
        for (long? from = 0; from is { } code;)
        {
            var page = await search.ReadPageAsync(filter, code, limit, withProperties: true, default);
            Assert.InRange(page.Features.Count, 0, limit);
            found.AddRange(page.Features);
            from = page.GoesOnAfter is { } last ? ZOrder.Encode(last) + 1 : null;
        }

        return found;
    }

    private async Task<(IFeatureCatalog Catalog, List<CatalogFeature> Features)> FillAsync(Random chance, int count)
    {
        var catalog = await CreateAsync();
        var changes = new Dictionary<Coordinate, FeatureChange>();
        while (changes.Count < count)
        {
            var place = RandomPlace(chance, [.. changes.Keys.Take(20)]);
            var properties = chance.Next(3) == 0 ? Properties.Empty : Of($$"""{"kind":{{chance.Next(4)}},"open":{{(chance.Next(2) == 0 ? "true" : "null")}}}""");
            changes[place] = new FeatureChange.Create(place, Names[chance.Next(Names.Length)], properties);
        }

        var features = new List<CatalogFeature>();
        foreach (var batch in changes.Values.Chunk(1_000))
        {
            features.AddRange(await CreateAsync(catalog, batch));
        }

        return (catalog, features);
    }

    private static async Task<IEnumerable<CatalogFeature>> CreateAsync(IFeatureCatalog catalog, FeatureChange[] changes) =>
        (await catalog.WriteAsync(new FeatureWrite(changes, RequestId: null), default)).Select(feature => feature!);

    private static Properties Of(string json) => Properties.Parse(Encoding.UTF8.GetBytes(json));

    /// <summary>Anywhere, and often at a pole, at the antimeridian, and in one small place that is crowded.</summary>
    private static Coordinate RandomPlace(Random chance, IReadOnlyList<Coordinate> known) => chance.Next(6) switch
    {
        0 => new Coordinate(chance.Next(2) == 0 ? 900_000_000 : -900_000_000, Longitude(chance)),
        1 => new Coordinate(chance.Next(-900_000_000, 900_000_001), chance.Next(2) == 0 ? 1_800_000_000 : -1_800_000_000),
        2 or 3 => new Coordinate(chance.Next(400), chance.Next(400)),
        4 when known.Count > 0 && known[chance.Next(known.Count)] is var one => new Coordinate(
            Math.Clamp(one.LatitudeE7 + chance.Next(-9_000, 9_000), -900_000_000, 900_000_000), one.LongitudeE7),
        _ => new Coordinate(chance.Next(-900_000_000, 900_000_001), Longitude(chance)),
    };

    private static Coordinate PlaceNear(Random chance, List<CatalogFeature> features) => chance.Next(2) == 0
        ? features[chance.Next(features.Count)].Location
        : RandomPlace(chance, []);

    private static int Longitude(Random chance) => chance.Next(-1_800_000_000, 1_800_000_001);

    private static FeatureFilter RandomFilter(Random chance, List<CatalogFeature> features) => new(
        RandomArea(chance, features),
        chance.Next(3) == 0 ? Texts[chance.Next(Texts.Length)] : "",
        chance.Next(3) == 0 ? Of(new[] { """{"kind":1}""", """{"open":null}""", """{"kind":2,"open":true}""", """{"kind":"1"}""" }[chance.Next(4)]) : null);

    private static Area? RandomArea(Random chance, List<CatalogFeature> features)
    {
        var (a, b) = (PlaceNear(chance, features), PlaceNear(chance, features));
        switch (chance.Next(6))
        {
            case 0:
                return null;
            case 1 or 2:
                // West of east, or across the antimeridian.
                var (low, high) = a.LatitudeE7 <= b.LatitudeE7 ? (a, b) : (b, a);
                return low.LongitudeE7 == 1_800_000_000 && high.LongitudeE7 == -1_800_000_000 ? null : new Box(low, high);
            case 3:
                return new Circle(a, Math.Min(Circle.MaxRadiusMeters, Math.Pow(10, chance.NextDouble() * 7.4)));
            case 4:
                return new Circle(a, Haversine.Meters(a, b));
            default:
                var (width, height) = (2 + chance.Next(1_500_000_000), 1 + chance.Next(400_000_000));
                var (south, north) = (Latitude(a.LatitudeE7 - height), Latitude(a.LatitudeE7 + (long)height));
                return south == north ? null : new Polygon([
                    [new Coordinate(south, a.LongitudeE7), new Coordinate(south, East(width)), new Coordinate(north, East(width / 2)),
                        new Coordinate(south, a.LongitudeE7)]]);
        }

        int Latitude(long e7) => (int)Math.Clamp(e7, -900_000_000, 900_000_000);

        int East(int way) => a.LongitudeE7 + (long)way is var e7 && e7 > 1_800_000_000 ? (int)(e7 - 3_600_000_000) : (int)e7;
    }
}
