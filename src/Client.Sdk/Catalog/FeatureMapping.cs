using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using Kind = RouteService.Contracts.V1.WatchFeaturesResponse.Types.Type;
using Proto = RouteService.Contracts.V1;

namespace RouteService.Client.Catalog;

/// <summary>The types of the catalog as messages of the contract, and back.</summary>
internal static class FeatureMapping
{
    private const string Collection = "features/";

    public static string ToName(Coordinate location) =>
        string.Create(CultureInfo.InvariantCulture, $"{Collection}{location.LatitudeE7},{location.LongitudeE7}");

    /// <summary>The place of a feature by its name in the contract; null for another text.</summary>
    public static Coordinate? ToLocation(string name)
    {
        var numbers = name.StartsWith(Collection, StringComparison.Ordinal) ? name[Collection.Length..].Split(',') : [];
        return numbers.Length == 2
            && int.TryParse(numbers[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var latitude)
            && int.TryParse(numbers[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var longitude)
            && Coordinate.AreInRange(latitude, longitude)
                ? Coordinate.FromE7(latitude, longitude)
                : null;
    }

    /// <exception cref="RouteServiceException">The feature has no place on the earth.</exception>
    public static CatalogFeature ToFeature(Proto.Feature feature, bool withProperties) =>
        new(ToCoordinate(feature), feature.DisplayName, withProperties ? PropertyMapping.ToJson(feature.Properties) : null)
        {
            Etag = feature.Etag,
            CreatedAt = feature.CreateTime?.ToDateTimeOffset(),
            UpdatedAt = feature.UpdateTime?.ToDateTimeOffset(),
        };

    /// <exception cref="RouteServiceException">The change is none that this client knows.</exception>
    public static FeatureChange ToChange(Proto.WatchFeaturesResponse message) => message.Type switch
    {
        Kind.Created or Kind.Updated when message.Feature is { } feature => new FeatureChange.Written(
            ToFeature(feature, withProperties: true), message.Type == Kind.Created, message.Sequence),
        Kind.Deleted when message.Feature is { } feature => new FeatureChange.Deleted(ToCoordinate(feature), message.Sequence),
        Kind.Reset => new FeatureChange.Reset(message.Sequence),
        Kind.Heartbeat => new FeatureChange.Heartbeat(message.Sequence),
        _ => throw new RouteServiceException(
            FailureReason.Unexpected, $"The server has sent a change that this client does not understand: {message.Type}."),
    };

    /// <exception cref="ArgumentException">The contract cannot hold the name or the properties.</exception>
    public static Proto.Feature ToProto(CatalogFeature feature)
    {
        Arguments.CheckUnicode(feature.Name, nameof(feature));
        return new Proto.Feature
        {
            Location = ToPoint(feature.Location),
            DisplayName = feature.Name,
            Properties = feature.Properties is { } properties ? PropertyMapping.ToStruct(properties) : null,
        };
    }

    /// <summary>An update that creates a feature where there is none.</summary>
    /// <inheritdoc cref="ToProto(CatalogFeature)"/>
    public static Proto.UpdateFeatureRequest ToRequest(FeatureUpdate update)
    {
        Arguments.CheckPut(update.Name, update.Properties, update.Etag, mustNotExist: false);
        var feature = ToProto(new CatalogFeature(update.Location, update.Name ?? "", update.Properties));
        feature.Etag = update.Etag ?? "";
        var mask = new FieldMask();
        if (update.Name is not null)
        {
            mask.Paths.Add("display_name");
        }

        if (update.Properties is not null)
        {
            mask.Paths.Add("properties");
        }

        return new Proto.UpdateFeatureRequest { Feature = feature, UpdateMask = mask, AllowMissing = true };
    }

    public static Proto.FeatureView ToView(bool withProperties) => withProperties ? Proto.FeatureView.Full : Proto.FeatureView.Basic;

    /// <exception cref="ArgumentException">The contract cannot hold the text or the properties.</exception>
    public static Proto.FeatureFilter? ToProto(FeatureFilter? filter)
    {
        if (filter is null)
        {
            return null;
        }

        Arguments.CheckUnicode(filter.Text, nameof(filter));
        return new Proto.FeatureFilter
        {
            Area = filter.Area is { } area ? ToProto(area) : null,
            Text = filter.Text,
            Properties = filter.Properties is { } properties ? PropertyMapping.ToStruct(properties) : null,
        };
    }

    public static Proto.Area ToProto(Area area) => area switch
    {
        Area.Box box => new() { Box = new() { Low = ToPoint(box.SouthWest), High = ToPoint(box.NorthEast) } },
        Area.Circle circle => new() { Circle = new() { Center = ToPoint(circle.Center), RadiusMeters = circle.RadiusMeters } },
        Area.Polygon polygon => new() { Polygon = new() { Rings = { polygon.Rings.Select(ToRing) } } },
        _ => throw new ArgumentException($"{area.GetType()} is no area of the contract.", nameof(area)),
    };

    public static Proto.Point ToPoint(Coordinate location) =>
        new() { LatitudeE7 = location.LatitudeE7, LongitudeE7 = location.LongitudeE7 };

    private static Proto.Polygon.Types.Ring ToRing(IReadOnlyList<Coordinate> ring) => new() { Points = { ring.Select(ToPoint) } };

    private static Coordinate ToCoordinate(Proto.Feature feature) =>
        feature.Location is { } point && Coordinate.AreInRange(point.LatitudeE7, point.LongitudeE7)
            ? Coordinate.FromE7(point.LatitudeE7, point.LongitudeE7)
            : throw new RouteServiceException(
                FailureReason.Unexpected,
                $"The server has sent the feature '{feature.Name}', whose location is missing or out of range.");
}
