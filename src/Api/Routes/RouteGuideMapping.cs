using RouteService.Api.Errors;
using RouteService.Domain.Chat;
using RouteService.Domain.Geography;
using RouteService.Domain.Routes;
using Proto = RouteService.Contracts.Routeguide;

namespace RouteService.Api.Routes;

/// <summary>The contract's messages as domain values and back. What comes in is checked here, once.</summary>
internal static class RouteGuideMapping
{
    /// <param name="point">From a request.</param>
    /// <param name="field">Where in the request it is, such as "lo"; empty where it is the request.</param>
    /// <exception cref="InvalidRequestException">It is missing or out of range.</exception>
    public static Coordinate ToCoordinate(this Proto.Point? point, string field)
    {
        if (point is null)
        {
            throw new InvalidRequestException(field, $"{field} is missing; expected a point with latitude and longitude.");
        }

        if (!Coordinate.IsLatitude(point.Latitude))
        {
            throw OutOfRange(field, "latitude", point.Latitude, Coordinate.MaxLatitudeE7);
        }

        if (!Coordinate.IsLongitude(point.Longitude))
        {
            throw OutOfRange(field, "longitude", point.Longitude, Coordinate.MaxLongitudeE7);
        }

        return new Coordinate(point.Latitude, point.Longitude);
    }

    public static BoundingBox ToBoundingBox(this Proto.Rectangle rectangle) =>
        new(rectangle.Lo.ToCoordinate("lo"), rectangle.Hi.ToCoordinate("hi"));

    public static RouteNote ToNote(this Proto.RouteNote note) =>
        new(note.Location.ToCoordinate("location"), note.Message.ToText("message"));

    /// <returns>The same text.</returns>
    /// <exception cref="InvalidRequestException">
    /// It has the one character that PostgreSQL does not store. Both stores are held to that.
    /// </exception>
    public static string ToText(this string text, string field) => text.IndexOf('\0', StringComparison.Ordinal) is var index and >= 0
        ? throw new InvalidRequestException(field, $"{field} has the character U+0000 at index {index}; expected text without it.")
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
