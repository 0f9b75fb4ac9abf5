namespace RouteService.Client;

/// <summary>
/// A rectangle of latitude and longitude, edges included. A box never crosses the antimeridian; an area that does is two boxes. The default
/// value is the point 0° N 0° E.
/// </summary>
public readonly record struct BoundingBox
{
    /// <summary>From two opposite corners, in any order.</summary>
    public BoundingBox(Coordinate corner, Coordinate opposite)
    {
        SouthWest = Coordinate.FromE7(Math.Min(corner.LatitudeE7, opposite.LatitudeE7), Math.Min(corner.LongitudeE7, opposite.LongitudeE7));
        NorthEast = Coordinate.FromE7(Math.Max(corner.LatitudeE7, opposite.LatitudeE7), Math.Max(corner.LongitudeE7, opposite.LongitudeE7));
    }

    /// <summary>From the south pole to the north pole and from -180° to 180°.</summary>
    public static BoundingBox World { get; } = FromDegrees(-90, -180, 90, 180);

    /// <summary>The corner of least latitude and longitude.</summary>
    public Coordinate SouthWest { get; }

    /// <summary>The corner of greatest latitude and longitude.</summary>
    public Coordinate NorthEast { get; }

    /// <summary>From degrees.</summary>
    /// <param name="south">From -90 to 90.</param>
    /// <param name="west">From -180 to 180.</param>
    /// <param name="north">From -90 to 90.</param>
    /// <param name="east">From -180 to 180.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range or not a number.</exception>
    public static BoundingBox FromDegrees(double south, double west, double north, double east) =>
        new(Coordinate.FromDegrees(south, west), Coordinate.FromDegrees(north, east));

    /// <summary>Whether the place is inside or on an edge.</summary>
    public bool Contains(Coordinate place) =>
        place.LatitudeE7 >= SouthWest.LatitudeE7 && place.LatitudeE7 <= NorthEast.LatitudeE7
        && place.LongitudeE7 >= SouthWest.LongitudeE7 && place.LongitudeE7 <= NorthEast.LongitudeE7;
}
