using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using RouteService.Contracts.V1;
using Feature = RouteService.Contracts.V1.Feature;
using Guide = RouteService.Contracts.Routeguide;

namespace RouteService.Api.Tests;

/// <summary>routeservice.v1.Features over the wire, on the embedded store.</summary>
public sealed class FeaturesTests : IAsyncDisposable
{
    private const string Lodz = "features/517591900,194560000";

    private readonly string _folder = Directory.CreateTempSubdirectory("route-service-test-").FullName;
    private readonly Service _service;
    private readonly Features.FeaturesClient _features;
    private readonly Guide.RouteGuide.RouteGuideClient _guide;

    public FeaturesTests()
    {
        _service = Service.StartEmbedded(_folder);
        _features = new Features.FeaturesClient(_service.Channel);
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
        const string Berkshire = "features/409146138,-746188906";
        var sample = await _features.GetFeatureAsync(new GetFeatureRequest { Name = Berkshire });
        Assert.Equal("Berkshire Valley Management Area Trail, Jefferson, NJ, USA", sample.DisplayName);
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
        await CreateAsync("feature.properties.a.b[1]", "NaN", Properties("a", Value.ForStruct(new Struct
        {
            Fields = { ["b"] = Value.ForList(Value.ForNull(), Value.ForNumber(double.NaN)) },
        })));
        await CreateAsync("feature.properties", "without a kind", Properties("a", new Value()));
        await CreateAsync("feature.properties", "65536", Properties("a", Value.ForString(new string('x', 66_000))));
        var deep = Value.ForNull();
        for (var i = 0; i < 40; i++)
        {
            deep = Value.ForStruct(new Struct { Fields = { [new string('x', 90)] = deep } });
        }

        await CreateAsync("feature.properties", "deep", Properties("a", deep));
        await ExpectInvalidAsync("request_id", "UUID", () => _features.CreateFeatureAsync(
            new CreateFeatureRequest { Feature = new Feature { Name = Lodz }, RequestId = "1" }));

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
