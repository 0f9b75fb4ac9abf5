using BenchmarkDotNet.Attributes;
using RouteService.Domain.Geography;

namespace RouteService.Store.Bench;

/// <summary>The reads of a store; each figure is for one look-up, one place counted, or one rectangle.</summary>
[InProcess]
[WarmupCount(3)]
[IterationCount(7)]
[MinColumn]
public class Reads
{
    private const int LookUps = 100_000;
    private const int Squares = 1_000;
    private const int Strips = 50;
    private const int Thin = 10_000;

    private readonly List<Coordinate> _there = [];
    private readonly List<Coordinate> _elsewhere = [];
    private readonly List<BoundingBox> _degrees = [];
    private readonly List<BoundingBox> _across = [];
    private readonly List<BoundingBox> _down = [];
    private Coordinate[] _route = [];
    private BenchFile? _file;

    [Params(100_000, 1_000_000)]
    public int Features { get; set; }

    [Params(BenchFile.Store, "rtree_i32", "latitude, longitude")]
    public string Layout { get; set; } = "";

    [GlobalSetup]
    public async Task MakeAsync()
    {
        var features = Synthetic.Features(Features);
        _file = await BenchFile.MakeAsync(Layout, features);
        _file.BeginRead();

        var chance = new Random(7);
        for (var i = 0; i < LookUps; i++)
        {
            _there.Add(features[chance.Next(Features)].Location);
            _elsewhere.Add(Synthetic.Place(chance));
        }

        for (var i = 0; i < Squares; i++)
        {
            _degrees.Add(Synthetic.Box(chance, 10_000_000, 10_000_000));
        }

        for (var i = 0; i < Strips; i++)
        {
            var corner = Synthetic.Place(chance);
            _across.Add(new BoundingBox(
                new Coordinate(corner.LatitudeE7, -Coordinate.MaxLongitudeE7),
                new Coordinate(Math.Min(corner.LatitudeE7 + Thin, Coordinate.MaxLatitudeE7), Coordinate.MaxLongitudeE7)));
            _down.Add(new BoundingBox(
                new Coordinate(-Coordinate.MaxLatitudeE7, corner.LongitudeE7),
                new Coordinate(Coordinate.MaxLatitudeE7, Math.Min(corner.LongitudeE7 + Thin, Coordinate.MaxLongitudeE7))));
        }

        _route = [.. _there];
    }

    [Benchmark(Description = "look-up, a feature there", OperationsPerInvoke = LookUps)]
    public Task<int> Found() => FindAsync(_there);

    [Benchmark(Description = "look-up, none there", OperationsPerInvoke = LookUps)]
    public Task<int> NotFound() => FindAsync(_elsewhere);

    [Benchmark(Description = "a place of a route", OperationsPerInvoke = LookUps)]
    public async Task<int> CountAt() => await _file!.CountAtAsync(_route);

    [Benchmark(Description = "the whole world")]
    public async Task<int> World() => await _file!.ListAsync(BoundingBox.World);

    [Benchmark(Description = "1° × 1°", OperationsPerInvoke = Squares)]
    public Task<int> Degree() => ListAsync(_degrees);

    [Benchmark(Description = "0.001° × 360°", OperationsPerInvoke = Strips)]
    public Task<int> Across() => ListAsync(_across);

    [Benchmark(Description = "180° × 0.001°", OperationsPerInvoke = Strips)]
    public Task<int> Down() => ListAsync(_down);

    [GlobalCleanup]
    public void Delete() => _file?.Dispose();

    private async Task<int> FindAsync(List<Coordinate> places)
    {
        var found = 0;
        foreach (var place in places)
        {
            found += await _file!.FindAsync(place) ? 1 : 0;
        }

        return found;
    }

    private async Task<int> ListAsync(List<BoundingBox> areas)
    {
        var rows = 0;
        foreach (var area in areas)
        {
            rows += await _file!.ListAsync(area);
        }

        return rows;
    }
}
