using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Store.Bench;

/// <summary>Features spread evenly over the E7 grid, the same in every run; every 16th has no name.</summary>
internal static class Synthetic
{
    public static List<Feature> Features(int count)
    {
        var chance = new Random(42);
        var places = new HashSet<Coordinate>(count);
        while (places.Count < count)
        {
            places.Add(Place(chance));
        }

        return [.. places.Select((place, i) => new Feature(place, i % 16 == 15 ? "" : $"Feature {i:0000000}, Synthetic Road, Testville"))];
    }

    public static Coordinate Place(Random chance) => new(
        chance.Next(-Coordinate.MaxLatitudeE7, Coordinate.MaxLatitudeE7 + 1), chance.Next(-Coordinate.MaxLongitudeE7, Coordinate.MaxLongitudeE7 + 1));

    /// <summary>A box of this size at a random location, cut off at the edges of the world.</summary>
    public static BoundingBox Box(Random chance, long heightE7, long widthE7)
    {
        var corner = Place(chance);
        return new BoundingBox(corner, new Coordinate(
            (int)Math.Min(corner.LatitudeE7 + heightE7, Coordinate.MaxLatitudeE7), (int)Math.Min(corner.LongitudeE7 + widthE7, Coordinate.MaxLongitudeE7)));
    }
}
