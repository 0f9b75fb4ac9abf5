using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Postgis.Tests;

/// <summary>All features in memory, and what a scan of them all finds: what the store's answers are compared with.</summary>
internal sealed class Scan
{
    private readonly Feature[] _features;
    private readonly ulong[] _hashes;
    private readonly Dictionary<Coordinate, Feature> _byPlace;

    /// <param name="features">Of two at one place, the later counts.</param>
    public Scan(IEnumerable<Feature> features)
    {
        _byPlace = [];
        foreach (var feature in features)
        {
            _byPlace[feature.Location] = feature;
        }

        _features = [.. _byPlace.Values];
        _hashes = Array.ConvertAll(_features, Hash);
    }

    public int Count => _features.Length;

    public Feature this[int i] => _features[i];

    public Feature? At(Coordinate place) => _byPlace.GetValueOrDefault(place);

    /// <summary>How many are in a box, and the sum of their hashes: another feature, one too many or one that comes twice makes another sum.</summary>
    public (int Count, ulong Sum) In(BoundingBox box)
    {
        var (count, sum) = (0, 0UL);
        for (var i = 0; i < _features.Length; i++)
        {
            if (box.Contains(_features[i].Location))
            {
                count++;
                sum = unchecked(sum + _hashes[i]);
            }
        }

        return (count, sum);
    }

    /// <summary>The same of what a store lists.</summary>
    public static async Task<(int Count, ulong Sum)> OfAsync(IAsyncEnumerable<Feature> features)
    {
        var (count, sum) = (0, 0UL);
        await foreach (var feature in features)
        {
            count++;
            sum = unchecked(sum + Hash(feature));
        }

        return (count, sum);
    }

    /// <summary>Compares a store's answers with the scan's.</summary>
    public async Task CompareAsync(IFeatureStore store, int seed, int boxes, int points)
    {
        var chance = new Random(seed);
        for (var i = 0; i < boxes; i++)
        {
            var box = RandomBox(chance);
            var (right, found) = (In(box), await OfAsync(store.InAreaAsync(box, default)));
            Assert.True(right == found, $"Seed {seed}, box {i} ({box.SouthWest} to {box.NorthEast}): {found.Count} features; {right.Count} are right.");
        }

        // Half of them where there is a feature.
        var places = Enumerable.Range(0, points).Select(i => i % 2 == 0 ? this[chance.Next(Count)].Location : RandomPlace(chance)).ToArray();
        foreach (var together in places.Chunk(500))
        {
            var found = await Task.WhenAll(together.Select(place => store.FindAsync(place, default).AsTask()));
            Assert.Equal(together.Select(At), found);
            Assert.Equal(together.Count(place => At(place) is not null), await store.CountAtAsync(together, default));
        }
    }

    /// <summary>From a point to 30 degrees wide and high, as often small as large, around a feature or anywhere; one edge is often exactly on a feature.</summary>
    private BoundingBox RandomBox(Random chance)
    {
        var corner = chance.Next(3) == 0 ? RandomPlace(chance) : this[chance.Next(Count)].Location;
        return chance.Next(20) switch
        {
            0 => new BoundingBox(corner, corner),
            1 => new BoundingBox(new Coordinate(corner.LatitudeE7, -Coordinate.MaxLongitudeE7), North(corner, chance, Coordinate.MaxLongitudeE7, most: 1e6)),
            2 => new BoundingBox(new Coordinate(-Coordinate.MaxLatitudeE7, corner.LongitudeE7), East(corner, chance, Coordinate.MaxLatitudeE7, most: 1e6)),
            _ => new BoundingBox(corner, new Coordinate(
                North(corner, chance, 0, most: 3e8).LatitudeE7, East(corner, chance, 0, most: 3e8).LongitudeE7)),
        };
    }

    private static Coordinate North(Coordinate from, Random chance, int longitude, double most) =>
        new(Moved(from.LatitudeE7, chance, most, Coordinate.MaxLatitudeE7), longitude);

    private static Coordinate East(Coordinate from, Random chance, int latitude, double most) =>
        new(latitude, Moved(from.LongitudeE7, chance, most, Coordinate.MaxLongitudeE7));

    private static int Moved(int from, Random chance, double most, int limit) =>
        (int)Math.Clamp(from + ((chance.Next(2) * 2 - 1) * Math.Pow(most, chance.NextDouble())), -limit, limit);

    private static Coordinate RandomPlace(Random chance) => new(
        chance.Next(-Coordinate.MaxLatitudeE7, Coordinate.MaxLatitudeE7 + 1), chance.Next(-Coordinate.MaxLongitudeE7, Coordinate.MaxLongitudeE7 + 1));

    private static ulong Hash(Feature feature)
    {
        var hash = ((ulong)(uint)feature.Location.LatitudeE7 << 32) | (uint)feature.Location.LongitudeE7;
        return Mix(Mix(hash) ^ (uint)string.GetHashCode(feature.Name, StringComparison.Ordinal));
    }

    /// <summary>The last step of SplitMix64.</summary>
    private static ulong Mix(ulong value)
    {
        value = unchecked((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9);
        value = unchecked((value ^ (value >> 27)) * 0x94D049BB133111EB);
        return value ^ (value >> 31);
    }
}
