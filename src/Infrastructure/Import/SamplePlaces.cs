using System.Runtime.CompilerServices;
using RouteService.Domain.Features;

namespace RouteService.Infrastructure.Import;

/// <summary>The places that a new embedded store starts with: data/places.json, which is inside the program.</summary>
public static class SamplePlaces
{
    public static async IAsyncEnumerable<Feature> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await using var json = typeof(SamplePlaces).Assembly.GetManifestResourceStream("places.json")!;
        await foreach (var feature in FeatureJson.ReadAsync(json, "places.json", cancellationToken))
        {
            yield return feature;
        }
    }
}
