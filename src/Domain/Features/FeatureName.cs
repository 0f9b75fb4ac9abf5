using System.Globalization;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Features;

/// <summary>
/// Resource names of features: <c>features/LATITUDE,LONGITUDE</c> in E7, such as <c>features/407838351,-746143763</c>. A feature has one
/// name: no leading zeros, no plus, no -0.
/// </summary>
public static class FeatureName
{
    private const string Collection = "features/";

    public static string Format(Coordinate location) =>
        string.Create(CultureInfo.InvariantCulture, $"{Collection}{location.LatitudeE7},{location.LongitudeE7}");

    /// <exception cref="InvalidValueException">The text is not the name of a feature.</exception>
    public static Coordinate Parse(string name)
    {
        // The round trip refuses text that int.Parse accepts and no name has.
        var numbers = name.StartsWith(Collection, StringComparison.Ordinal) ? name[Collection.Length..].Split(',', 3) : [];
        if (numbers.Length == 2
            && int.TryParse(numbers[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var latitude)
            && int.TryParse(numbers[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var longitude)
            && Coordinate.IsLatitude(latitude)
            && Coordinate.IsLongitude(longitude)
            && new Coordinate(latitude, longitude) is var location && string.Equals(Format(location), name, StringComparison.Ordinal))
        {
            return location;
        }

        throw new InvalidValueException(
            "",
            "The name is not a feature's; expected features/LATITUDE,LONGITUDE with -900000000 to 900000000 and -1800000000 to 1800000000, "
            + "such as features/407838351,-746143763.");
    }
}
