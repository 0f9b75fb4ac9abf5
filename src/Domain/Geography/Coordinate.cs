namespace RouteService.Domain.Geography;

/// <summary>
/// A location on the earth in E7: degrees times 10⁷. Always in range: latitude within ±900 000 000 (±90°),
/// longitude within ±1 800 000 000 (±180°), all four edges included. The default value is 0° N 0° E.
/// </summary>
/// <remarks>
/// Equality is by the integers: +180° and -180° are the same meridian but two coordinates, and so are the many longitudes of a pole.
/// </remarks>
public readonly record struct Coordinate
{
    public const int MaxLatitudeE7 = 900_000_000;
    public const int MaxLongitudeE7 = 1_800_000_000;
    public const double E7 = 1e7;

    /// <exception cref="ArgumentOutOfRangeException">The latitude or the longitude is out of range.</exception>
    public Coordinate(int latitudeE7, int longitudeE7)
    {
        if (!IsLatitude(latitudeE7))
        {
            throw new ArgumentOutOfRangeException(nameof(latitudeE7), latitudeE7, "A latitude is within ±900000000 (E7, ±90°).");
        }

        if (!IsLongitude(longitudeE7))
        {
            throw new ArgumentOutOfRangeException(nameof(longitudeE7), longitudeE7, "A longitude is within ±1800000000 (E7, ±180°).");
        }

        LatitudeE7 = latitudeE7;
        LongitudeE7 = longitudeE7;
    }

    public int LatitudeE7 { get; }

    public int LongitudeE7 { get; }

    public double LatitudeDegrees => LatitudeE7 / E7;

    public double LongitudeDegrees => LongitudeE7 / E7;

    public static bool IsLatitude(int e7) => e7 is >= -MaxLatitudeE7 and <= MaxLatitudeE7;

    public static bool IsLongitude(int e7) => e7 is >= -MaxLongitudeE7 and <= MaxLongitudeE7;

    /// <summary>
    /// From degrees, rounded to the nearest E7 (ties to even), which is at most 5.6 mm away. The rounded value must be in range:
    /// 180.00000000000003, a result of projections, is 180.
    /// </summary>
    /// <returns>Whether both are finite and in range.</returns>
    public static bool TryFromDegrees(double latitude, double longitude, out Coordinate coordinate)
    {
        var (latitudeE7, longitudeE7) = (Math.Round(latitude * E7), Math.Round(longitude * E7));

        // The comparison is before the conversion to int, which would be undefined for NaN and the infinities.
        if (!(Math.Abs(latitudeE7) <= MaxLatitudeE7 && Math.Abs(longitudeE7) <= MaxLongitudeE7))
        {
            coordinate = default;
            return false;
        }

        coordinate = new Coordinate((int)latitudeE7, (int)longitudeE7);
        return true;
    }

    public override string ToString() => FormattableString.Invariant($"{LatitudeDegrees:0.0######},{LongitudeDegrees:0.0######}");
}
