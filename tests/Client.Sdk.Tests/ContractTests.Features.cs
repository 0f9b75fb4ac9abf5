using System.Text.Json.Nodes;
using static RouteService.Client.Tests.Places;

namespace RouteService.Client.Tests;

/// <content>What the contract says of the features with properties.</content>
public abstract partial class ContractTests
{
    private static readonly Coordinate Tower = Coordinate.FromDegrees(48.8584, 2.2945);

    private IFeatureCatalog Catalog => Client.Features;

    public static TheoryData<string, string> WrongPolygons => new()
    {
        { "0,0 0,1 1,1", "filter.area.polygon.rings[0]" },
        { "0,0 0,2 2,0 2,2 0,0", "filter.area.polygon.rings[0]" },
        { "0,0 0,180 1,90 0,0", "filter.area.polygon.rings[0]" },
        { "", "filter.area.polygon.rings[0]" },
    };

    [Fact]
    public async Task A_feature_is_put_found_changed_and_deleted()
    {
        Assert.Null(await Catalog.GetFeatureAsync(Tower));

        var put = await Catalog.PutFeatureAsync(Tower, "Eiffel Tower", new JsonObject
        {
            ["height"] = 330,
            ["share"] = 0.25,
            ["open"] = true,
            ["owner"] = null,
            ["levels"] = new JsonArray(57, 115, 276),
            ["address"] = new JsonObject { ["city"] = "Paris", [""] = "é\n\"" },
        });

        Assert.Equal((Tower, "Eiffel Tower"), (put.Location, put.Name));
        Assert.Equal(put.CreatedAt, put.UpdatedAt);
        Assert.InRange(put.CreatedAt!.Value, TimeProvider.System.GetUtcNow().AddMinutes(-5), TimeProvider.System.GetUtcNow().AddMinutes(5));
        Assert.Equal(put, await Catalog.GetFeatureAsync(Tower));
        Assert.Equal((330, 330.0, 0.25), ((int)put.Properties!["height"]!, (double)put.Properties["height"]!, (double)put.Properties["share"]!));
        Assert.Equal("""{"":"é\n\"","city":"Paris"}""", Canonical(put.Properties["address"]!));
        Assert.True(put.Properties.ContainsKey("owner"));
        Assert.Equal("Eiffel Tower", (await Client.GetFeatureAsync(Tower))!.Name);

        // What is null stays.
        var named = await Catalog.PutFeatureAsync(Tower, "La Tour Eiffel");
        Assert.True(JsonNode.DeepEquals(put.Properties, named.Properties));
        Assert.Equal(put.CreatedAt, named.CreatedAt);
        Assert.NotEqual(put.Etag, named.Etag);
        var emptied = await Catalog.PutFeatureAsync(Tower, null, []);
        Assert.Equal(("La Tour Eiffel", 0), (emptied.Name, emptied.Properties!.Count));

        Assert.True(await Catalog.DeleteFeatureAsync(Tower));
        Assert.False(await Catalog.DeleteFeatureAsync(Tower));
        Assert.Null(await Catalog.GetFeatureAsync(Tower));
        Assert.NotEqual(emptied.Etag, (await Catalog.PutFeatureAsync(Tower, null, [])).Etag);
        Assert.Equal("", (await Catalog.GetFeatureAsync(Tower))!.Name);
    }

    [Fact]
    public async Task A_feature_of_the_classic_calls_is_one_without_properties()
    {
        var feature = await Catalog.GetFeatureAsync(Unnamed);

        Assert.Equal((Unnamed, "", 0), (feature!.Location, feature.Name, feature.Properties!.Count));
        Assert.NotNull(feature.Etag);
    }

    [Fact]
    public async Task Of_two_writers_with_one_etag_the_second_is_told_the_current_one()
    {
        var read = await Catalog.PutFeatureAsync(Tower, "Tower");
        var mine = await Catalog.PutFeatureAsync(Tower, "mine", etag: read.Etag);

        foreach (var write in (List<Func<Task>>)[() => Catalog.PutFeatureAsync(Tower, "yours", etag: read.Etag), () => Catalog.DeleteFeatureAsync(Tower, read.Etag), () => Catalog.PutFeatureAsync(Tower, "yours", etag: "none")])
        {
            var error = await Assert.ThrowsAsync<RouteServiceException>(write);
            Assert.Equal((FailureReason.Conflict, false, "ABORTED", 1), (error.Reason, error.IsTransient, error.Status, error.Attempts));
            Assert.Equal((Tower, mine.Etag), (error.Location, error.CurrentEtag));
        }

        Assert.True(await Catalog.DeleteFeatureAsync(Tower, mine.Etag));
        var gone = await Assert.ThrowsAsync<RouteServiceException>(() => Catalog.PutFeatureAsync(Tower, "yours", etag: mine.Etag));
        Assert.Equal((FailureReason.Conflict, Tower, null), (gone.Reason, gone.Location, gone.CurrentEtag));
        Assert.False(await Catalog.DeleteFeatureAsync(Tower, mine.Etag));
    }

    [Fact]
    public async Task A_feature_that_must_not_exist_is_created_once()
    {
        var created = await Catalog.PutFeatureAsync(Tower, "first", mustNotExist: true);

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => Catalog.PutFeatureAsync(Tower, "second", mustNotExist: true));

        Assert.Equal((FailureReason.AlreadyExists, Tower, created.Etag), (error.Reason, error.Location, error.CurrentEtag));
        Assert.Equal("first", (await Catalog.GetFeatureAsync(Tower))!.Name);
    }

    [Fact]
    public async Task A_write_that_is_repeated_by_its_id_is_done_once()
    {
        var (put, delete) = (Guid.NewGuid(), Guid.NewGuid());
        var first = await Catalog.PutFeatureAsync(Tower, "first", mustNotExist: true, requestId: put);

        Assert.Equal(first, await Catalog.PutFeatureAsync(Tower, "first", mustNotExist: true, requestId: put));
        var error = await Assert.ThrowsAsync<RouteServiceException>(() => Catalog.PutFeatureAsync(Named, "other", requestId: put));
        Assert.Equal((FailureReason.InvalidRequest, "request_id"), (error.Reason, Assert.Single(error.FieldViolations).Field));
        Assert.True(await Catalog.DeleteFeatureAsync(Tower, requestId: delete));
        Assert.True(await Catalog.DeleteFeatureAsync(Tower, requestId: delete));
        var gone = await Assert.ThrowsAsync<RouteServiceException>(() => Catalog.PutFeatureAsync(Tower, "first", mustNotExist: true, requestId: put));
        Assert.Equal((FailureReason.NotFound, Tower), (gone.Reason, gone.Location));
        Assert.Null(await Catalog.GetFeatureAsync(Tower));
    }

    [Fact]
    public async Task A_batch_is_done_as_a_whole_or_not()
    {
        var other = Coordinate.FromE7(Tower.LatitudeE7, Tower.LongitudeE7 + 1);
        var put = await Catalog.BatchPutFeaturesAsync([new(Tower, "Tower", new JsonObject { ["a"] = 1 }), new(other, "other")]);
        Assert.Equal([(Tower, "Tower", 1), (other, "other", 0)], put.Select(static feature => (feature.Location, feature.Name, feature.Properties!.Count)));

        var stale = await Assert.ThrowsAsync<RouteServiceException>(() => Catalog.BatchPutFeaturesAsync([new(Named, "changed"), new(other, "changed", Etag: put[0].Etag + "x")]));
        Assert.Equal((FailureReason.Conflict, other, put[1].Etag), (stale.Reason, stale.Location, stale.CurrentEtag));
        Assert.Equal("named", (await Catalog.GetFeatureAsync(Named))!.Name);

        var missing = await Assert.ThrowsAsync<RouteServiceException>(() => Catalog.BatchDeleteFeaturesAsync([new(Tower), new(Here)]));
        Assert.Equal((FailureReason.NotFound, Here), (missing.Reason, missing.Location));
        Assert.NotNull(await Catalog.GetFeatureAsync(Tower));

        await Catalog.BatchDeleteFeaturesAsync([new(Tower, put[0].Etag), new(Here)], allowMissing: true);
        Assert.Null(await Catalog.GetFeatureAsync(Tower));
        var twice = await Assert.ThrowsAsync<RouteServiceException>(() => Catalog.BatchDeleteFeaturesAsync([new(other), new(other)]));
        Assert.Equal((FailureReason.InvalidRequest, "requests[1]"), (twice.Reason, Assert.Single(twice.FieldViolations).Field));
    }

    [Fact]
    public async Task What_cannot_be_sent_or_kept_is_refused_with_its_place()
    {
        foreach (var wrong in (List<JsonObject>)[new() { ["a"] = 9_007_199_254_740_993 }, new() { ["a"] = double.NaN }, new() { ["a"] = "\ud800" }, Deep(33)])
        {
            Assert.Throws<ArgumentException>("properties", () => { _ = Catalog.PutFeatureAsync(Tower, "Tower", wrong); });
        }

        Assert.Throws<ArgumentException>("name", () => { _ = Catalog.PutFeatureAsync(Tower, "\udc00"); });
        Assert.Throws<ArgumentException>("name", () => { _ = Catalog.PutFeatureAsync(Tower, null); });
        Assert.Throws<ArgumentException>("etag", () => { _ = Catalog.PutFeatureAsync(Tower, "Tower", etag: "\"1\"", mustNotExist: true); });
        Assert.Throws<ArgumentException>("features", () => { _ = Catalog.BatchPutFeaturesAsync([]); });
        Assert.Throws<ArgumentException>("features", () => { _ = Catalog.BatchPutFeaturesAsync([.. Enumerable.Range(0, 1_001).Select(static i => new FeatureUpdate(At(i), "x"))]); });
        await RefusesAsync("feature.display_name", new string('x', 1_025), null);
        await RefusesAsync("feature.display_name", "\0", null);
        await RefusesAsync("feature.properties.a.b[1]", "x", new JsonObject { ["a"] = new JsonObject { ["b"] = new JsonArray("", "\0") } });
        await RefusesAsync("feature.properties", "x", new JsonObject { ["a"] = new string('x', 65_536) });
        Assert.Null(await Catalog.GetFeatureAsync(Tower));

        async Task RefusesAsync(string field, string name, JsonObject? properties)
        {
            var error = await Assert.ThrowsAsync<RouteServiceException>(() => Catalog.PutFeatureAsync(Tower, name, properties));
            Assert.Equal((FailureReason.InvalidRequest, field), (error.Reason, Assert.Single(error.FieldViolations).Field));
        }
    }

    [Fact]
    public async Task Properties_as_deep_as_they_may_be_are_kept()
    {
        await Catalog.PutFeatureAsync(Tower, "Tower", Deep(32));

        Assert.True(JsonNode.DeepEquals(Deep(32), (await Catalog.GetFeatureAsync(Tower))!.Properties));
    }

    [Fact]
    public async Task A_search_finds_what_meets_all_that_is_set_in_pages_and_in_a_stream_alike()
    {
        List<FeatureUpdate> places =
        [
            new(Coordinate.FromDegrees(0, 179.9), "Łódź", new JsonObject { ["kind"] = "town", ["size"] = 2 }),
            new(Coordinate.FromDegrees(0, -179.9), "LODZ", new JsonObject { ["kind"] = "town", ["size"] = "2" }),
            new(Coordinate.FromDegrees(0.5, 179.95), "Straße", new JsonObject { ["kind"] = null }),
            new(Coordinate.FromDegrees(-0.5, 180), "hole", new JsonObject { ["size"] = 2 }),
        ];
        await Catalog.BatchPutFeaturesAsync(places);
        var across = new Area.Box(Coordinate.FromDegrees(-1, 179), Coordinate.FromDegrees(1, -179));
        var (west, east) = (179.8, -179.8);
        var ring = Ring((-1, west), (-1, east), (1, east), (1, west));
        var polygon = new Area.Polygon(ring, Ring((-0.6, 179.99), (-0.6, -179.99), (-0.4, -179.99), (-0.4, 179.99)));

        await FindsAsync(null, "Łódź", "LODZ", "Straße", "hole", "named", "", "far");
        await FindsAsync(new() { Area = across }, "Łódź", "LODZ", "Straße", "hole");
        await FindsAsync(new() { Area = new Area.Box(BoundingBox.FromDegrees(-1, 179, 1, 180)) }, "Łódź", "Straße", "hole");
        await FindsAsync(new() { Area = new Area.Circle(Coordinate.FromDegrees(0, 180), 12_000) }, "Łódź", "LODZ");
        await FindsAsync(new() { Area = new Area.Polygon(ring) }, "Łódź", "LODZ", "Straße", "hole");
        await FindsAsync(new() { Area = polygon }, "Łódź", "LODZ", "Straße");
        await FindsAsync(new() { Text = "lodz" }, "Łódź", "LODZ");
        await FindsAsync(new() { Text = "STRASSE", Area = across }, "Straße");
        await FindsAsync(new() { Text = "STRASSE", Area = new Area.Circle(Named, 1) });
        await FindsAsync(new() { Properties = new JsonObject { ["size"] = 2 } }, "Łódź", "hole");
        await FindsAsync(new() { Properties = new JsonObject { ["size"] = "2" } }, "LODZ");
        await FindsAsync(new() { Properties = new JsonObject { ["kind"] = null } }, "Straße");
        await FindsAsync(new() { Properties = new JsonObject { ["kind"] = "town", ["size"] = 2.0 }, Area = polygon, Text = "o" }, "Łódź");

        async Task FindsAsync(FeatureFilter? filter, params string[] names)
        {
            var found = await ToListAsync(Catalog.SearchFeaturesAsync(filter, pageSize: 2));
            Assert.Equal(names.Order(), found.Select(static feature => feature.Name).Order());
            Assert.Equal(found, await ToListAsync(Catalog.SearchFeaturesAsync(filter)));
            Assert.Equal(found, await ToListAsync(Catalog.StreamFeaturesAsync(filter)));
            Assert.All(found, static feature => Assert.NotNull(feature.Properties));
            var basic = found.Select(static feature => feature with { Properties = null }).ToList();
            Assert.Equal(basic, await ToListAsync(Catalog.SearchFeaturesAsync(filter, withProperties: false)));
            Assert.Equal(basic, await ToListAsync(Catalog.StreamFeaturesAsync(filter, withProperties: false)));
        }
    }

    [Fact]
    public async Task The_nearest_come_by_their_distance()
    {
        var (origin, degree) = (Coordinate.FromDegrees(0, 0), Math.PI * 6_371_000 / 180);
        await Catalog.BatchPutFeaturesAsync(
        [
            new(Coordinate.FromDegrees(0, 2), "two", new JsonObject { ["even"] = true }), new(Coordinate.FromDegrees(1, 0), "one"), new(Coordinate.FromDegrees(0, -3), "three"),
        ]);

        var nearest = await Catalog.FindNearestFeaturesAsync(origin, count: 3);

        Assert.Equal(["one", "two", "three"], nearest.Select(static near => near.Feature.Name));
        Assert.All(nearest.Zip((double[])[1, 2, 3]), pair => Assert.Equal(pair.Second * degree, pair.First.DistanceMeters, 0.001));
        Assert.True((bool)nearest[1].Feature.Properties!["even"]!);
        var even = Assert.Single(await Catalog.FindNearestFeaturesAsync(origin, filter: new() { Properties = new JsonObject { ["even"] = true } }, withProperties: false));
        Assert.Equal(("two", null), (even.Feature.Name, even.Feature.Properties));
        Assert.Equal(6, (await Catalog.FindNearestFeaturesAsync(origin)).Count);
    }

    [Theory]
    [MemberData(nameof(WrongPolygons))]
    public async Task A_polygon_that_is_none_is_refused_with_its_place(string points, string field)
    {
        var ring = points.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(static point => point.Split(','))
            .Select(static point => Coordinate.FromDegrees(double.Parse(point[0]), double.Parse(point[1])));
        var filter = new FeatureFilter { Area = new Area.Polygon(ring) };

        foreach (var search in (List<Func<Task>>)[() => ToListAsync(Catalog.SearchFeaturesAsync(filter)), () => ToListAsync(Catalog.StreamFeaturesAsync(filter)), () => Catalog.FindNearestFeaturesAsync(Here, filter: filter)])
        {
            var error = await Assert.ThrowsAsync<RouteServiceException>(search);
            Assert.Equal(FailureReason.InvalidRequest, error.Reason);
            Assert.StartsWith(field, Assert.Single(error.FieldViolations).Field, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Wrong_arguments_of_searches_are_told_alike()
    {
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();

        Assert.Throws<ArgumentOutOfRangeException>("pageSize", () => { _ = Catalog.SearchFeaturesAsync(pageSize: 1_001); });
        Assert.Throws<ArgumentOutOfRangeException>("count", () => { _ = Catalog.FindNearestFeaturesAsync(Here, count: 0); });
        Assert.Throws<ArgumentOutOfRangeException>("timeout", () => { _ = Catalog.StreamFeaturesAsync(timeout: TimeSpan.Zero); });
        Assert.Throws<ArgumentOutOfRangeException>("after", () => { _ = Catalog.WatchFeaturesAsync(after: -1); });
        Assert.Throws<ArgumentException>("filter", () => { _ = Catalog.SearchFeaturesAsync(new() { Text = "\ud800" }); });
        Assert.Throws<ArgumentOutOfRangeException>("radiusMeters", static () => new Area.Circle(Here, double.NaN));
        Assert.Throws<ArgumentException>("southWest", static () => new Area.Box(Coordinate.FromDegrees(1, 0), Coordinate.FromDegrees(0, 1)));
        Assert.Throws<ArgumentException>("southWest", static () => new Area.Box(Coordinate.FromDegrees(0, 180), Coordinate.FromDegrees(1, -180)));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ToListAsync(Catalog.SearchFeaturesAsync(cancellationToken: cancelled.Token)));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ToListAsync(Catalog.StreamFeaturesAsync(cancellationToken: cancelled.Token)));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ToListAsync(Catalog.WatchFeaturesAsync(cancellationToken: cancelled.Token)));
        var list = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(Catalog.SearchFeaturesAsync(new() { Properties = new JsonObject { ["a"] = new JsonArray() } })));
        Assert.Equal("filter.properties.a", Assert.Single(list.FieldViolations).Field);
    }

    [Fact]
    public async Task A_watch_tells_each_change_of_its_area_in_order()
    {
        await using var changes = Catalog.WatchFeaturesAsync(new Area.Circle(Tower, 1_000)).GetAsyncEnumerator();
        Assert.True(await changes.MoveNextAsync());
        var begin = Assert.IsType<FeatureChange.Reset>(changes.Current).Sequence;

        var (inside, outside) = (Coordinate.FromE7(Tower.LatitudeE7 + 1, Tower.LongitudeE7), Coordinate.FromDegrees(0, 0));
        var created = await Catalog.PutFeatureAsync(Tower, "new", new JsonObject { ["a"] = 1 });
        Assert.Equal(new FeatureChange.Written(created, IsNew: true, (await NextAsync(changes)).Sequence), changes.Current);
        var updated = await Catalog.PutFeatureAsync(Tower, "changed");
        Assert.Equal(new FeatureChange.Written(updated, IsNew: false, (await NextAsync(changes)).Sequence), changes.Current);
        var beforeDelete = changes.Current.Sequence;
        await Catalog.PutFeatureAsync(outside, "outside");
        await Catalog.DeleteFeatureAsync(Tower);
        Assert.Equal(new FeatureChange.Deleted(Tower, (await NextAsync(changes)).Sequence), changes.Current);
        await Catalog.PutFeatureAsync(inside, "inside");
        Assert.Equal("inside", Assert.IsType<FeatureChange.Written>(await NextAsync(changes)).Feature.Name);
        Assert.True(begin < beforeDelete && beforeDelete < changes.Current.Sequence);

        // Another one goes on where this one was, with the changes of its own area.
        await using var later = Catalog.WatchFeaturesAsync(after: beforeDelete).GetAsyncEnumerator();
        Assert.Equal(
            ["outside", "", "inside"],
            [Text(await NextAsync(later)), Text(await NextAsync(later)), Text(await NextAsync(later))]);

        static string Text(FeatureChange change) => change is FeatureChange.Written written ? written.Feature.Name : "";
    }

    [Fact]
    public async Task A_watch_after_what_has_not_been_or_of_no_area_is_refused()
    {
        var ahead = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(Catalog.WatchFeaturesAsync(after: 1_000_000_000)));
        var none = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(Catalog.WatchFeaturesAsync(new Area.Polygon([Here]))));

        Assert.Equal((FailureReason.InvalidRequest, "after_sequence"), (ahead.Reason, Assert.Single(ahead.FieldViolations).Field));
        Assert.Equal(FailureReason.InvalidRequest, none.Reason);
        Assert.StartsWith("area.polygon.rings[0]", Assert.Single(none.FieldViolations).Field, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_reader_that_ends_ends_its_watch()
    {
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var change in Catalog.WatchFeaturesAsync().WithCancellation(stop.Token))
            {
                Assert.IsType<FeatureChange.Reset>(change);
                await stop.CancelAsync();
            }
        });
    }

    [Fact]
    public async Task An_import_writes_all_or_nothing_and_is_done_once_by_its_id()
    {
        var id = Guid.NewGuid();
        await Catalog.PutFeatureAsync(Named, "named", new JsonObject { ["a"] = 1 });
        List<CatalogFeature> features = [new(Named, "again"), new(Tower, "first"), new(Tower, "later", new JsonObject { ["b"] = 2 })];

        Assert.Equal(new ImportSummary(3, 1, 1, 4), await Catalog.ImportFeaturesAsync(features, requestId: id));
        var (again, later) = ((await Catalog.GetFeatureAsync(Named))!, (await Catalog.GetFeatureAsync(Tower))!);
        Assert.Equal(("again", 0, "later", 1), (again.Name, again.Properties!.Count, later.Name, later.Properties!.Count));
        await Catalog.DeleteFeatureAsync(Tower);
        Assert.Equal(new ImportSummary(3, 1, 1, 4), await Catalog.ImportFeaturesAsync(features, requestId: id));
        Assert.Null(await Catalog.GetFeatureAsync(Tower));
        Assert.Equal(new ImportSummary(2, 0, 0, 2), await Catalog.ImportFeaturesAsync(Two(), replaceAll: true));
        Assert.Equal(["another", "one"], (await ToListAsync(Catalog.StreamFeaturesAsync())).Select(static feature => feature.Name).Order());

        var error = await Assert.ThrowsAsync<RouteServiceException>(() => Catalog.ImportFeaturesAsync([new(Here, "x"), new(Tower, "\0")], replaceAll: true));
        Assert.Equal(FailureReason.InvalidRequest, error.Reason);
        await Assert.ThrowsAsync<ArgumentException>("properties", () => Catalog.ImportFeaturesAsync([new(Here, "x"), new(Tower, "x", new JsonObject { ["a"] = double.NaN })], replaceAll: true));
        Assert.Equal(2, (await ToListAsync(Catalog.StreamFeaturesAsync())).Count);

        static async IAsyncEnumerable<CatalogFeature> Two()
        {
            yield return new(Here, "one");
            await Task.Yield();
            yield return new(Tower, "another");
        }
    }

    [Fact]
    public async Task A_watch_tells_an_import_by_its_features_or_as_a_reset()
    {
        await using var changes = Catalog.WatchFeaturesAsync().GetAsyncEnumerator();
        Assert.IsType<FeatureChange.Reset>(await NextAsync(changes));

        await Catalog.ImportFeaturesAsync([new CatalogFeature(Tower, "imported")], replaceAll: true);

        while (await NextAsync(changes) is not (FeatureChange.Reset or FeatureChange.Written { Feature.Name: "imported" }))
        {
            Assert.IsType<FeatureChange.Deleted>(changes.Current);
        }

        await Catalog.PutFeatureAsync(Tower, "changed");
        while (await NextAsync(changes) is not FeatureChange.Written { Feature.Name: "changed" })
        {
            Assert.IsType<FeatureChange.Deleted>(changes.Current);
        }
    }

    /// <summary>The next change; heartbeats are left out.</summary>
    private static async Task<FeatureChange> NextAsync(IAsyncEnumerator<FeatureChange> changes)
    {
        do
        {
            Assert.True(await changes.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(1)));
        }
        while (changes.Current is FeatureChange.Heartbeat);

        return changes.Current;
    }

    private static Coordinate[] Ring(params (double Latitude, double Longitude)[] points) =>
        [.. points.Append(points[0]).Select(static point => Coordinate.FromDegrees(point.Latitude, point.Longitude))];

    private static JsonObject Deep(int objects) =>
        Enumerable.Range(1, objects - 1).Aggregate(new JsonObject(), static (inner, _) => new JsonObject { ["in"] = inner });

    private static string Canonical(JsonNode node) =>
        new JsonObject(node.AsObject().OrderBy(static member => member.Key, StringComparer.Ordinal).Select(static member => KeyValuePair.Create(member.Key, member.Value?.DeepClone())))
            .ToJsonString(new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
