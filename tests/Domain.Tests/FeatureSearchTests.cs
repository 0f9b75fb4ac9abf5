using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Tests;

public sealed class FeatureSearchTests
{
    [Fact]
    public async Task The_corners_of_a_box_are_not_taken_for_the_nearest()
    {
        // 346 m away and in the box of 250 m, and 300 m away and out of it.
        var search = new FeatureSearch(new Catalog([new(22_000, 22_000), new(27_000, 0)]));

        var nearest = await search.FindNearestAsync(new FeatureFilter(), new(0, 0), limit: 1, withProperties: false, default);

        Assert.Equal(new(27_000, 0), Assert.Single(nearest).Feature.Location);
    }

    [Fact]
    public async Task A_page_of_what_an_index_has_found_begins_right_after_the_page_before()
    {
        // Two neighbours on the curve, and so many others behind them that an index is asked.
        var (one, next) = (new Coordinate(0, 0), new Coordinate(0, 1));
        var search = new FeatureSearch(new Catalog([one, next, .. Enumerable.Range(1, 3_000).Select(static i => new Coordinate(i, 100))], one, next));
        var filter = new FeatureFilter(text: "wanted");

        var first = await search.ReadPageAsync(filter, from: 0, limit: 1, withProperties: false, default);
        var second = await search.ReadPageAsync(filter, ZOrder.Encode(first.GoesOnAfter!.Value) + 1, limit: 1, withProperties: false, default);

        Assert.Equal([one], first.Features.Select(static feature => feature.Location));
        Assert.Equal([next], second.Features.Select(static feature => feature.Location));
        Assert.Null(second.GoesOnAfter);
    }

    [Fact]
    public async Task A_page_of_what_an_index_has_found_ends_by_its_length_too()
    {
        // Three of a million characters are 2 MiB.
        Coordinate[] wanted = [.. Enumerable.Range(0, 5).Select(static i => new Coordinate(0, i))];
        var search = new FeatureSearch(
            new Catalog([.. wanted, .. Enumerable.Range(1, 3_000).Select(static i => new Coordinate(i, 100))], wanted) { Padding = 1_000_000 });
        var filter = new FeatureFilter(text: "wanted");

        var first = await search.ReadPageAsync(filter, from: 0, limit: 10, withProperties: false, default);
        var second = await search.ReadPageAsync(filter, ZOrder.Encode(first.GoesOnAfter!.Value) + 1, limit: 10, withProperties: false, default);

        Assert.Equal((3, 2), (first.Features.Count, second.Features.Count));
        Assert.Null(second.GoesOnAfter);
    }

    /// <summary>A catalog with an index of the places that are wanted.</summary>
    private sealed class Catalog(IEnumerable<Coordinate> places, params Coordinate[] wanted) : IFeatureCatalog
    {
        public int Padding { get; init; }

        private List<CatalogFeature> Features => field ??=
        [
            .. places.OrderBy(ZOrder.Encode).Select(place => new CatalogFeature(
                place, wanted.Contains(place) ? $"wanted{new string('x', Padding)}" : "other", Properties.Empty, default, default, default)),
        ];

        public Task<CatalogPage> ReadAsync(
            IReadOnlyList<BoundingBox> boxes, long from, int limit, bool withProperties, CancellationToken cancellationToken)
        {
            var due = Features.Where(feature => ZOrder.Encode(feature.Location) >= from && boxes.Any(box => box.Contains(feature.Location))).ToList();
            return Task.FromResult(due.Count > limit ? new CatalogPage(due[..limit], due[limit - 1].Location) : new CatalogPage(due, GoesOnAfter: null));
        }

        public Task<NearbyFeatures> ReadNearbyAsync(Coordinate near, int count, bool withProperties, CancellationToken cancellationToken) =>
            Task.FromResult(new NearbyFeatures([], Meters: -1));

        public Task<IReadOnlyList<CatalogFeature>?> FindAsync(
            FeatureFilter filter, int limit, bool withProperties, CancellationToken cancellationToken) =>
            Task.FromResult<IReadOnlyList<CatalogFeature>?>(Features.FindAll(feature => wanted.Contains(feature.Location)));

        public ValueTask<CatalogFeature?> GetAsync(Coordinate location, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<IReadOnlyList<CatalogFeature?>> WriteAsync(FeatureWrite write, CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}
