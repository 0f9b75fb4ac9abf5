using System.Text;
using System.Text.Json.Nodes;
using Grpc.Core;
using RouteService.Domain;
using RouteService.Domain.Features;
using Rules = RouteService.Domain.Features;
using Shapes = RouteService.Domain.Geography;

namespace RouteService.Client.Testing;

/// <summary>The client's types as those of the rules, and back.</summary>
internal static class RuleMapping
{
    /// <summary>The rules' failures as the client throws those of the service.</summary>
    public static T Told<T>(Func<T> answer)
    {
        try
        {
            return answer();
        }
        catch (InvalidValueException e)
        {
            throw new RouteServiceException(FailureReason.InvalidRequest, e.Message, e)
            {
                StatusCode = StatusCode.InvalidArgument,
                Detail = e.Message,
                FieldViolations = [new FieldViolation(e.Place, e.Message)],
                Attempts = 1,
            };
        }
        catch (FeatureConflictException e)
        {
            var (reason, status) = e.Conflict switch
            {
                FeatureConflict.Missing => (FailureReason.NotFound, StatusCode.NotFound),
                FeatureConflict.Exists => (FailureReason.AlreadyExists, StatusCode.AlreadyExists),
                _ => (FailureReason.Conflict, StatusCode.Aborted),
            };
            throw new RouteServiceException(reason, e.Message, e)
            {
                StatusCode = status,
                Detail = e.Message,
                Location = ToCoordinate(e.Location),
                CurrentEtag = e.Current?.ToString(),
                Attempts = 1,
            };
        }
    }

    public static T At<T>(string field, Func<T> make)
    {
        try
        {
            return make();
        }
        catch (InvalidValueException e)
        {
            throw new InvalidValueException(e.Place.Length == 0 || e.Place[0] == '[' ? field + e.Place : $"{field}.{e.Place}", e.Message);
        }
    }

    public static Rules.FeatureChange.Create ToCreate(FeatureUpdate update)
    {
        var (name, properties) = Checked(update.Name, update.Properties, "feature");
        return new(ToPlace(update.Location), name, properties);
    }

    public static Rules.FeatureChange.Update ToUpdate(FeatureUpdate update, string prefix)
    {
        var (name, properties) = Checked(update.Name, update.Properties, $"{prefix}feature");
        return new(ToPlace(update.Location), name, properties)
        {
            SetsName = update.Name is not null,
            SetsProperties = update.Properties is not null,
            AllowMissing = true,
            Expected = ToEtag(update.Etag),
        };
    }

    public static Rules.FeatureChange.Update ToUpdate(CatalogFeature feature, string field)
    {
        ArgumentNullException.ThrowIfNull(feature);
        Arguments.CheckUnicode(feature.Name, nameof(feature));
        var (name, properties) = Checked(feature.Name, Sent(feature.Properties), field);
        return new(ToPlace(feature.Location), name, properties) { AllowMissing = true };
    }

    public static (string Name, Properties Properties) Checked(string? name, JsonObject? properties, string field)
    {
        At($"{field}.display_name", () =>
        {
            DisplayName.Check(name ?? "");
            return true;
        });
        return (name ?? "", At($"{field}.properties", () => ToProperties(properties)));
    }

    public static Properties ToProperties(JsonObject? properties) =>
        properties is null ? Properties.Empty : Properties.Parse(Encoding.UTF8.GetBytes(properties.ToJsonString()));

    /// <summary>What the service receives, which a later change of the argument does not change.</summary>
    /// <exception cref="ArgumentException">The contract cannot hold the properties.</exception>
    public static JsonObject? Sent(JsonObject? properties) =>
        properties is null ? null : PropertyMapping.ToJson(PropertyMapping.ToStruct(properties));

    /// <inheritdoc cref="Sent(JsonObject?)"/>
    public static FeatureFilter? Sent(FeatureFilter? filter)
    {
        Arguments.CheckUnicode(filter?.Text ?? "", nameof(filter));
        return filter is null ? null : filter with { Properties = Sent(filter.Properties) };
    }

    /// <summary>An etag that no feature has is another one, and not none.</summary>
    public static Etag? ToEtag(string? etag) =>
        string.IsNullOrEmpty(etag) ? null : Etag.TryParse(etag, out var version) ? version : new Etag(-1);

    public static Shapes.Area ToArea(Area area, string field) => area switch
    {
        Area.Box box => At($"{field}.box", () => new Shapes.Box(ToPlace(box.SouthWest), ToPlace(box.NorthEast))),
        Area.Circle circle => At($"{field}.circle", () => new Shapes.Circle(ToPlace(circle.Center), circle.RadiusMeters)),
        Area.Polygon polygon => At(
            $"{field}.polygon",
            () => new Shapes.Polygon([.. polygon.Rings.Select(static ring => ring.Select(ToPlace).ToList())])),
        _ => throw new ArgumentException($"{area.GetType()} is no area of the contract.", nameof(area)),
    };

    public static CatalogFeature? ToFeature(Rules.CatalogFeature? feature, bool withProperties = true) => feature is null
        ? null
        : new(
            ToCoordinate(feature.Location),
            feature.Name,
            withProperties ? (JsonObject)JsonNode.Parse(feature.Properties.Json)! : null)
        {
            Etag = feature.Etag.ToString(),
            CreatedAt = feature.CreatedAt,
            UpdatedAt = feature.UpdatedAt,
        };

    public static Shapes.Coordinate ToPlace(Coordinate location) => new(location.LatitudeE7, location.LongitudeE7);

    public static Coordinate ToCoordinate(Shapes.Coordinate place) => Coordinate.FromE7(place.LatitudeE7, place.LongitudeE7);
}
