using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using RouteService.Contracts.V1;
using Feature = RouteService.Contracts.V1.Feature;
using FeaturesClient = RouteService.Contracts.V1.Features.FeaturesClient;
using Guide = RouteService.Contracts.Routeguide;

namespace RouteService.Api.Tests;

/// <summary>routeservice.v1.Features over the wire, on the embedded store.</summary>
public sealed class FeaturesTests : IAsyncDisposable
{
    private const string Lodz = "features/517591900,194560000";

    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-test-").FullName;
    private readonly Service _service;
    private readonly FeaturesClient _features;
    private readonly Guide.RouteGuide.RouteGuideClient _guide;

    public FeaturesTests()
    {
        _service = Service.StartEmbedded(_folder);
        _features = new FeaturesClient(_service.Channel);
        _guide = new Guide.RouteGuide.RouteGuideClient(_service.Channel);
    }

    public async ValueTask DisposeAsync()
    {
        await _service.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_feature_is_created_read_updated_and_deleted_and_the_classic_calls_see_it()
    {
        var properties = Struct.Parser.ParseJson("""{"height":61.5,"open":true,"roof":null,"uses":["view",{"since":1900}]}""");
        var created = await _features.CreateFeatureAsync(new CreateFeatureRequest
        {
            Feature = new Feature { Name = Lodz, DisplayName = "Łódź", Properties = properties, Etag = "\"not looked at\"" },
        });

        Assert.Equal((Lodz, 517_591_900, 194_560_000), (created.Name, created.Location.LatitudeE7, created.Location.LongitudeE7));
        Assert.Equal(("Łódź", properties), (created.DisplayName, created.Properties));
        Assert.Matches("^\"[0-9a-f]+\"$", created.Etag);
        Assert.Equal(created.CreateTime, created.UpdateTime);
        Assert.Equal(created, await _features.GetFeatureAsync(new GetFeatureRequest { Name = Lodz }));
        Assert.Equal("Łódź", (await ClassicAsync(created)).Name);

        var updated = await _features.UpdateFeatureAsync(new UpdateFeatureRequest { Feature = new Feature { Name = Lodz, DisplayName = "Lodz", Etag = created.Etag } });
        Assert.Equal(("Lodz", properties), (updated.DisplayName, updated.Properties));
        Assert.NotEqual(created.Etag, updated.Etag);
        Assert.Equal(created.CreateTime, updated.CreateTime);
        Assert.Equal("Lodz", (await ClassicAsync(created)).Name);

        await _features.DeleteFeatureAsync(new DeleteFeatureRequest { Name = Lodz, Etag = updated.Etag });
        Assert.Equal("", (await ClassicAsync(created)).Name);
        await ExpectAsync(StatusCode.NotFound, "FEATURE_NOT_FOUND", Lodz, _features.GetFeatureAsync(new GetFeatureRequest { Name = Lodz }));
    }

    [Fact]
    public async Task The_sample_places_are_features_and_can_be_given_properties()
    {
        var sample = (await _features.SearchFeaturesAsync(new SearchFeaturesRequest { PageSize = 1 })).Results[0].Feature;
        Assert.Equal((await ClassicAsync(sample)).Name, sample.DisplayName);
        Assert.NotEmpty(sample.DisplayName);
        Assert.Null(sample.Properties);

        var updated = await _features.UpdateFeatureAsync(new UpdateFeatureRequest
        {
            Feature = new Feature { Location = sample.Location, Etag = sample.Etag, Properties = Struct.Parser.ParseJson("""{"a":1}""") },
        });

        Assert.Equal((sample.DisplayName, 1), (updated.DisplayName, updated.Properties.Fields["a"].NumberValue));
    }

    [Fact]
    public async Task The_mask_says_what_an_update_writes()
    {
        var properties = Struct.Parser.ParseJson("""{"a":1}""");
        await _features.CreateFeatureAsync(new CreateFeatureRequest { Feature = new Feature { Name = Lodz, DisplayName = "a", Properties = properties } });

        // Without a mask: what is set.
        Assert.Equal(("a", properties), await UpdateAsync(new Feature { Name = Lodz }));
        Assert.Equal(("a", null), await UpdateAsync(new Feature { Name = Lodz, Properties = new Struct() }));
        Assert.Equal(("b", null), await UpdateAsync(new Feature { Name = Lodz, DisplayName = "b", Properties = properties }, "display_name"));
        Assert.Equal(("b", properties), await UpdateAsync(new Feature { Name = Lodz, DisplayName = "c", Properties = properties }, "properties"));
        Assert.Equal(("", null), await UpdateAsync(new Feature { Name = Lodz }, "*"));
        await ExpectInvalidAsync("update_mask", "'etag'", () => _features.UpdateFeatureAsync(new UpdateFeatureRequest
        {
            Feature = new Feature { Name = Lodz },
            UpdateMask = new FieldMask { Paths = { "display_name", "etag" } },
        }));

        async Task<(string, Struct?)> UpdateAsync(Feature feature, params string[] paths)
        {
            var request = new UpdateFeatureRequest { Feature = feature, UpdateMask = new FieldMask { Paths = { paths } } };
            var updated = await _features.UpdateFeatureAsync(request);
            return (updated.DisplayName, updated.Properties);
        }
    }

    [Fact]
    public async Task What_does_not_fit_is_told_by_code_reason_and_etag()
    {
        var created = await _features.CreateFeatureAsync(new CreateFeatureRequest { Feature = new Feature { Name = Lodz } });

        var exists = await ExpectAsync(
            StatusCode.AlreadyExists, "FEATURE_EXISTS", Lodz, _features.CreateFeatureAsync(new CreateFeatureRequest { Feature = new Feature { Name = Lodz } }));
        Assert.Equal(created.Etag, exists["etag"]);
        foreach (var etag in (string[])["\"ffff\"", "\"none\"", "none", "*", created.Etag.Trim('"')])
        {
            var update = new UpdateFeatureRequest { Feature = new Feature { Name = Lodz, DisplayName = "x", Etag = etag }, AllowMissing = true };
            var changed = await ExpectAsync(StatusCode.Aborted, "FEATURE_CHANGED", Lodz, _features.UpdateFeatureAsync(update));
            Assert.Equal(created.Etag, changed["etag"]);
            await ExpectAsync(
                StatusCode.Aborted, "FEATURE_CHANGED", Lodz, _features.DeleteFeatureAsync(new DeleteFeatureRequest { Name = Lodz, Etag = etag }));
        }

        const string Nowhere = "features/0,0";
        await ExpectAsync(
            StatusCode.NotFound, "FEATURE_NOT_FOUND", Nowhere, _features.UpdateFeatureAsync(new UpdateFeatureRequest { Feature = new Feature { Name = Nowhere } }));
        await ExpectAsync(StatusCode.NotFound, "FEATURE_NOT_FOUND", Nowhere, _features.DeleteFeatureAsync(new DeleteFeatureRequest { Name = Nowhere }));
        await _features.DeleteFeatureAsync(new DeleteFeatureRequest { Name = Nowhere, AllowMissing = true });
        var missing = await ExpectAsync(
            StatusCode.Aborted,
            "FEATURE_CHANGED",
            Nowhere,
            _features.DeleteFeatureAsync(new DeleteFeatureRequest { Name = Nowhere, AllowMissing = true, Etag = created.Etag }));
        Assert.False(missing.ContainsKey("etag"));
        Assert.Equal(created, await _features.GetFeatureAsync(new GetFeatureRequest { Name = Lodz }));
    }

    [Fact]
    public async Task A_repeat_is_done_once()
    {
        var create = new CreateFeatureRequest { Feature = new Feature { Name = Lodz, DisplayName = "a" }, RequestId = Guid.NewGuid().ToString() };
        var created = await _features.CreateFeatureAsync(create);
        Assert.Equal(created, await _features.CreateFeatureAsync(create));

        var other = new CreateFeatureRequest { Feature = new Feature { Name = "features/1,1" }, RequestId = create.RequestId };
        await ExpectInvalidAsync("request_id", "another request", () => _features.CreateFeatureAsync(other));

        var delete = new DeleteFeatureRequest { Name = Lodz, RequestId = Guid.NewGuid().ToString() };
        await _features.DeleteFeatureAsync(delete);
        await _features.DeleteFeatureAsync(delete);
        await ExpectAsync(StatusCode.NotFound, "FEATURE_NOT_FOUND", Lodz, _features.CreateFeatureAsync(create));
    }

    [Fact]
    public async Task Batches_are_done_whole_and_answered_in_their_order()
    {
        var update = new BatchUpdateFeaturesRequest { RequestId = Guid.NewGuid().ToString() };
        update.Requests.AddRange(Enumerable.Range(0, 1_000).Select(static i => new UpdateFeatureRequest
        {
            Feature = new Feature { Location = new Point { LatitudeE7 = -i, LongitudeE7 = i }, DisplayName = $"{i}" },
            AllowMissing = true,
        }));
        var updated = await _features.BatchUpdateFeaturesAsync(update);
        Assert.Equal(Enumerable.Range(0, 1_000).Select(static i => $"{i}"), updated.Features.Select(static feature => feature.DisplayName));
        Assert.Equal(updated, await _features.BatchUpdateFeaturesAsync(update));

        var delete = new BatchDeleteFeaturesRequest { Requests = { updated.Features.Select(static f => new DeleteFeatureRequest { Name = f.Name, Etag = f.Etag }) } };
        delete.Requests[500].Name = "features/7,7";
        await ExpectAsync(StatusCode.NotFound, "FEATURE_NOT_FOUND", "features/7,7", _features.BatchDeleteFeaturesAsync(delete));
        Assert.Equal(updated.Features[0], await _features.GetFeatureAsync(new GetFeatureRequest { Name = updated.Features[0].Name }));
        delete.Requests.RemoveAt(500);
        await _features.BatchDeleteFeaturesAsync(delete);
        Assert.Equal("", (await ClassicAsync(updated.Features[0])).Name);
        Assert.Equal("500", (await ClassicAsync(updated.Features[500])).Name);
    }

    [Fact]
    public async Task A_batch_whose_answer_no_client_would_take_is_not_made()
    {
        // 60 KB as JSON, and 330 KB in the answer.
        var many = new Struct { Fields = { ["n"] = Value.ForList([.. Enumerable.Repeat(Value.ForNumber(1), 30_000)]) } };
        var names = Enumerable.Range(0, 13).Select(static i => $"features/{i},0").ToList();
        foreach (var name in names)
        {
            await _features.CreateFeatureAsync(new CreateFeatureRequest { Feature = new Feature { Name = name, Properties = many } });
        }

        var batch = new BatchUpdateFeaturesRequest { RequestId = Guid.NewGuid().ToString() };
        batch.Requests.AddRange(names.Select(static name => new UpdateFeatureRequest
        {
            Feature = new Feature { Name = name, DisplayName = "new" },
            UpdateMask = new FieldMask { Paths = { "display_name" } },
        }));

        await ExpectInvalidAsync("requests", "bytes in the response", () => _features.BatchUpdateFeaturesAsync(batch));
        Assert.Equal("", (await _features.GetFeatureAsync(new GetFeatureRequest { Name = names[0] })).DisplayName);
        batch.Requests.RemoveAt(12);
        Assert.All((await _features.BatchUpdateFeaturesAsync(batch)).Features, static feature => Assert.Equal("new", feature.DisplayName));
    }

    [Fact]
    public async Task A_search_finds_by_area_text_and_properties_in_pages()
    {
        var kinds = Struct.Parser.ParseJson("""{"kind":"tower"}""");
        foreach (var (name, place) in new[] { ("Łódź", 1), ("lodz", 2), ("Paris", 3), ("ŁODZIE", 4) })
        {
            await _features.CreateFeatureAsync(new CreateFeatureRequest
            {
                Feature = new Feature { Location = new Point { LatitudeE7 = place }, DisplayName = name, Properties = place == 2 ? new Struct() : kinds },
            });
        }

        var request = new SearchFeaturesRequest
        {
            Filter = new FeatureFilter
            {
                Area = new Area { Box = new Box { Low = new Point(), High = new Point { LatitudeE7 = 10 } } },
                Text = "lOdz",
                Properties = kinds,
            },
            PageSize = 1,
        };
        var first = await _features.SearchFeaturesAsync(request);
        Assert.Equal(["Łódź"], first.Results.Select(static result => result.Feature.DisplayName));
        Assert.Equal(kinds, first.Results[0].Feature.Properties);
        var next = new SearchFeaturesRequest(request) { PageToken = first.NextPageToken };
        var second = await _features.SearchFeaturesAsync(next);
        Assert.Equal(["ŁODZIE"], second.Results.Select(static result => result.Feature.DisplayName));
        Assert.Equal("", second.NextPageToken);

        var basic = await _features.SearchFeaturesAsync(new SearchFeaturesRequest(request) { View = FeatureView.Basic });
        Assert.Null(basic.Results[0].Feature.Properties);

        var nearest = await _features.SearchFeaturesAsync(new SearchFeaturesRequest { Near = new Point { LatitudeE7 = 5 }, PageSize = 3 });
        Assert.Equal(["ŁODZIE", "Paris", "lodz"], nearest.Results.Select(static result => result.Feature.DisplayName));
        Assert.InRange(nearest.Results[2].DistanceMeters, 0.03, 0.04);
        Assert.Equal("", nearest.NextPageToken);

        await ExpectInvalidAsync("page_token", "another query", () => _features.SearchFeaturesAsync(new SearchFeaturesRequest { PageToken = first.NextPageToken }));
        await ExpectInvalidAsync("page_token", "another query", () => _features.SearchFeaturesAsync(new SearchFeaturesRequest(next) { View = FeatureView.Basic }));
        await ExpectInvalidAsync("page_token", "near", () => _features.SearchFeaturesAsync(new SearchFeaturesRequest(next) { Near = new Point() }));
        await ExpectInvalidAsync("page_token", "unchanged", () => _features.SearchFeaturesAsync(new SearchFeaturesRequest { PageToken = "x" }));
        await ExpectInvalidAsync("page_size", "-1", () => _features.SearchFeaturesAsync(new SearchFeaturesRequest { PageSize = -1 }));
        await ExpectInvalidAsync("view", "9", () => _features.SearchFeaturesAsync(new SearchFeaturesRequest { View = (FeatureView)9 }));
    }

    [Theory]
    [InlineData(0, 100)]
    [InlineData(1_000, 1_000)]
    [InlineData(int.MaxValue, 1_000)]
    public async Task A_page_has_a_hundred_results_by_default_and_a_thousand_at_most(int size, int results)
    {
        for (var column = 0; column < 2; column++)
        {
            var batch = new BatchUpdateFeaturesRequest();
            batch.Requests.AddRange(Enumerable.Range(0, 600).Select(i => new UpdateFeatureRequest
            {
                Feature = new Feature { Location = new Point { LatitudeE7 = column, LongitudeE7 = i } },
                AllowMissing = true,
            }));
            await _features.BatchUpdateFeaturesAsync(batch);
        }

        var page = await _features.SearchFeaturesAsync(new SearchFeaturesRequest { PageSize = size });
        var nearest = await _features.SearchFeaturesAsync(new SearchFeaturesRequest { PageSize = size, Near = new Point() });

        Assert.Equal((results, results), (page.Results.Count, nearest.Results.Count));
        Assert.NotEqual("", page.NextPageToken);
    }

    [Fact]
    public async Task A_stream_has_all_that_a_search_finds_and_goes_on_after_any_of_its_messages()
    {
        var all = new Struct { Fields = { ["text"] = Value.ForString(new string('x', 2_000)) } };
        var batch = new BatchUpdateFeaturesRequest();
        batch.Requests.AddRange(Enumerable.Range(0, 500).Select(i => new UpdateFeatureRequest
        {
            Feature = new Feature { Location = new Point { LatitudeE7 = -1, LongitudeE7 = i }, Properties = all },
            AllowMissing = true,
        }));
        await _features.BatchUpdateFeaturesAsync(batch);

        var messages = await StreamAsync(new StreamFeaturesRequest());
        var streamed = messages.SelectMany(static message => message.Features).ToList();
        Assert.InRange(messages.Count, 4, 10);
        Assert.All(messages, static message => Assert.InRange(message.CalculateSize(), 1, 300 * 1024));
        using var classic = _guide.ListFeatures(new Guide.Rectangle
        {
            Lo = new Guide.Point { Latitude = -900_000_000, Longitude = -1_800_000_000 },
            Hi = new Guide.Point { Latitude = 900_000_000, Longitude = 1_800_000_000 },
        });
        var listed = await classic.ResponseStream.ReadAllAsync().Select(static f => $"features/{f.Location.Latitude},{f.Location.Longitude}").ToListAsync();
        Assert.Equal(listed.Order(StringComparer.Ordinal), streamed.Select(static feature => feature.Name).Order(StringComparer.Ordinal));

        for (var i = 0; i < messages.Count; i++)
        {
            var rest = await StreamAsync(new StreamFeaturesRequest { ResumeToken = messages[i].ResumeToken });
            Assert.Equal(messages.Skip(i + 1).SelectMany(static message => message.Features), rest.SelectMany(static message => message.Features));
        }

        var page = await _features.SearchFeaturesAsync(new SearchFeaturesRequest { PageSize = 1_000 });
        Assert.Equal(streamed.Take(page.Results.Count), page.Results.Select(static result => result.Feature));
        using var wrong = _features.StreamFeatures(new StreamFeaturesRequest { ResumeToken = page.NextPageToken });
        var end = await Assert.ThrowsAsync<RpcException>(() => wrong.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(StatusCode.InvalidArgument, end.StatusCode);

        async Task<List<StreamFeaturesResponse>> StreamAsync(StreamFeaturesRequest request)
        {
            using var call = _features.StreamFeatures(request);
            return await call.ResponseStream.ReadAllAsync().ToListAsync();
        }
    }

    [Fact]
    public async Task A_stream_that_finds_nothing_among_many_tells_how_far_it_is()
    {
        using (var import = _features.ImportFeatures())
        {
            await import.RequestStream.WriteAsync(new ImportFeaturesRequest { Options = new ImportFeaturesRequest.Types.Options { ReplaceAll = true } });
            var batch = new ImportFeaturesRequest.Types.Batch();
            batch.Features.AddRange(Enumerable.Range(0, 25_000).Select(static i => new Feature { Location = new Point { LatitudeE7 = i } }));
            await import.RequestStream.WriteAsync(new ImportFeaturesRequest { Batch = batch });
            await import.RequestStream.CompleteAsync();
            await import;
        }

        var request = new StreamFeaturesRequest { Filter = new FeatureFilter { Text = "nowhere" } };
        using var call = _features.StreamFeatures(request);
        var message = Assert.Single(await call.ResponseStream.ReadAllAsync().ToListAsync());

        Assert.Empty(message.Features);
        request.ResumeToken = message.ResumeToken;
        using var rest = _features.StreamFeatures(request);
        Assert.Empty(await rest.ResponseStream.ReadAllAsync().ToListAsync());
    }

    [Fact]
    public async Task A_page_ends_at_two_megabytes()
    {
        var text = new Struct { Fields = { ["text"] = Value.ForString(new string('x', 60_000)) } };
        var request = new SearchFeaturesRequest { Filter = new FeatureFilter { Properties = text }, PageSize = 1_000 };
        for (var i = 0; i < 50; i++)
        {
            await _features.CreateFeatureAsync(new CreateFeatureRequest { Feature = new Feature { Location = new Point { LatitudeE7 = -i }, Properties = text } });
        }

        var found = new List<Feature>();
        do
        {
            var page = await _features.SearchFeaturesAsync(request);
            Assert.InRange(page.CalculateSize(), 1, (2 * 1024 * 1024) + 100_000);
            found.AddRange(page.Results.Select(static result => result.Feature));
            request.PageToken = page.NextPageToken;
        }
        while (request.PageToken.Length > 0);

        Assert.Equal(50, found.Select(static feature => feature.Name).Distinct().Count());
        Assert.Equal(50, found.Count);
        var nearest = await _features.SearchFeaturesAsync(new SearchFeaturesRequest(request) { Near = new Point() });
        Assert.InRange(nearest.CalculateSize(), 1, (2 * 1024 * 1024) + 100_000);
        Assert.Equal(Enumerable.Range(0, nearest.Results.Count).Select(static i => -i), nearest.Results.Select(static result => result.Feature.Location.LatitudeE7));
    }

    [Fact]
    public async Task A_wrong_area_is_told_with_its_place()
    {
        await SearchAsync("filter.area", "without a shape", new Area());
        await SearchAsync("filter.area.box.low", "missing", new Area { Box = new Box() });
        await SearchAsync("filter.area.box.low.latitude_e7", "above", new Area { Box = new Box { Low = new Point { LatitudeE7 = 1 }, High = new Point() } });
        await SearchAsync("filter.area.circle.radius_meters", "NaN", new Area { Circle = new Circle { Center = new Point(), RadiusMeters = double.NaN } });
        await SearchAsync("filter.area.polygon.rings", "empty", new Area { Polygon = new Polygon() });
        var bow = new Polygon.Types.Ring
        {
            Points = { new Point(), new Point { LatitudeE7 = 10, LongitudeE7 = 10 }, new Point { LatitudeE7 = 10 }, new Point { LongitudeE7 = 10 }, new Point() },
        };
        await SearchAsync("filter.area.polygon.rings[0].points", "", new Area { Polygon = new Polygon { Rings = { bow } } });
        await SearchAsync("filter.area.polygon.rings[0].points[1].latitude_e7", "900000001", new Area
        {
            Polygon = new Polygon { Rings = { new Polygon.Types.Ring { Points = { new Point(), new Point { LatitudeE7 = 900_000_001 } } } } },
        });

        async Task SearchAsync(string field, string detail, Area area)
        {
            var request = new SearchFeaturesRequest { Filter = new FeatureFilter { Area = area } };
            var end = await Assert.ThrowsAsync<RpcException>(async () => await _features.SearchFeaturesAsync(request));
            Assert.Equal(StatusCode.InvalidArgument, end.StatusCode);
            var violation = Assert.Single(end.GetRpcStatus()!.GetDetail<BadRequest>().FieldViolations);
            Assert.StartsWith(field, violation.Field, StringComparison.Ordinal);
            Assert.Contains(detail, violation.Description);
        }
    }

    [Fact]
    public async Task What_is_wrong_is_told_with_its_field()
    {
        foreach (var name in (string[])["", "features/", "features/1", "features/01,1", "features/900000001,0", "places/1,1"])
        {
            await ExpectInvalidAsync("name", "features/LATITUDE,LONGITUDE", () => _features.GetFeatureAsync(new GetFeatureRequest { Name = name }));
        }

        await ExpectInvalidAsync("feature", "missing", () => _features.CreateFeatureAsync(new CreateFeatureRequest()));
        await CreateAsync("feature.location", "missing", new Feature());
        await CreateAsync("feature.location.latitude_e7", "900000001", new Feature { Location = new Point { LatitudeE7 = 900_000_001 } });
        await CreateAsync("feature.location.longitude_e7", "-1800000001", new Feature { Location = new Point { LongitudeE7 = -1_800_000_001 } });
        await CreateAsync("feature.name", "features/1,2", new Feature { Name = Lodz, Location = new Point { LatitudeE7 = 1, LongitudeE7 = 2 } });
        await CreateAsync("feature.display_name", "U+0000", new Feature { Name = Lodz, DisplayName = "a\0b" });
        await CreateAsync("feature.display_name", "1025 characters", new Feature { Name = Lodz, DisplayName = new string('x', 1_025) });
        await CreateAsync("feature.display_name", "1025 characters", new Feature { Name = Lodz, DisplayName = string.Concat(Enumerable.Repeat("🗺", 1_025)) });
        await CreateAsync("feature.properties.a.b[1]", "NaN", Properties("a", Value.ForStruct(new Struct
        {
            Fields = { ["b"] = Value.ForList(Value.ForNull(), Value.ForNumber(double.NaN)) },
        })));
        await CreateAsync("feature.properties", "without a kind", Properties("a", new Value()));
        await CreateAsync("feature.properties", "65536", Properties("a", Value.ForString(new string('x', 66_000))));
        var (deep, deepest) = (Value.ForNull(), Value.ForNull());
        for (var i = 0; i < 40; i++)
        {
            deep = Value.ForList(Value.ForStruct(new Struct { Fields = { [new string('x', 90)] = Value.ForNull() } }), deep);
            deepest = i < 31 ? Value.ForStruct(new Struct { Fields = { [new string('x', 90)] = deepest } }) : deepest;
        }

        await CreateAsync("feature.properties", "deep", Properties(new string('y', 90), Value.ForStruct(new Struct { Fields = { [new string('z', 90)] = deep } })));
        Assert.Equal(Properties("a", deepest).Properties, (await _features.CreateFeatureAsync(
            new CreateFeatureRequest { Feature = Properties("a", deepest) })).Properties);
        foreach (var id in (string[])
            ["1", "{6fa1a8a0-0f1c-4f0e-9d3e-9f4b8c1c2d3e}", " 6fa1a8a0-0f1c-4f0e-9d3e-9f4b8c1c2d3e", "6fa1a8a0-0f1c-4f0e-9d3e-9f4b8c1c2d3e\n",
                "+6fa1a8a-0f1c-4f0e-9d3e-9f4b8c1c2d3e", "0x6fa1a8-0f1c-4f0e-9d3e-9f4b8c1c2d3e", "6fa1a8a00f1c4f0e9d3e9f4b8c1c2d3e"])
        {
            await ExpectInvalidAsync("request_id", "UUID", () => _features.CreateFeatureAsync(
                new CreateFeatureRequest { Feature = new Feature { Name = Lodz }, RequestId = id }));
        }

        await ExpectInvalidAsync("requests", "1 to 1000", () => _features.BatchUpdateFeaturesAsync(new BatchUpdateFeaturesRequest()));
        await ExpectInvalidAsync("requests", "1 to 1000", () => _features.BatchDeleteFeaturesAsync(
            new BatchDeleteFeaturesRequest { Requests = { Enumerable.Range(0, 1_001).Select(static i => new DeleteFeatureRequest { Name = $"features/{i},0" }) } }));
        await ExpectInvalidAsync("requests[1]", "requests[0]", () => _features.BatchDeleteFeaturesAsync(
            new BatchDeleteFeaturesRequest { Requests = { new DeleteFeatureRequest { Name = Lodz }, new DeleteFeatureRequest { Name = Lodz } } }));
        await ExpectInvalidAsync("requests[0].request_id", "whole batch", () => _features.BatchDeleteFeaturesAsync(
            new BatchDeleteFeaturesRequest { Requests = { new DeleteFeatureRequest { Name = Lodz, RequestId = Guid.NewGuid().ToString() } } }));
        await ExpectInvalidAsync("requests[0].feature.display_name", "U+0000", () => _features.BatchUpdateFeaturesAsync(
            new BatchUpdateFeaturesRequest { Requests = { new UpdateFeatureRequest { Feature = new Feature { Name = Lodz, DisplayName = "\0" } } } }));

        static Feature Properties(string name, Value value) => new() { Name = Lodz, Properties = new Struct { Fields = { [name] = value } } };

        Task CreateAsync(string field, string detail, Feature feature) =>
            ExpectInvalidAsync(field, detail, () => _features.CreateFeatureAsync(new CreateFeatureRequest { Feature = feature }));
    }

    private async Task<Guide.Feature> ClassicAsync(Feature feature) => await _guide.GetFeatureAsync(
        new Guide.Point { Latitude = feature.Location.LatitudeE7, Longitude = feature.Location.LongitudeE7 });

    /// <returns>The metadata of ErrorInfo.</returns>
    private static async Task<IDictionary<string, string>> ExpectAsync<T>(StatusCode code, string reason, string feature, AsyncUnaryCall<T> call)
    {
        using (call)
        {
            var end = await Assert.ThrowsAsync<RpcException>(async () => await call);
            Assert.Equal(code, end.StatusCode);
            Assert.Contains(feature, end.Status.Detail);
            var info = end.GetRpcStatus()!.GetDetail<ErrorInfo>();
            Assert.Equal((reason, "routeservice", feature), (info.Reason, info.Domain, info.Metadata["feature"]));
            return info.Metadata;
        }
    }

    private static async Task ExpectInvalidAsync<T>(string field, string detail, Func<AsyncUnaryCall<T>> call)
    {
        var end = await Assert.ThrowsAsync<RpcException>(async () => await call());
        Assert.Equal(StatusCode.InvalidArgument, end.StatusCode);
        var status = end.GetRpcStatus()!;
        Assert.Equal("INVALID_VALUE", status.GetDetail<ErrorInfo>().Reason);
        var violation = Assert.Single(status.GetDetail<BadRequest>().FieldViolations);
        Assert.Equal(field, violation.Field);
        Assert.Contains(detail, violation.Description);
    }
}
