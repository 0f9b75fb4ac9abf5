namespace RouteService.Domain.Geography;

/// <summary>
/// Latitudes and longitudes from low to high, both included, by the rules of google.geo.type.Viewport: a low longitude above the high one
/// crosses the antimeridian, and -180 to 180 is every longitude. Longitudes are taken as they are written: a box to 180 does not have -180.
/// </summary>
/// <remarks>The corners of a <see cref="BoundingBox"/> come in any order, so the same numbers can be another area there.</remarks>
public sealed class Box : Area
{
    /// <exception cref="InvalidValueException">The low latitude is above the high one, or the longitudes go from 180 to -180.</exception>
    public Box(Coordinate low, Coordinate high)
    {
        if (low.LatitudeE7 > high.LatitudeE7)
        {
            throw new InvalidValueException(
                "low.latitude_e7",
                $"low.latitude_e7 is {low.LatitudeE7}, above high.latitude_e7, {high.LatitudeE7}; expected at most that.");
        }

        if (low.LongitudeE7 == Coordinate.MaxLongitudeE7 && high.LongitudeE7 == -Coordinate.MaxLongitudeE7)
        {
            throw new InvalidValueException(
                "low.longitude_e7", "The longitudes go from 180 to -180, which is an empty range; expected -180 to 180 for all of them.");
        }

        (Low, High) = (low, high);
        Boxes = low.LongitudeE7 <= high.LongitudeE7
            ? [new BoundingBox(low, high)]
            :
            [
                new BoundingBox(new Coordinate(low.LatitudeE7, -Coordinate.MaxLongitudeE7), high),
                new BoundingBox(low, new Coordinate(high.LatitudeE7, Coordinate.MaxLongitudeE7)),
            ];
    }

    public Coordinate Low { get; }

    public Coordinate High { get; }

    public override IReadOnlyList<BoundingBox> Boxes { get; }

    public override bool Contains(Coordinate place) => Boxes.Any(box => box.Contains(place));

    internal override void WriteTo(BinaryWriter writer)
    {
        writer.Write((byte)1);
        writer.Write(Low);
        writer.Write(High);
    }
}
