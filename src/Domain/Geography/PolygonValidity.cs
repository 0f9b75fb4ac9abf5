namespace RouteService.Domain.Geography;

/// <summary>
/// Checks that rings form a polygon: each ring is simple, no ring crosses another or shares a piece of an edge with it, and the holes are
/// in the shell and beside each other. Rings may touch at points.
/// </summary>
internal static class PolygonValidity
{
    private static readonly (int X, int Y)[] Axes = [(1, 0), (0, 1), (1, 1), (1, -1)];

    /// <exception cref="InvalidValueException">The rings form no polygon; the place is a vertex.</exception>
    public static void Check(PolygonRing[] rings)
    {
        var shell = rings[0];
        if (rings.FirstOrDefault(ring => !shell.MayHave(ring)) is { } outside)
        {
            throw NotInTheShell(outside);
        }

        // A sweep finds the edges that may meet. It goes along the axis on which edges are shortest. At worst, with long edges in all
        // directions, it compares each with each.
        var all = rings.SelectMany(static ring => ring.Edges.Select((edge, i) => new Edge(ring, i, edge.From, edge.To, 0, 0))).ToArray();
        var edges = Axes.Select(axis => Array.ConvertAll(all, edge => edge.Along(axis.X, axis.Y))).MinBy(Crowding)!;
        Array.Sort(edges, static (a, b) => (a.Low, a.Ring.Number, a.Vertex).CompareTo((b.Low, b.Ring.Number, b.Vertex)));
        for (var i = 0; i < edges.Length; i++)
        {
            ref readonly var edge = ref edges[i];
            for (var j = i + 1; j < edges.Length && edges[j].Low <= edge.High; j++)
            {
                Check(edge, edges[j]);
            }
        }

        // Rings that do not cross are in one another with all their points or with none.
        if (rings.Skip(1).FirstOrDefault(hole => !shell.Has(hole)) is { } stray)
        {
            throw NotInTheShell(stray);
        }

        foreach (var hole in rings.Skip(1))
        {
            if (rings.Skip(1).FirstOrDefault(other => other != hole && other.Has(hole)) is { } around)
            {
                throw hole.Invalid(0, $"is inside of the hole rings[{around.Number}]; expected holes beside each other");
            }
        }
    }

    /// <summary>Average number of edges at a position of the axis.</summary>
    private static double Crowding(Edge[] edges)
    {
        var (low, high) = (edges.Min(static edge => edge.Low), edges.Max(static edge => edge.High));
        return edges.Sum(static edge => edge.High - edge.Low + 1.0) / (high - low + 1);
    }

    private static InvalidValueException NotInTheShell(PolygonRing hole) =>
        hole.Invalid(0, "is of a ring that is not inside of rings[0]; expected the outer ring first, and then holes in it");

    private static void Check(in Edge edge, in Edge other)
    {
        var (a, b, c, d) = (edge.From, edge.To, other.From, other.To);
        var (sideC, sideD) = (PlanePoint.Side(a, b, c), PlanePoint.Side(a, b, d));
        if (sideC * sideD > 0)
        {
            return;
        }

        var (sideA, sideB) = (PlanePoint.Side(c, d, a), PlanePoint.Side(c, d, b));
        if (sideA * sideB > 0)
        {
            return;
        }

        if (sideC * sideD * sideA * sideB != 0)
        {
            throw Meet(edge, other, "crosses");
        }

        if (sideC == 0 && sideD == 0)
        {
            // On one line: what they have in common is from the later beginning to the earlier end.
            var (from, to) = (Later(Earlier(a, b), Earlier(c, d)), Earlier(Later(a, b), Later(c, d)));
            if (from > to)
            {
                return;
            }

            if (from < to)
            {
                throw Meet(edge, other, "runs along");
            }
        }

        if (edge.Ring == other.Ring)
        {
            if (!edge.Ring.AreNeighbours(edge.Vertex, other.Vertex))
            {
                throw Meet(edge, other, "meets");
            }
        }
        else if (CrossesAtItsStart(edge, other) || CrossesAtItsStart(other, edge))
        {
            throw Meet(edge, other, "crosses");
        }
    }

    /// <summary>
    /// Whether the ring of the second edge crosses that of the first where the second edge begins, at a vertex or inside of the first edge.
    /// The end of an edge is the beginning of the next one.
    /// </summary>
    private static bool CrossesAtItsStart(in Edge edge, in Edge other)
    {
        var (start, before) = (other.From, other.Ring.Before(other.Vertex));
        if (start == edge.From)
        {
            return edge.Ring.IsLeft(edge.Vertex, before) != edge.Ring.IsLeft(edge.Vertex, other.To);
        }

        return start != edge.To
            && new PolygonEdge(edge.From, edge.To).Has(start)
            && PlanePoint.Side(edge.From, edge.To, before) * PlanePoint.Side(edge.From, edge.To, other.To) < 0;
    }

    private static InvalidValueException Meet(in Edge edge, in Edge other, string how)
    {
        // The later edge is the one at fault.
        var isInOrder = (edge.Ring.Number, edge.Vertex).CompareTo((other.Ring.Number, other.Vertex)) < 0;
        var (first, second) = isInOrder ? (edge, other) : (other, edge);
        var expected = edge.Ring == other.Ring ? "a ring that does not meet itself" : "rings that touch at points at most";
        return second.Ring.Invalid(
            second.Vertex, $"begins an edge that {how} the edge that begins at {first.Ring.Name(first.Vertex)}; expected {expected}");
    }

    private static PlanePoint Earlier(PlanePoint a, PlanePoint b) => a < b ? a : b;

    private static PlanePoint Later(PlanePoint a, PlanePoint b) => a < b ? b : a;

    private readonly record struct Edge(PolygonRing Ring, int Vertex, PlanePoint From, PlanePoint To, long Low, long High)
    {
        /// <summary>The edge with its extent on an axis.</summary>
        public Edge Along(int x, int y)
        {
            var (from, to) = ((From.X * x) + (From.Y * y), (To.X * x) + (To.Y * y));
            return this with { Low = Math.Min(from, to), High = Math.Max(from, to) };
        }
    }
}
