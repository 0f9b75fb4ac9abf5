using RouteService.Api.Errors;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using Proto = RouteService.Contracts.V1;

namespace RouteService.Api.Features;

/// <summary>What a search asks for.</summary>
/// <param name="Filter">Which features.</param>
/// <param name="IsFull">Whether with their properties.</param>
/// <param name="Fingerprint">Of both, for tokens.</param>
internal sealed record SearchQuery(FeatureFilter Filter, bool IsFull, uint Fingerprint)
{
    private const int DefaultPage = 100;

    /// <exception cref="InvalidRequestException">The filter or the view is wrong.</exception>
    public static SearchQuery Of(Proto.FeatureFilter? filter, Proto.FeatureView view)
    {
        if (view is not (Proto.FeatureView.Unspecified or Proto.FeatureView.Basic or Proto.FeatureView.Full))
        {
            throw new InvalidRequestException("view", $"view is {(int)view}; expected FEATURE_VIEW_BASIC or FEATURE_VIEW_FULL.");
        }

        var isFull = view is not Proto.FeatureView.Basic;
        var area = filter?.Area is { } sent ? ToArea(sent, "filter.area") : null;
        var properties = FeatureMapping.At("filter.properties", () => (filter?.Properties).ToProperties());
        var which = FeatureMapping.At("filter", () => new FeatureFilter(area, filter?.Text ?? "", properties));
        return new SearchQuery(which, isFull, which.Fingerprint(isFull ? 1 : 0));
    }

    /// <summary>How many features a page may have.</summary>
    public static int LimitOf(int pageSize) => pageSize switch
    {
        < 0 => throw new InvalidRequestException("page_size", $"page_size is {pageSize}; expected 0 to {FeatureSearch.MaxPage}."),
        0 => DefaultPage,
        _ => Math.Min(pageSize, FeatureSearch.MaxPage),
    };

    public string ToToken(SearchTokenKind kind, Coordinate last) => SearchToken.Encode(kind, Fingerprint, last);

    /// <summary>The code that a token goes on with; the first one without a token.</summary>
    public long ToCode(SearchTokenKind kind, string token, string field) => token.Length == 0
        ? 0
        : FeatureMapping.At(field, () => SearchToken.Decode(kind, Fingerprint, token)) + 1;

    public Proto.Feature ToProto(CatalogFeature feature) => (IsFull ? feature : feature with { Properties = Properties.Empty }).ToProto();

    /// <param name="area">From a request.</param>
    /// <param name="field">Where in the request it is.</param>
    public static Area ToArea(Proto.Area area, string field)
    {
        switch (area.ShapeCase)
        {
            case Proto.Area.ShapeOneofCase.Box:
                var (low, high) = (area.Box.Low.ToCoordinate($"{field}.box.low"), area.Box.High.ToCoordinate($"{field}.box.high"));
                return FeatureMapping.At($"{field}.box", () => new Box(low, high));
            case Proto.Area.ShapeOneofCase.Circle:
                var center = area.Circle.Center.ToCoordinate($"{field}.circle.center");
                return FeatureMapping.At($"{field}.circle", () => new Circle(center, area.Circle.RadiusMeters));
            case Proto.Area.ShapeOneofCase.Polygon:
                // Counted before the points are parsed, because only the size of the message bounds their number.
                var points = area.Polygon.Rings.Sum(static ring => ring.Points.Count);
                if (points > Polygon.MaxPoints)
                {
                    throw new InvalidRequestException(
                        $"{field}.polygon.rings", $"rings have {points} points; expected at most {Polygon.MaxPoints}.");
                }

                var rings = area.Polygon.Rings.Select((ring, i) => (IReadOnlyList<Coordinate>)
                [
                    .. ring.Points.Select((point, j) => point.ToCoordinate($"{field}.polygon.rings[{i}].points[{j}]")),
                ]).ToList();
                return FeatureMapping.At($"{field}.polygon", () => new Polygon(rings));
            default:
                throw new InvalidRequestException(field, $"{field} is set without a shape; expected a box, a circle or a polygon.");
        }
    }
}
