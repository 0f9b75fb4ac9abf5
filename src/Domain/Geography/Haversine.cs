namespace RouteService.Domain.Geography;

/// <summary>
/// Great-circle distance on a sphere by the haversine formula (R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984).
/// </summary>
public static class Haversine
{
    /// <summary>The earth's mean radius in metres, the one of the published RouteGuide servers.</summary>
    public const double EarthRadiusMeters = 6_371_000;

    private const double RadiansPerE7 = Math.PI / 180 / Coordinate.E7;

    /// <summary>
    /// Distance between two locations in metres: never negative, at most half the earth's circumference. Exactly 0 between longitudes 180
    /// and -180 of a latitude, and between all longitudes of a pole.
    /// </summary>
    public static double Meters(Coordinate from, Coordinate to)
    {
        var halfLatitude = ((double)to.LatitudeE7 - from.LatitudeE7) * RadiansPerE7 / 2;
        var halfLongitude = ShorterWay((long)to.LongitudeE7 - from.LongitudeE7) * RadiansPerE7 / 2;
        var sinLatitude = Math.Sin(halfLatitude);
        var sinLongitude = Math.Sin(halfLongitude);
        var a = (sinLatitude * sinLatitude)
            + (Cosine(from.LatitudeE7) * Cosine(to.LatitudeE7) * sinLongitude * sinLongitude);

        // For antipodes rounding can put a just above 1, where the root of 1 - a would be NaN.
        a = Math.Min(a, 1);
        return 2 * EarthRadiusMeters * Math.Atan2(Math.Sqrt(a), Math.Sqrt(1 - a));
    }

    /// <summary>
    /// A lower bound, in metres, of the distances of all locations that are farther away than another one by degrees, as on a plane with
    /// both coordinates as axes. Less than 0 at a pole and on the antimeridian.
    /// </summary>
    /// <remarks>
    /// With D degrees between the two, and c the least cosine of a latitude within D of the first: the haversine of a location beyond is
    /// at least the square of c sin(D/2). Locations across the antimeridian, which may be near, are not nearer than it.
    /// </remarks>
    public static double LeastMeters(Coordinate from, Coordinate other)
    {
        var degrees = RadiansPerE7 * Math.Sqrt(
            Math.Pow((double)other.LatitudeE7 - from.LatitudeE7, 2) + Math.Pow((double)other.LongitudeE7 - from.LongitudeE7, 2));
        var latitude = Math.Abs(from.LatitudeE7) * RadiansPerE7;
        var cosine = latitude + degrees < Math.PI / 2 ? Math.Cos(latitude + degrees) : 0;
        var within = 2 * Math.Asin(cosine * Math.Sin(degrees / 2));
        var sideways = Math.PI - (Math.Abs(from.LongitudeE7) * RadiansPerE7);
        var across = sideways < Math.PI / 2 ? Math.Asin(Math.Sin(sideways) * Math.Cos(latitude)) : (Math.PI / 2) - latitude;

        // A millimetre for rounding errors.
        return (EarthRadiusMeters * Math.Min(within, across)) - 0.001;
    }

    private static double ShorterWay(long longitudeE7)
    {
        var way = Math.Abs(longitudeE7);
        return way <= Coordinate.MaxLongitudeE7 ? way : (2L * Coordinate.MaxLongitudeE7) - way;
    }

    /// <summary>The cosine of a latitude. Math.Cos of half pi is not 0, since no double is half pi.</summary>
    private static double Cosine(int latitudeE7) =>
        Math.Abs(latitudeE7) == Coordinate.MaxLatitudeE7 ? 0 : Math.Cos(latitudeE7 * RadiansPerE7);
}
