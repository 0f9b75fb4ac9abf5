namespace RouteService.Domain.Geography;

/// <summary>
/// Every location whose great-circle distance from a center, by <see cref="Haversine"/>, is at most a radius. Both longitudes of the
/// antimeridian, and all longitudes of a pole, are one location here.
/// </summary>
public sealed class Circle : Area
{
    /// <summary>Half the earth's circumference in metres, rounded up: such a circle is the whole earth.</summary>
    public const double MaxRadiusMeters = 20_015_087;

    /// <summary>Margin for rounding errors, which reach decimetres near the antipodes of the center.</summary>
    private const double SpareMeters = 1;

    /// <exception cref="InvalidValueException">The radius is not a number from 0 to <see cref="MaxRadiusMeters"/>.</exception>
    public Circle(Coordinate center, double radiusMeters)
    {
        if (radiusMeters is not (>= 0 and <= MaxRadiusMeters))
        {
            throw new InvalidValueException(
                "radius_meters",
                FormattableString.Invariant($"radius_meters is {radiusMeters}; expected 0 to {MaxRadiusMeters}, half around the earth."));
        }

        (Center, RadiusMeters) = (center, radiusMeters);
        Boxes = Around(center, (radiusMeters + SpareMeters) / Haversine.EarthRadiusMeters);
    }

    public Coordinate Center { get; }

    public double RadiusMeters { get; }

    public override IReadOnlyList<BoundingBox> Boxes { get; }

    public override bool Contains(Coordinate place) => Haversine.Meters(Center, place) <= RadiusMeters;

    internal override void WriteTo(BinaryWriter writer)
    {
        writer.Write((byte)2);
        writer.Write(Center);
        writer.Write(RadiusMeters + 0.0); // -0 is 0.
    }

    private static List<BoundingBox> Around(Coordinate center, double radians)
    {
        const double E7PerRadian = 180 / Math.PI * Coordinate.E7;
        var reach = (long)Math.Ceiling(radians * E7PerRadian);
        var (south, north) = (center.LatitudeE7 - reach, center.LatitudeE7 + reach);

        // The circle's easternmost and westernmost places are where meridians touch it; around a pole there are none.
        var longitudes = south <= -Coordinate.MaxLatitudeE7 || north >= Coordinate.MaxLatitudeE7
            ? double.NaN
            : Math.Asin(Math.Sin(radians) / Math.Cos(center.LatitudeE7 / E7PerRadian));
        var (low, high) = ((int)Math.Max(south, -Coordinate.MaxLatitudeE7), (int)Math.Min(north, Coordinate.MaxLatitudeE7));
        if (double.IsNaN(longitudes))
        {
            return [new BoundingBox(new Coordinate(low, -Coordinate.MaxLongitudeE7), new Coordinate(high, Coordinate.MaxLongitudeE7))];
        }

        var sideways = (long)Math.Ceiling(longitudes * E7PerRadian);
        return Wrap(low, high, center.LongitudeE7 - sideways, center.LongitudeE7 + sideways);
    }
}
