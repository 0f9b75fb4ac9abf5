using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Postgis.Tests;

/// <summary>An edge is exact to the last digit, 1e-7 degrees or a centimetre, though the index compares boxes a metre wide.</summary>
public sealed class ExactnessTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Of_nine_places_next_to_each_other_a_rectangle_has_just_those_inside()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"Seed {seed}.");
        var chance = new Random(seed);
        await using var store = await TestStore.CreateAsync();
        var centres = Centres(chance).ToList();
        await store.Store.ImportAsync(
            centres.SelectMany(static centre => Cells(centre, -1, -1, 1, 1)).Distinct().Select(static place => new Feature(place, $"{place}")).ToAsyncEnumerable(),
            replace: false,
            default);

        (int, int)[] spans = [(-1, -1), (-1, 0), (-1, 1), (0, 0), (0, 1), (1, 1)];
        foreach (var centre in centres)
        {
            foreach (var (south, north) in spans)
            {
                foreach (var (west, east) in spans)
                {
                    var inside = Cells(centre, south, west, north, east).ToHashSet();
                    var box = new BoundingBox(Beside(centre, south, west), Beside(centre, north, east));
                    var found = await store.Store.InAreaAsync(box, default).Select(static feature => feature.Location).ToListAsync();
                    Assert.True(inside.SetEquals(found) && found.Count == inside.Count, $"Seed {seed}: {box.SouthWest} to {box.NorthEast} has {string.Join("; ", found)}.");
                }
            }
        }
    }

    /// <summary>Places that are far enough from the edge of the map to have neighbours, and no others near them.</summary>
    private static IEnumerable<Coordinate> Centres(Random chance)
    {
        const int North = Coordinate.MaxLatitudeE7 - 1;
        const int East = Coordinate.MaxLongitudeE7 - 1;
        foreach (var latitude in (int[])[-North, 0, North])
        {
            foreach (var longitude in (int[])[-East, 0, East])
            {
                yield return new Coordinate(latitude, longitude);
            }
        }

        // Where single precision steps to its next power of two, and anywhere.
        foreach (var degrees in (int[])[1, 2, 4, 8, 16, 32, 64])
        {
            yield return new Coordinate(degrees * 10_000_000, -degrees * 20_000_000);
            yield return new Coordinate(-degrees * 10_000_000, degrees * 20_000_000);
        }

        for (var i = 0; i < 60; i++)
        {
            yield return new Coordinate(chance.Next(-North, North), chance.Next(-East, East));
        }
    }

    private static IEnumerable<Coordinate> Cells(Coordinate centre, int south, int west, int north, int east) =>
        from latitude in Enumerable.Range(south, north - south + 1)
        from longitude in Enumerable.Range(west, east - west + 1)
        select Beside(centre, latitude, longitude);

    private static Coordinate Beside(Coordinate centre, int north, int east) => new(centre.LatitudeE7 + north, centre.LongitudeE7 + east);
}
