namespace RouteService.Client;

/// <summary>
/// A place on the earth in E7: degrees times ten million, as integers, which is what the service stores and compares. Values are always in
/// range. The default value is 0° N 0° E.
/// </summary>
/// <remarks>Two places are equal when both integers are: +180° and -180° are the same meridian but two coordinates.</remarks>
public readonly record struct Coordinate
{
    /// <summary>Greatest latitude: 90°, the north pole, in E7. The least is its negative.</summary>
    public const int MaxLatitudeE7 = 900_000_000;

    /// <summary>Greatest longitude: 180° in E7. The least is its negative.</summary>
    public const int MaxLongitudeE7 = 1_800_000_000;

    private const double E7 = 1e7;

    private Coordinate(int latitudeE7, int longitudeE7)
    {
        LatitudeE7 = latitudeE7;
        LongitudeE7 = longitudeE7;
    }

    /// <summary>Degrees north times 10⁷, from -900 000 000 to 900 000 000.</summary>
    public int LatitudeE7 { get; }

    /// <summary>Degrees east times 10⁷, from -1 800 000 000 to 1 800 000 000.</summary>
    public int LongitudeE7 { get; }

    /// <summary>Degrees north, from -90 to 90.</summary>
    public double Latitude => LatitudeE7 / E7;

    /// <summary>Degrees east, from -180 to 180.</summary>
    public double Longitude => LongitudeE7 / E7;

    /// <summary>From degrees, rounded to the nearest E7, which is at most 5.6 mm away.</summary>
    /// <param name="latitude">Degrees north, from -90 to 90.</param>
    /// <param name="longitude">Degrees east, from -180 to 180.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range or not a number.</exception>
    public static Coordinate FromDegrees(double latitude, double longitude)
    {
        if (!(Math.Abs(latitude) <= 90))
        {
            throw new ArgumentOutOfRangeException(nameof(latitude), latitude, "A latitude is from -90 to 90 degrees.");
        }

        return Math.Abs(longitude) <= 180
            ? new Coordinate((int)Math.Round(latitude * E7), (int)Math.Round(longitude * E7))
            : throw new ArgumentOutOfRangeException(nameof(longitude), longitude, "A longitude is from -180 to 180 degrees.");
    }

    /// <summary>From degrees times ten million.</summary>
    /// <param name="latitudeE7">From -900 000 000 to 900 000 000.</param>
    /// <param name="longitudeE7">From -1 800 000 000 to 1 800 000 000.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range.</exception>
    public static Coordinate FromE7(int latitudeE7, int longitudeE7)
    {
        if (latitudeE7 is < -MaxLatitudeE7 or > MaxLatitudeE7)
        {
            throw new ArgumentOutOfRangeException(
                nameof(latitudeE7), latitudeE7, "A latitude in E7 is from -900000000 to 900000000 (±90°).");
        }

        return longitudeE7 is >= -MaxLongitudeE7 and <= MaxLongitudeE7
            ? new Coordinate(latitudeE7, longitudeE7)
            : throw new ArgumentOutOfRangeException(
                nameof(longitudeE7), longitudeE7, "A longitude in E7 is from -1800000000 to 1800000000 (±180°).");
    }

    internal static bool AreInRange(int latitudeE7, int longitudeE7) =>
        latitudeE7 is >= -MaxLatitudeE7 and <= MaxLatitudeE7 && longitudeE7 is >= -MaxLongitudeE7 and <= MaxLongitudeE7;

    /// <summary>The degrees, such as <c>40.34872,-74.65905</c>, in any culture.</summary>
    public override string ToString() => FormattableString.Invariant($"{Latitude:0.0######},{Longitude:0.0######}");
}
