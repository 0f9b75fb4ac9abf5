// The embedded store beside other layouts of the same features, on one thread:
//   dotnet run -c Release --project bench/Store [-- COUNT …]
// Every figure is the best of seven passes, because other work on the machine only adds time; the import is one pass; the files are in the folder for temporary files.
using System.Globalization;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Infrastructure.Sqlite;
using RouteService.Store.Bench;

var clock = TimeProvider.System;
foreach (var count in args.Length == 0 ? [100_000, 1_000_000] : args.Select(text => int.Parse(text, CultureInfo.InvariantCulture)).ToArray())
{
    var features = Synthetic.Features(count);
    Console.WriteLine($"\n{count:N0} features\n");
    Console.WriteLine("| layout | import, s | file, MB | look-ups/s, found | look-ups/s, none | counted/s | world, rows/s | 1° × 1°, µs | 0.001° × 360°, µs | 180° × 0.001°, µs |");
    Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|");
    await InFolderAsync(folder => MeasureStoreAsync(folder, features));
    await InFolderAsync(folder => MeasureLayoutAsync(folder, features, Layout.RTree));
    await InFolderAsync(folder => MeasureLayoutAsync(folder, features, Layout.Columns));
}

async Task MeasureStoreAsync(string folder, List<Feature> features)
{
    var path = Path.Combine(folder, "store.db");
    using var store = await SqliteFeatureStore.OpenAsync(new SqliteOptions { Path = path }, seed: null, clock, CancellationToken.None);
    var started = clock.GetTimestamp();
    await store.ImportAsync(features.ToAsyncEnumerable(), replace: false, CancellationToken.None);
    await ReportAsync(
        "Z-order key (the store)",
        clock.GetElapsedTime(started),
        path,
        features,
        async place => await store.FindAsync(place, CancellationToken.None) is not null,
        places => store.CountAtAsync(places, CancellationToken.None),
        async area =>
        {
            var rows = 0;
            await foreach (var page in store.PagesInAreaAsync(area, CancellationToken.None))
            {
                rows += page.Length;
            }

            return rows;
        });
}

async Task MeasureLayoutAsync(string folder, List<Feature> features, Layout layout)
{
    var path = Path.Combine(folder, "layout.db");
    using var file = new LayoutFile(path, layout);
    var started = clock.GetTimestamp();
    file.Import(features);
    var import = clock.GetElapsedTime(started);
    file.BeginRead();
    await ReportAsync(
        layout.Name,
        import,
        path,
        features,
        place => ValueTask.FromResult(file.Find(place) is not null),
        places => ValueTask.FromResult(places.ToArray().Count(place => file.Find(place) is not null)),
        area => ValueTask.FromResult(file.InArea(area).Count()));
    file.EndRead();
}

async Task ReportAsync(
    string name,
    TimeSpan import,
    string path,
    List<Feature> features,
    Func<Coordinate, ValueTask<bool>> find,
    Func<ReadOnlyMemory<Coordinate>, ValueTask<int>> countAt,
    Func<BoundingBox, ValueTask<int>> list)
{
    const int LookUps = 200_000;
    var chance = new Random(7);
    var there = Enumerable.Range(0, LookUps).Select(_ => features[chance.Next(features.Count)].Location).ToArray();
    var nowhere = Enumerable.Range(0, LookUps).Select(_ => Synthetic.Place(chance)).ToArray();
    var squares = Enumerable.Range(0, 2_000).Select(_ => Synthetic.Box(chance, 10_000_000, 10_000_000)).ToArray();
    var rows = Enumerable.Range(0, 50).Select(_ => Across(Synthetic.Place(chance).LatitudeE7)).ToArray();
    var columns = Enumerable.Range(0, 50).Select(_ => Down(Synthetic.Place(chance).LongitudeE7)).ToArray();

    var found = await BestAsync(() => FindAllAsync(there));
    var missed = await BestAsync(() => FindAllAsync(nowhere));
    var counted = await BestAsync(async () => _ = await countAt(there));
    var world = await BestAsync(() => ListAllAsync([BoundingBox.World]));
    var square = await BestAsync(() => ListAllAsync(squares));
    var across = await BestAsync(() => ListAllAsync(rows));
    var down = await BestAsync(() => ListAllAsync(columns));
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"""
        | {name} | {import.TotalSeconds:0.00} | {new FileInfo(path).Length / 1e6:0.0} | {LookUps / found:N0} | {LookUps / missed:N0} | {LookUps / counted:N0} | {features.Count / world:N0} | {square * 1e6 / squares.Length:N1} | {across * 1e6 / rows.Length:N0} | {down * 1e6 / columns.Length:N0} |
        """));

    async Task FindAllAsync(Coordinate[] places)
    {
        foreach (var place in places)
        {
            await find(place);
        }
    }

    async Task ListAllAsync(BoundingBox[] areas)
    {
        foreach (var area in areas)
        {
            await list(area);
        }
    }
}

async Task<double> BestAsync(Func<Task> pass)
{
    var best = double.MaxValue;
    for (var i = 0; i < 7; i++)
    {
        var started = clock.GetTimestamp();
        await pass();
        best = Math.Min(best, clock.GetElapsedTime(started).TotalSeconds);
    }

    return best;
}

static async Task InFolderAsync(Func<string, Task> measure)
{
    var folder = Directory.CreateTempSubdirectory("route-service-bench-").FullName;
    try
    {
        await measure(folder);
    }
    finally
    {
        Directory.Delete(folder, recursive: true);
    }
}

static BoundingBox Across(int latitude) => new(
    new Coordinate(latitude, -Coordinate.MaxLongitudeE7), new Coordinate(Math.Min(latitude + 10_000, Coordinate.MaxLatitudeE7), Coordinate.MaxLongitudeE7));

static BoundingBox Down(int longitude) => new(
    new Coordinate(-Coordinate.MaxLatitudeE7, longitude), new Coordinate(Coordinate.MaxLatitudeE7, Math.Min(longitude + 10_000, Coordinate.MaxLongitudeE7)));
