namespace RouteService.Domain.Geography;

/// <summary>
/// A rectangle of latitude and longitude, all edges included. Made from two opposite corners in any order: the smaller
/// value of each pair is the south or west edge, so a box never crosses the antimeridian. The default value is the point 0° N 0° E.
/// </summary>
public readonly record struct BoundingBox
{
    public BoundingBox(Coordinate corner, Coordinate opposite)
    {
        SouthWest = new Coordinate(Math.Min(corner.LatitudeE7, opposite.LatitudeE7), Math.Min(corner.LongitudeE7, opposite.LongitudeE7));
        NorthEast = new Coordinate(Math.Max(corner.LatitudeE7, opposite.LatitudeE7), Math.Max(corner.LongitudeE7, opposite.LongitudeE7));
    }

    public static BoundingBox World { get; } = new(
        new Coordinate(-Coordinate.MaxLatitudeE7, -Coordinate.MaxLongitudeE7),
        new Coordinate(Coordinate.MaxLatitudeE7, Coordinate.MaxLongitudeE7));

    public Coordinate SouthWest { get; }

    public Coordinate NorthEast { get; }

    public bool Contains(Coordinate point) =>
        point.LatitudeE7 >= SouthWest.LatitudeE7 && point.LatitudeE7 <= NorthEast.LatitudeE7
        && point.LongitudeE7 >= SouthWest.LongitudeE7 && point.LongitudeE7 <= NorthEast.LongitudeE7;

    /// <summary>What both boxes have; null where that is nothing.</summary>
    public BoundingBox? Intersect(BoundingBox other)
    {
        var (south, north) = (
            Math.Max(SouthWest.LatitudeE7, other.SouthWest.LatitudeE7), Math.Min(NorthEast.LatitudeE7, other.NorthEast.LatitudeE7));
        var (west, east) = (
            Math.Max(SouthWest.LongitudeE7, other.SouthWest.LongitudeE7), Math.Min(NorthEast.LongitudeE7, other.NorthEast.LongitudeE7));
        return south <= north && west <= east ? new BoundingBox(new Coordinate(south, west), new Coordinate(north, east)) : null;
    }
}
