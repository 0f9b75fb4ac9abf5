namespace RouteService.Domain.Geography;

/// <summary>
/// A part of the earth's surface, its edge included: a <see cref="Box"/>, a <see cref="Circle"/> or a <see cref="Polygon"/>. Only
/// <see cref="Contains"/> decides what is inside, in E7, so that all stores agree; a store finds candidates by <see cref="Boxes"/>.
/// </summary>
/// <threadsafety>Immutable.</threadsafety>
public abstract class Area
{
    private protected Area()
    {
    }

    /// <summary>One box or two, disjoint, that contain every location of the area, and possibly others.</summary>
    public abstract IReadOnlyList<BoundingBox> Boxes { get; }

    public abstract bool Contains(Coordinate place);

    /// <summary>Writes the numbers that define the area, and so distinguish it from others.</summary>
    internal abstract void WriteTo(BinaryWriter writer);

    /// <summary>
    /// The boxes of latitudes and of longitudes that may go beyond ±180°, by less than a turn and narrower than one. A range that ends on
    /// the antimeridian has both of its longitudes, 180 and -180.
    /// </summary>
    private protected static List<BoundingBox> Wrap(int south, int north, long west, long east)
    {
        var boxes = new List<BoundingBox>(2);
        for (var turn = -Longitudes.Turn; turn <= Longitudes.Turn; turn += Longitudes.Turn)
        {
            var (from, to) = (Math.Max(west + turn, -Coordinate.MaxLongitudeE7), Math.Min(east + turn, Coordinate.MaxLongitudeE7));
            if (from <= to)
            {
                boxes.Add(new BoundingBox(new Coordinate(south, (int)from), new Coordinate(north, (int)to)));
            }
        }

        return boxes;
    }
}
