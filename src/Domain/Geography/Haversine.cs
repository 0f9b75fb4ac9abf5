namespace RouteService.Domain.Geography;

/// <summary>
/// Great-circle distance on a sphere by the haversine formula (R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984).
/// </summary>
public static class Haversine
{
    /// <summary>The earth's mean radius in metres, as the published RouteGuide servers have it.</summary>
    public const double EarthRadiusMeters = 6_371_000;

    private const double RadiansPerE7 = Math.PI / 180 / Coordinate.E7;

    /// <summary>The way from one place to another in metres: never negative, at most half the earth's circumference.</summary>
    public static double Meters(Coordinate from, Coordinate to)
    {
        // In double from the start: the difference of two E7 longitudes overflows an int.
        var halfLatitude = ((double)to.LatitudeE7 - from.LatitudeE7) * RadiansPerE7 / 2;
        var halfLongitude = ((double)to.LongitudeE7 - from.LongitudeE7) * RadiansPerE7 / 2;
        var sinLatitude = Math.Sin(halfLatitude);
        var sinLongitude = Math.Sin(halfLongitude);
        var a = (sinLatitude * sinLatitude)
            + (Math.Cos(from.LatitudeE7 * RadiansPerE7) * Math.Cos(to.LatitudeE7 * RadiansPerE7) * sinLongitude * sinLongitude);

        // For antipodes rounding can put a just above 1, where the root of 1 - a would be NaN.
        a = Math.Min(a, 1);
        return 2 * EarthRadiusMeters * Math.Atan2(Math.Sqrt(a), Math.Sqrt(1 - a));
    }
}
