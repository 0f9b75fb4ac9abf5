using BenchmarkDotNet.Attributes;
using RouteService.Domain.Features;

namespace RouteService.Store.Bench;

/// <summary>An import into a new file, which is made with it.</summary>
[InProcess]
[WarmupCount(1)]
[IterationCount(3)]
[InvocationCount(1)]
[MinColumn]
public class Importing
{
    private List<Feature> _features = [];

    [Params(100_000, 1_000_000)]
    public int Features { get; set; }

    [Params(BenchFile.Store, "rtree_i32", "latitude, longitude")]
    public string Layout { get; set; } = "";

    [GlobalSetup]
    public async Task MakeAsync()
    {
        _features = Synthetic.Features(Features);
        using var file = await BenchFile.MakeAsync(Layout, _features);
        Console.WriteLine(FormattableString.Invariant($"// {Layout}, {Features} features: {file.Size / 1e6:F1} MB"));
    }

    [Benchmark(Description = "import")]
    public async Task Import()
    {
        using var file = await BenchFile.MakeAsync(Layout, _features);
    }
}
