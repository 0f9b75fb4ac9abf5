using System.Globalization;
using Grpc.Core;
using RouteService.Api.Calls;
using RouteService.Contracts.Routeguide;
using RouteService.Domain.Chat;
using RouteService.Domain.Geography;
using RouteNote = RouteService.Contracts.Routeguide.RouteNote;
using DomainNote = RouteService.Domain.Chat.RouteNote;
using DomainSummary = RouteService.Domain.Routes.RouteSummary;

namespace RouteService.Api.Routes;

/// <summary>The contract's messages as domain values and back. What comes in is checked here, once.</summary>
internal static class RouteGuideMapping
{
    /// <param name="point">From a request.</param>
    /// <param name="field">Where in the request it is, such as "lo"; empty where it is the request.</param>
    /// <exception cref="InvalidRequestException">It is missing or out of range.</exception>
    public static Coordinate ToCoordinate(this Point? point, string field)
    {
        if (point is null)
        {
            throw new InvalidRequestException(field, $"{field} is missing; a point with latitude and longitude is wanted.");
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

    public static BoundingBox ToBoundingBox(this Rectangle rectangle) => new(rectangle.Lo.ToCoordinate("lo"), rectangle.Hi.ToCoordinate("hi"));

    /// <summary>The metadata of a chat stream (docs/chat.md).</summary>
    /// <exception cref="InvalidRequestException">An entry is not as it should be.</exception>
    public static ChatJoin ToJoin(this Metadata metadata, string client)
    {
        const string Mode = "route-chat-mode", Listen = "route-chat-listen", After = "route-chat-after";
        var mode = metadata.GetValue(Mode);
        if (mode is not (null or "sequenced"))
        {
            throw new InvalidRequestException(Mode, $"{Mode} is '{mode}'; 'sequenced' is wanted, or no such entry.");
        }

        var listen = metadata.GetAll(Listen).SelectMany(static entry => ToPlaces(entry.Value)).ToHashSet();
        var after = metadata.GetValue(After);
        if (mode is null && (listen.Count > 0 || after is not null))
        {
            throw new InvalidRequestException(Mode, $"{Mode} is missing; {Listen} and {After} are for streams with {Mode}: sequenced.");
        }

        if (after is not null && !(long.TryParse(after, NumberStyles.None, CultureInfo.InvariantCulture, out _)))
        {
            throw new InvalidRequestException(After, $"{After} is '{after}'; the sequence of a note is wanted, a whole number from 0.");
        }

        return new ChatJoin
        {
            IsSequenced = mode is not null,
            Listen = listen,
            After = after is null ? null : long.Parse(after, CultureInfo.InvariantCulture),
            Client = client,
        };

        // Entries of one key may come joined by commas (gRPC over HTTP/2, "Custom-Metadata"), so one may hold several places.
        static IEnumerable<Coordinate> ToPlaces(string text)
        {
            const NumberStyles Style = NumberStyles.AllowLeadingSign | NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite;
            foreach (var pair in text.Split(',').Chunk(2))
            {
                if (pair.Length != 2
                    || !int.TryParse(pair[0], Style, CultureInfo.InvariantCulture, out var latitude)
                    || !int.TryParse(pair[1], Style, CultureInfo.InvariantCulture, out var longitude))
                {
                    throw new InvalidRequestException(
                        Listen, $"{Listen} is '{text}'; LATITUDE,LONGITUDE is wanted, in E7 (degrees times ten million), such as 409146138,-746188906.");
                }

                yield return new Point { Latitude = latitude, Longitude = longitude }.ToCoordinate(Listen);
            }
        }
    }

    public static DomainNote ToNote(this RouteNote note) => new(note.Location.ToCoordinate("location"), note.Message);

    public static Point ToPoint(this Coordinate coordinate) => new() { Latitude = coordinate.LatitudeE7, Longitude = coordinate.LongitudeE7 };

    /// <summary>The numbers as the contract has them: int32, capped, the distance truncated.</summary>
    public static RouteSummary ToProto(this DomainSummary summary) => new()
    {
        PointCount = (int)Math.Min(int.MaxValue, summary.PointCount),
        FeatureCount = (int)Math.Min(int.MaxValue, summary.FeatureCount),
        Distance = (int)Math.Min(int.MaxValue, summary.Meters),
        ElapsedTime = (int)Math.Min(int.MaxValue, summary.Elapsed.TotalSeconds),
    };

    private static InvalidRequestException OutOfRange(string parent, string name, int value, int maximum)
    {
        var field = parent.Length == 0 ? name : $"{parent}.{name}";
        return new InvalidRequestException(
            field, $"{field} is {value}; a {name} is within ±{maximum}, which is ±{maximum / (int)Coordinate.E7}° times ten million.");
    }
}
