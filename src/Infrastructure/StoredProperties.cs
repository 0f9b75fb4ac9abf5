using RouteService.Domain;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure;

/// <summary>Properties as a store has them.</summary>
internal static class StoredProperties
{
    /// <param name="json">An object of JSON in UTF-8; empty for no properties.</param>
    /// <param name="place">The feature's.</param>
    /// <exception cref="StoreUnavailableException">Another program has written what this one does not keep; names the feature.</exception>
    public static Properties Read(ReadOnlySpan<byte> json, Coordinate place)
    {
        if (json.IsEmpty)
        {
            return Properties.Empty;
        }

        try
        {
            return Properties.FromStore(json);
        }
        catch (InvalidValueException e)
        {
            throw new StoreUnavailableException(
                $"The store has properties of {FeatureName.Format(place)} that this service does not keep: {e.Message}", e);
        }
    }
}
