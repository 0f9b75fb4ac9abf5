using System.Runtime.CompilerServices;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Features;

internal static class FeaturePages
{
    /// <summary>The features of all pages, one after the other; fails on an empty page.</summary>
    public static async IAsyncEnumerable<Feature> InAreaAsync(
        this IFeatureStore store, BoundingBox area, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var page in store.PagesInAreaAsync(area, cancellationToken))
        {
            Assert.False(page.IsEmpty, "A page is empty.");
            for (var i = 0; i < page.Length; i++)
            {
                yield return page.Span[i];
            }
        }
    }

    /// <summary>Imports features without properties.</summary>
    public static ValueTask<ImportSummary> ImportAsync(
        this IFeatureStore store, IAsyncEnumerable<Feature> features, bool replace, CancellationToken cancellationToken) => store.ImportAsync(
            features.Select(static feature => new FeatureContent(feature.Location, feature.Name, Properties.Empty)), new FeatureImport(replace), cancellationToken);
}
