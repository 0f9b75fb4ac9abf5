namespace RouteService.Domain.Geography;

/// <summary>Longitudes in E7 that continue beyond ±180°, for lines that cross the antimeridian.</summary>
internal static class Longitudes
{
    /// <summary>Once around the earth.</summary>
    public const long Turn = 2L * Coordinate.MaxLongitudeE7;

    /// <summary>The same meridian as a longitude in [from, from + 360°).</summary>
    public static long From(long from, long longitude)
    {
        var ahead = (longitude - from) % Turn;
        return from + (ahead < 0 ? ahead + Turn : ahead);
    }

    public static void Write(this BinaryWriter writer, Coordinate place)
    {
        writer.Write(place.LatitudeE7);
        writer.Write(place.LongitudeE7);
    }
}
