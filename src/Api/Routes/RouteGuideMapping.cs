using RouteService.Api.Errors;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using RouteService.Domain.Routes;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Api.Routes;

/// <summary>Maps the contract's messages to domain values and back. Requests are checked here, once.</summary>
internal static class RouteGuideMapping
{
    /// <param name="point">Point of a request.</param>
    /// <param name="field">Path of the point in the request, such as "lo"; empty if the point is the request.</param>
    /// <exception cref="InvalidRequestException">The point is missing or out of range.</exception>
    public static Coordinate ToCoordinate(this Proto.Point? point, string field) => point is not null
        ? ToCoordinate(point.Latitude, point.Longitude, field)
        : throw new InvalidRequestException(field, $"{field} is missing; expected a point with latitude and longitude.");

    /// <inheritdoc cref="ToCoordinate(Proto.Point?, string)"/>
    public static Coordinate ToCoordinate(int latitudeE7, int longitudeE7, string field)
    {
        if (!Coordinate.IsLatitude(latitudeE7))
        {
            throw OutOfRange(field, "latitude", latitudeE7, Coordinate.MaxLatitudeE7);
        }

        if (!Coordinate.IsLongitude(longitudeE7))
        {
            throw OutOfRange(field, "longitude", longitudeE7, Coordinate.MaxLongitudeE7);
        }

        return new Coordinate(latitudeE7, longitudeE7);
    }

    public static BoundingBox ToBoundingBox(this Proto.Rectangle rectangle) =>
        new(rectangle.Lo.ToCoordinate("lo"), rectangle.Hi.ToCoordinate("hi"));

    public static RouteNote ToNote(this Proto.RouteNote note) =>
        new(note.Location.ToCoordinate("location"), note.Message.ToText("message"));

    /// <returns>The same text.</returns>
    /// <exception cref="InvalidRequestException">A store cannot keep the text.</exception>
    public static string ToText(this string text, string field) => StorableText.Fault(text) is { } fault
        ? throw new InvalidRequestException(field, $"{field} has {fault}.")
        : text;

    public static Proto.Point ToPoint(this Coordinate coordinate) =>
        new() { Latitude = coordinate.LatitudeE7, Longitude = coordinate.LongitudeE7 };

    /// <summary>Numbers above int32 become its largest value.</summary>
    public static Proto.RouteSummary ToProto(this RouteSummary summary) => new()
    {
        PointCount = (int)Math.Min(int.MaxValue, summary.PointCount),
        FeatureCount = (int)Math.Min(int.MaxValue, summary.FeatureCount),
        Distance = summary.WholeMeters,
        ElapsedTime = (int)Math.Min(int.MaxValue, summary.Elapsed.TotalSeconds),
    };

    private static InvalidRequestException OutOfRange(string parent, string name, int value, int maximum)
    {
        var field = parent.Length == 0 ? name : $"{parent}.{name}";
        return new InvalidRequestException(
            field, $"{field} is {value}; expected -{maximum} to {maximum} (±{maximum / (int)Coordinate.E7}° times 10^7).");
    }
}
