using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Import;

/// <summary>The places that a new embedded store starts with: data/places.json, which is inside the program.</summary>
public static class SamplePlaces
{
    public static IAsyncEnumerable<Feature> ReadAllAsync() => ReadAll().ToAsyncEnumerable();

    private static IEnumerable<Feature> ReadAll()
    {
        using var json = typeof(SamplePlaces).Assembly.GetManifestResourceStream("places.json")!;
        foreach (var record in FeatureJson.Read(json, hasSeparators: false, new FilePosition("places.json")))
        {
            yield return record.Feature is { } place
                ? new Feature(place.Location, place.Name)
                : throw new InvalidOperationException("places.json has an invalid record.", record.Fault);
        }
    }
}
