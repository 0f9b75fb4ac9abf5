namespace RouteService.Domain.Geography;

/// <summary>
/// An outer ring and holes in it. Edges are straight in longitude and latitude and go the shorter way round; both longitudes of the
/// antimeridian are one location. Edges belong to the polygon, those of its holes too. Rings may have either orientation.
/// </summary>
public sealed class Polygon : Area
{
    /// <summary>Limit of the points of all rings together.</summary>
    public const int MaxPoints = 10_000;

    private const int MaxBands = 1_024;

    private readonly Coordinate[][] _rings;
    private readonly PolygonRing _shell;

    // The edges by bands of latitude: those of band i are from _bandStarts[i] to _bandStarts[i + 1].
    private readonly PolygonEdge[] _edges;
    private readonly int[] _bandStarts;
    private readonly long _bandHeight;

    /// <param name="rings">The outer ring, then its holes; the first point of each is its last again.</param>
    /// <exception cref="InvalidValueException">
    /// The rings form no polygon; the place is the ring and the vertex. Besides the rules of <see cref="PolygonValidity"/>, a ring has no
    /// edge of exactly 180° of longitude, does not go around a pole, and spans less than 360°.
    /// </exception>
    public Polygon(IReadOnlyList<IReadOnlyList<Coordinate>> rings)
    {
        if (rings.Count == 0)
        {
            throw new InvalidValueException("rings", "rings is empty; expected the outer ring, and then its holes.");
        }

        var points = rings.Sum(static ring => (long)ring.Count);
        if (points > MaxPoints)
        {
            throw new InvalidValueException("rings", $"rings have {points} points; expected at most {MaxPoints}.");
        }

        _rings = [.. rings.Select(static ring => ring.ToArray())];
        _shell = PolygonRing.Unroll(0, rings[0]);
        var holes = rings.Skip(1).Select((ring, i) => PolygonRing.Unroll(i + 1, ring).TurnedFrom(_shell.MinX));
        PolygonRing[] all = [_shell, .. holes];
        PolygonValidity.Check(all);

        Boxes = Wrap((int)_shell.MinY, (int)_shell.MaxY, _shell.MinX, _shell.MaxX);
        var edges = all.SelectMany(static ring => ring.Edges).ToList();
        (_edges, _bandStarts, _bandHeight) = InBands(edges, _shell.MinY, _shell.MaxY);
    }

    public override IReadOnlyList<BoundingBox> Boxes { get; }

    public override bool Contains(Coordinate place)
    {
        var point = new PlanePoint(Longitudes.From(_shell.MinX, place.LongitudeE7), place.LatitudeE7);
        if (point.X > _shell.MaxX || point.Y < _shell.MinY || point.Y > _shell.MaxY)
        {
            return false;
        }

        // Holes are in the shell and beside each other, so a place is inside where a ray from it crosses an odd number of edges.
        var band = (int)((point.Y - _shell.MinY) / _bandHeight);
        var isInside = false;
        foreach (ref readonly var edge in _edges.AsSpan(_bandStarts[band].._bandStarts[band + 1]))
        {
            if (edge.Has(point))
            {
                return true;
            }

            isInside ^= edge.IsRightOf(point);
        }

        return isInside;
    }

    internal override void WriteTo(BinaryWriter writer)
    {
        writer.Write((byte)3);
        foreach (var ring in _rings)
        {
            writer.Write(ring.Length);
            foreach (var point in ring)
            {
                writer.Write(point);
            }
        }
    }

    private static (PolygonEdge[] Edges, int[] Starts, long Height) InBands(List<PolygonEdge> edges, long minY, long maxY)
    {
        // Long edges are in many bands. Fewer bands then keep the memory near that of the edges.
        for (var count = Math.Min(edges.Count, MaxBands); ; count /= 2)
        {
            var height = ((maxY - minY) / count) + 1;
            if (count > 1 && edges.Sum(edge => Band(edge.MaxY) - Band(edge.MinY) + 1L) > 4L * edges.Count)
            {
                continue;
            }

            var bands = Enumerable.Range(0, count).Select(static _ => new List<PolygonEdge>()).ToArray();
            foreach (var edge in edges)
            {
                for (var band = Band(edge.MinY); band <= Band(edge.MaxY); band++)
                {
                    bands[band].Add(edge);
                }
            }

            var starts = new int[count + 1];
            for (var band = 0; band < count; band++)
            {
                starts[band + 1] = starts[band] + bands[band].Count;
            }

            return ([.. bands.SelectMany(static band => band)], starts, height);

            int Band(long y) => (int)((y - minY) / height);
        }
    }
}
