namespace RouteService.Domain.Geography;

/// <summary>
/// A ring of a polygon, unrolled: each edge goes the shorter way round, so its longitudes may go beyond ±180°. Points that repeat the one
/// before, and the one that closes the ring, are left out.
/// </summary>
internal sealed class PolygonRing
{
    private readonly PlanePoint[] _points;
    private readonly int[] _indices;
    private readonly bool _isCounterclockwise;

    private PolygonRing(int number, PlanePoint[] points, int[] indices)
    {
        (Number, _points, _indices) = (number, points, indices);
        MinX = points.Min(static point => point.X);
        MaxX = points.Max(static point => point.X);
        MinY = points.Min(static point => point.Y);
        MaxY = points.Max(static point => point.Y);

        // At its first point along X a simple ring turns to the side on which its inside is.
        var corner = Array.IndexOf(points, points.Min());
        _isCounterclockwise = PlanePoint.Side(Before(corner), points[corner], After(corner)) > 0;
    }

    /// <summary>Index among the rings of the polygon.</summary>
    public int Number { get; }

    public int Count => _points.Length;

    public long MinX { get; }

    public long MaxX { get; }

    public long MinY { get; }

    public long MaxY { get; }

    public PlanePoint this[int vertex] => _points[vertex];

    /// <summary>Edge i begins at vertex i.</summary>
    public IEnumerable<PolygonEdge> Edges => _points.Select((point, i) => new PolygonEdge(point, After(i)));

    /// <exception cref="InvalidValueException">
    /// The ring has too few points, is not closed, has an edge of exactly 180°, goes around a pole, or spans 360°.
    /// </exception>
    public static PolygonRing Unroll(int number, IReadOnlyList<Coordinate> ring)
    {
        if (ring.Count < 4)
        {
            throw new InvalidValueException(
                $"rings[{number}].points",
                $"rings[{number}] has {ring.Count} points; expected at least 4, of which the last is the first again.");
        }

        if (ring[0] != ring[^1])
        {
            throw Invalid(number, ring.Count - 1, $"is {Text(ring[^1])}; expected the ring's first point again, {Text(ring[0])}");
        }

        var points = new List<PlanePoint> { new(ring[0].LongitudeE7, ring[0].LatitudeE7) };
        var indices = new List<int> { 0 };
        for (var i = 1; i < ring.Count; i++)
        {
            var before = points[^1];
            var longitude = Longitudes.From(before.X - Coordinate.MaxLongitudeE7, ring[i].LongitudeE7);
            if (before.X - longitude == Coordinate.MaxLongitudeE7)
            {
                throw Invalid(
                    number,
                    i - 1,
                    $"and the next point, {Text(ring[i - 1])} and {Text(ring[i])}, are exactly 180 degrees of longitude apart, so neither "
                    + "way round is the shorter; expected a point between them");
            }

            var point = new PlanePoint(longitude, ring[i].LatitudeE7);
            if (point != before)
            {
                points.Add(point);
                indices.Add(i);
            }
        }

        if (points[^1] != points[0])
        {
            throw Invalid(number, ring.Count - 1, "closes a ring that goes around a pole; expected a box that reaches the pole");
        }

        points.RemoveAt(points.Count - 1);
        if (points.Count < 3)
        {
            throw new InvalidValueException(
                $"rings[{number}].points", $"rings[{number}] has fewer than three different points; expected a ring around an area.");
        }

        var unrolled = new PolygonRing(number, [.. points], [.. indices]);
        return unrolled.MaxX - unrolled.MinX < Longitudes.Turn
            ? unrolled
            : throw new InvalidValueException(
                $"rings[{number}].points", $"rings[{number}] spans 360 degrees of longitude or more; expected less, or a box.");
    }

    /// <summary>The same ring, whole turns further east or west, so that it begins east of this longitude.</summary>
    public PolygonRing TurnedFrom(long longitude)
    {
        var turn = Longitudes.From(longitude, MinX) - MinX;
        return turn == 0 ? this : new PolygonRing(Number, [.. _points.Select(point => point with { X = point.X + turn })], _indices);
    }

    public PlanePoint Before(int vertex) => _points[vertex == 0 ? Count - 1 : vertex - 1];

    public PlanePoint After(int vertex) => _points[vertex == Count - 1 ? 0 : vertex + 1];

    public bool AreNeighbours(int edge, int other) => Math.Abs(edge - other) is var apart && (apart == 1 || apart == Count - 1);

    /// <summary>Whether the box of this ring contains the box of the other ring.</summary>
    public bool MayHave(PolygonRing other) => other.MinX >= MinX && other.MaxX <= MaxX && other.MinY >= MinY && other.MaxY <= MaxY;

    /// <summary>Whether this ring contains the other ring; the two do not cross.</summary>
    public bool Has(PolygonRing other) => MayHave(other) && HasWayOut(other[0], other[1]);

    /// <summary>Whether a line from the vertex to a point turns off to the left of the ring's way through the vertex.</summary>
    public bool IsLeft(int vertex, PlanePoint toward)
    {
        var (before, at, after) = (Before(vertex), _points[vertex], After(vertex));
        return PlanePoint.Side(before, at, after) > 0
            ? PlanePoint.Side(before, at, toward) > 0 && PlanePoint.Side(at, after, toward) > 0
            : PlanePoint.Side(before, at, toward) > 0 || PlanePoint.Side(at, after, toward) > 0;
    }

    public InvalidValueException Invalid(int vertex, string fault) => Invalid(Number, _indices[vertex], fault);

    /// <summary>The vertex as a caller knows it.</summary>
    public string Name(int vertex) => Name(Number, _indices[vertex]);

    /// <summary>Whether a line that leaves a point toward another, not along an edge of this ring, begins inside of it.</summary>
    private bool HasWayOut(PlanePoint point, PlanePoint toward)
    {
        var isInside = false;
        for (var i = 0; i < Count; i++)
        {
            var edge = new PolygonEdge(_points[i], After(i));
            if (edge.From == point)
            {
                return IsLeft(i, toward) == _isCounterclockwise;
            }

            if (edge.To != point && edge.Has(point))
            {
                return PlanePoint.Side(edge.From, edge.To, toward) > 0 == _isCounterclockwise;
            }

            isInside ^= edge.IsRightOf(point);
        }

        return isInside;
    }

    private static InvalidValueException Invalid(int ring, int index, string fault) =>
        new(Name(ring, index), $"{Name(ring, index)} {fault}.");

    private static string Name(int ring, int index) => $"rings[{ring}].points[{index}]";

    private static string Text(Coordinate place) => $"{place.LatitudeE7},{place.LongitudeE7}";
}
