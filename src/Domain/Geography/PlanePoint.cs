namespace RouteService.Domain.Geography;

/// <summary>A point of the plane of longitude (X) and latitude (Y) in E7. X may go beyond ±180° (<see cref="Longitudes"/>).</summary>
internal readonly record struct PlanePoint(long X, long Y) : IComparable<PlanePoint>
{
    /// <summary>
    /// 1 where the third point is left of the line from the first to the second, -1 right of it, 0 on it. Exact where the first two are
    /// the ends of an edge, at most 180° of longitude apart, and the third is less than 360° away: neither product is above 6.48e18.
    /// </summary>
    public static int Side(PlanePoint from, PlanePoint to, PlanePoint point) =>
        ((to.X - from.X) * (point.Y - from.Y)).CompareTo((to.Y - from.Y) * (point.X - from.X));

    /// <summary>By X, then by Y: the order along any line.</summary>
    public int CompareTo(PlanePoint other) => X != other.X ? X.CompareTo(other.X) : Y.CompareTo(other.Y);

    public static bool operator <(PlanePoint left, PlanePoint right) => left.CompareTo(right) < 0;

    public static bool operator >(PlanePoint left, PlanePoint right) => left.CompareTo(right) > 0;

    public static bool operator <=(PlanePoint left, PlanePoint right) => left.CompareTo(right) <= 0;

    public static bool operator >=(PlanePoint left, PlanePoint right) => left.CompareTo(right) >= 0;
}
