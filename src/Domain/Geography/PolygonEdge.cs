namespace RouteService.Domain.Geography;

internal readonly record struct PolygonEdge(PlanePoint From, PlanePoint To)
{
    public long MinX => Math.Min(From.X, To.X);

    public long MaxX => Math.Max(From.X, To.X);

    public long MinY => Math.Min(From.Y, To.Y);

    public long MaxY => Math.Max(From.Y, To.Y);

    /// <summary>Whether the point is on the edge, its ends included.</summary>
    public bool Has(PlanePoint point) =>
        point.X >= MinX && point.X <= MaxX && point.Y >= MinY && point.Y <= MaxY && PlanePoint.Side(From, To, point) == 0;

    /// <summary>
    /// Whether a ray from the point to the east crosses the edge; the point is not on it. The lower end belongs to an edge, the upper does
    /// not, so a ray through a vertex crosses a ring as often as one beside it.
    /// </summary>
    public bool IsRightOf(PlanePoint point) =>
        From.Y <= point.Y != To.Y <= point.Y && To.Y > From.Y == PlanePoint.Side(From, To, point) > 0;
}
