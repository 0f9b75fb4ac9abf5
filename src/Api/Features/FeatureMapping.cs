using Google.Protobuf.WellKnownTypes;
using RouteService.Api.Errors;
using RouteService.Domain;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using Proto = RouteService.Contracts.V1;

namespace RouteService.Api.Features;

/// <summary>The contract's messages as domain values and back. What comes in is checked here, once.</summary>
internal static class FeatureMapping
{
    private const int MaxBatch = 1_000;

    // A status travels in headers, which clients bound at some kilobytes for the whole call.
    private const int MaxFieldLength = 200;

    // No feature has a version with this number.
    private static readonly Etag NoVersion = new(-1);

    /// <param name="name">The name of a feature.</param>
    /// <param name="field">Where in the request it is.</param>
    public static Coordinate ToLocation(this string name, string field) => At(field, () => FeatureName.Parse(name));

    // Guid.TryParseExact also takes white space, and signs within a group.
    public static Guid? ToRequestId(this string id, string field = "request_id") => id.Length == 0 ? null
        : Guid.TryParseExact(id, "D", out var uuid) && string.Equals($"{uuid:D}", id, StringComparison.OrdinalIgnoreCase) ? uuid
        : throw new InvalidRequestException(
            field,
            $"{field} is {InvalidRequestException.Quote(id)}; expected a UUID such as 6fa1a8a0-0f1c-4f0e-9d3e-9f4b8c1c2d3e, or none.");

    public static FeatureChange.Create ToChange(this Proto.CreateFeatureRequest request)
    {
        var feature = request.Feature.Checked("feature");
        return new FeatureChange.Create(feature.LocationAt("feature"), feature.NameAt("feature"), feature.PropertiesAt("feature"));
    }

    /// <param name="request">One update.</param>
    /// <param name="field">Where it is in a batch; empty where it is the request.</param>
    public static FeatureChange.Update ToChange(this Proto.UpdateFeatureRequest request, string field)
    {
        var path = Join(field, "feature");
        var feature = request.Feature.Checked(path);
        var (setsName, setsProperties) = request.UpdateMask is { Paths.Count: > 0 } mask
            ? MaskAt(mask, Join(field, "update_mask"))
            : (feature.DisplayName.Length > 0, feature.Properties is not null);
        return new FeatureChange.Update(feature.LocationAt(path), feature.NameAt(path), feature.PropertiesAt(path))
        {
            SetsName = setsName,
            SetsProperties = setsProperties,
            AllowMissing = request.AllowMissing,
            Expected = feature.Etag.ToExpected(),
        };
    }

    /// <param name="request">One deletion.</param>
    /// <param name="field">Where it is in a batch; empty where it is the request.</param>
    public static FeatureChange.Delete ToChange(this Proto.DeleteFeatureRequest request, string field) =>
        new(request.Name.ToLocation(Join(field, "name")))
        {
            AllowMissing = request.AllowMissing,
            Expected = request.Etag.ToExpected(),
        };

    /// <summary>The changes of a batch.</summary>
    public static IReadOnlyList<FeatureChange> ToChanges<T>(
        this IReadOnlyList<T> requests, Func<T, string, FeatureChange> toChange, Func<T, string> requestId)
    {
        if (requests.Count is 0 or > MaxBatch)
        {
            throw new InvalidRequestException("requests", $"requests has {requests.Count} requests; expected 1 to {MaxBatch}.");
        }

        var changes = new List<FeatureChange>(requests.Count);
        var places = new Dictionary<Coordinate, int>();
        for (var i = 0; i < requests.Count; i++)
        {
            var field = $"requests[{i}]";
            if (requestId(requests[i]).Length > 0)
            {
                throw new InvalidRequestException($"{field}.request_id", $"{field}.request_id is set; expected one for the whole batch.");
            }

            var change = toChange(requests[i], field);
            if (!places.TryAdd(change.Location, i))
            {
                throw new InvalidRequestException(
                    field,
                    $"{field} is for {FeatureName.Format(change.Location)}, and so is requests[{places[change.Location]}]; "
                    + "expected at most one for a feature.");
            }

            changes.Add(change);
        }

        return changes;
    }

    /// <param name="feature">A feature to import; etag and times are not looked at.</param>
    /// <param name="field">Where in the request it is.</param>
    public static FeatureContent ToContent(this Proto.Feature feature, string field) =>
        new(feature.LocationAt(field), feature.NameAt(field), feature.PropertiesAt(field));

    public static Proto.Feature ToProto(this CatalogFeature feature)
    {
        var message = feature.Location.ToProto();
        message.DisplayName = feature.Name;
        message.Properties = feature.Properties.Members.Count == 0 ? null : feature.Properties.ToStruct();
        message.Etag = feature.Etag.ToString();
        message.CreateTime = Timestamp.FromDateTimeOffset(feature.CreatedAt);
        message.UpdateTime = Timestamp.FromDateTimeOffset(feature.UpdatedAt);
        return message;
    }

    /// <summary>A feature of which only the place is known.</summary>
    public static Proto.Feature ToProto(this Coordinate location) => new()
    {
        Name = FeatureName.Format(location),
        Location = new Proto.Point { LatitudeE7 = location.LatitudeE7, LongitudeE7 = location.LongitudeE7 },
    };

    /// <summary>Calls the domain with a value of the request, and tells where in the request a fault is.</summary>
    public static T At<T>(string field, Func<T> make)
    {
        try
        {
            return make();
        }
        catch (InvalidValueException e)
        {
            var place = Join(field, e.Place);
            throw new InvalidRequestException(place.Length <= MaxFieldLength ? place : field, InField(field, e));
        }
    }

    // A longer message has an over-long path in it; only its end is kept, which names the fault.
    private static string InField(string field, InvalidValueException fault) =>
        fault.Message.Length <= 4 * MaxFieldLength ? fault.Message : $"{field} {fault.Message[^MaxFieldLength..]}";

    private static Proto.Feature Checked(this Proto.Feature? feature, string field) =>
        feature ?? throw new InvalidRequestException(field, $"{field} is missing; expected a feature.");

    private static Coordinate LocationAt(this Proto.Feature feature, string field)
    {
        if (feature.Location is not { } point)
        {
            return feature.Name.Length > 0
                ? feature.Name.ToLocation(Join(field, "name"))
                : throw new InvalidRequestException(Join(field, "location"), $"{field}.location is missing, and so is {field}.name.");
        }

        var location = point.ToCoordinate(Join(field, "location"));
        return feature.Name.Length == 0 || string.Equals(feature.Name, FeatureName.Format(location), StringComparison.Ordinal)
            ? location
            : throw new InvalidRequestException(
                Join(field, "name"),
                $"{field}.name is {InvalidRequestException.Quote(feature.Name)}; expected {FeatureName.Format(location)}, "
                + $"the name at {field}.location, or none.");
    }

    /// <param name="point">From a request.</param>
    /// <param name="field">Where in the request it is.</param>
    public static Coordinate ToCoordinate(this Proto.Point? point, string field) => point switch
    {
        null => throw new InvalidRequestException(field, $"{field} is missing; expected a point."),
        _ when !Coordinate.IsLatitude(point.LatitudeE7) =>
            throw OutOfRange($"{field}.latitude_e7", point.LatitudeE7, Coordinate.MaxLatitudeE7),
        _ when !Coordinate.IsLongitude(point.LongitudeE7) =>
            throw OutOfRange($"{field}.longitude_e7", point.LongitudeE7, Coordinate.MaxLongitudeE7),
        _ => new Coordinate(point.LatitudeE7, point.LongitudeE7),
    };

    private static string NameAt(this Proto.Feature feature, string field) => At(Join(field, "display_name"), () =>
    {
        DisplayName.Check(feature.DisplayName);
        return feature.DisplayName;
    });

    private static Properties PropertiesAt(this Proto.Feature feature, string field) =>
        At(Join(field, "properties"), () => feature.Properties.ToProperties());

    private static (bool Name, bool Properties) MaskAt(FieldMask mask, string field)
    {
        var (name, properties) = (false, false);
        foreach (var path in mask.Paths)
        {
            switch (path)
            {
                case "display_name":
                    name = true;
                    break;
                case "properties":
                    properties = true;
                    break;
                case "*":
                    (name, properties) = (true, true);
                    break;
                default:
                    throw new InvalidRequestException(
                        field, $"{field} has {InvalidRequestException.Quote(path)}; expected display_name, properties or *.");
            }
        }

        return (name, properties);
    }

    private static Etag? ToExpected(this string etag) => etag.Length == 0 ? null
        : Etag.TryParse(etag, out var version) ? version
        : NoVersion;

    public static string Join(string field, string place) =>
        field.Length == 0 || place.Length == 0 || place[0] == '[' ? field + place : $"{field}.{place}";

    private static InvalidRequestException OutOfRange(string field, int value, int maximum) => new(
        field, $"{field} is {value}; expected -{maximum} to {maximum} (±{maximum / (int)Coordinate.E7}° times 10^7).");
}
