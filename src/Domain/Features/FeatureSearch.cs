using System.Runtime.CompilerServices;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Features;

/// <summary>
/// Searches, in the same way for all stores: a store reads candidates in the order of <see cref="ZOrder"/>, and the filter decides.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public sealed class FeatureSearch(IFeatureCatalog catalog)
{
    /// <summary>The most features of a page.</summary>
    public const int MaxPage = 1_000;

    /// <summary>Candidates after which a page ends: if few match, a page has few features or none.</summary>
    internal const int MaxCandidates = 20_000;

    // Sums of CatalogFeature.Length: of the features with which a page ends, and of the candidates after which it ends.
    private const int MaxLength = 2 * 1024 * 1024;
    private const int MaxCandidatesLength = 32 * 1024 * 1024;

    // Candidates of an index, from which every page is made: reading more would take longer than the scan that they save.
    private const int MaxFound = 10_000;

    // An index is asked once not more than one in so many candidates matches. More frequent matches are sooner found by going on.
    private const int RareShare = 100;

    // The circles of a search for the nearest grow by this, from this one on: the last one reads few needless candidates.
    private const double RadiusGrowth = 4;
    private const double MinRadiusMeters = 250;

    // Candidates of one read: few where a page is small and most match, many where few do. The last one tells whether a page is the last.
    private const int MinRead = 16;
    private const int MaxRead = MaxPage + 1;

    /// <summary>The next matches in the order of codes.</summary>
    /// <param name="filter">Which.</param>
    /// <param name="from">The code to begin with.</param>
    /// <param name="limit">The most features. Long properties end the page earlier.</param>
    /// <param name="withProperties">Whether features have their properties, as far as the filter does not ask for them.</param>
    /// <param name="cancellationToken">Ends the search.</param>
    public async Task<SearchPage> ReadPageAsync(
        FeatureFilter filter, long from, int limit, bool withProperties, CancellationToken cancellationToken)
    {
        var boxes = filter.Area?.Boxes ?? [BoundingBox.World];
        var reads = withProperties || filter.Properties.Members.Count > 0;
        var found = new List<CatalogFeature>();
        var next = from;
        var length = 0;
        var (candidates, candidatesLength) = (0, 0);
        var isAsked = !filter.AsksForContent;
        for (var size = Math.Clamp(limit + 1, MinRead, isAsked ? MaxRead : RareShare); ;)
        {
            var read = await catalog.ReadAsync(boxes, next, size, reads, cancellationToken);
            foreach (var feature in read.Features)
            {
                if (filter.Matches(feature.Location, feature.Name, feature.Properties))
                {
                    if (found.Count == limit || length >= MaxLength)
                    {
                        return new SearchPage(found, found[^1].Location);
                    }

                    found.Add(feature);
                    length += feature.Length;
                }
            }

            var readLength = read.Features.Sum(static feature => feature.Length);
            candidates += read.Features.Count;
            candidatesLength += readLength;
            if (read.GoesOnAfter is not { } last)
            {
                return new SearchPage(found, GoesOnAfter: null);
            }

            if (!isAsked && found.Count * RareShare <= candidates)
            {
                isAsked = true;
                if (await catalog.FindAsync(filter, MaxFound, reads, cancellationToken) is { } all)
                {
                    return PageOf(all, filter, from, limit);
                }
            }

            // A store that ends a read early, and not for its length, has done as much as a page may cost.
            if (candidates >= MaxCandidates || candidatesLength >= MaxCandidatesLength
                || (read.Features.Count < size && readLength < CatalogPage.MaxLength))
            {
                return new SearchPage(found, last);
            }

            next = ZOrder.Encode(last) + 1;

            // What a store has read beyond its length is thrown away.
            size = read.Features.Count < size ? Math.Max(read.Features.Count, MinRead) : MaxRead;
        }
    }

    /// <summary>The nearest matches, by distance and, where that is the same, by code.</summary>
    /// <param name="filter">Which.</param>
    /// <param name="near">Where.</param>
    /// <param name="limit">The most features. Long properties end the answer earlier.</param>
    /// <param name="withProperties">As for <see cref="ReadPageAsync"/>.</param>
    /// <param name="cancellationToken">Ends the search.</param>
    public async Task<IReadOnlyList<NearFeature>> FindNearestAsync(
        FeatureFilter filter, Coordinate near, int limit, bool withProperties, CancellationToken cancellationToken)
    {
        var reads = withProperties || filter.Properties.Members.Count > 0;
        var nearby = await catalog.ReadNearbyAsync(near, limit, reads, cancellationToken);
        var radius = nearby.Meters;
        var candidates = nearby.Features.ToAsyncEnumerable();
        var isAsked = !filter.AsksForContent;
        while (true)
        {
            var (seen, length) = (0, 0);

            // What is farther than a full answer is dropped from its head, the farthest match, so that memory does not exceed the answer.
            var nearest = new PriorityQueue<NearFeature, (double Meters, long Code)>(
                Comparer<(double, long)>.Create(static (a, b) => b.CompareTo(a)));
            var isWhole = radius >= Circle.MaxRadiusMeters;
            await foreach (var feature in candidates)
            {
                seen++;
                var meters = Haversine.Meters(near, feature.Location);
                if ((isWhole || meters <= radius) && filter.Matches(feature.Location, feature.Name, feature.Properties))
                {
                    nearest.Enqueue(new NearFeature(feature, meters), (meters, ZOrder.Encode(feature.Location)));
                    length += feature.Length;
                    while (nearest.Count > limit || length - nearest.Peek().Feature.Length >= MaxLength)
                    {
                        length -= nearest.Dequeue().Feature.Length;
                    }
                }
            }

            if (isWhole || nearest.Count == limit || length >= MaxLength)
            {
                var found = new NearFeature[nearest.Count];
                while (nearest.Count > 0)
                {
                    found[nearest.Count - 1] = nearest.Dequeue();
                }

                return found;
            }

            if (!isAsked && nearest.Count * RareShare <= seen)
            {
                isAsked = true;
                if (await catalog.FindAsync(filter, MaxFound, reads, cancellationToken) is { } all)
                {
                    (radius, candidates) = (Circle.MaxRadiusMeters, all.ToAsyncEnumerable());
                    continue;
                }
            }

            radius = Math.Clamp(radius * RadiusGrowth, MinRadiusMeters, Circle.MaxRadiusMeters);
            IReadOnlyList<BoundingBox> circle = radius >= Circle.MaxRadiusMeters ? [BoundingBox.World] : new Circle(near, radius).Boxes;
            candidates = ReadAllAsync(Common(circle, filter.Area?.Boxes ?? [BoundingBox.World]), reads, cancellationToken);
        }
    }

    private static SearchPage PageOf(IReadOnlyList<CatalogFeature> candidates, FeatureFilter filter, long from, int limit)
    {
        var found = candidates.Where(feature => filter.Matches(feature.Location, feature.Name, feature.Properties))
            .Select(static feature => (Feature: feature, Code: ZOrder.Encode(feature.Location)))
            .Where(match => match.Code >= from).OrderBy(static match => match.Code).Take(limit + 1)
            .Select(static match => match.Feature).ToList();
        var (count, length) = (0, 0);
        while (count < Math.Min(limit, found.Count) && length < MaxLength)
        {
            length += found[count++].Length;
        }

        return count < found.Count
            ? new SearchPage(found[..count], found[count - 1].Location)
            : new SearchPage(found, GoesOnAfter: null);
    }

    private async IAsyncEnumerable<CatalogFeature> ReadAllAsync(
        List<BoundingBox> boxes,
        bool withProperties,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (long? from = boxes.Count > 0 ? 0 : null; from is { } code;)
        {
            var read = await catalog.ReadAsync(boxes, code, MaxRead, withProperties, cancellationToken);
            foreach (var feature in read.Features)
            {
                yield return feature;
            }

            from = read.GoesOnAfter is { } last ? ZOrder.Encode(last) + 1 : null;
        }
    }

    /// <summary>What both lists of disjoint boxes have, as disjoint boxes.</summary>
    private static List<BoundingBox> Common(IReadOnlyList<BoundingBox> some, IReadOnlyList<BoundingBox> others)
    {
        var common = new List<BoundingBox>();
        foreach (var box in some)
        {
            foreach (var other in others)
            {
                if (box.Intersect(other) is { } both)
                {
                    common.Add(both);
                }
            }
        }

        return common;
    }
}

/// <summary>A page of a search.</summary>
/// <param name="Features">The matches, in the order of codes.</param>
/// <param name="GoesOnAfter">The place after which the next page begins; null where there is none.</param>
public sealed record SearchPage(IReadOnlyList<CatalogFeature> Features, Coordinate? GoesOnAfter);

/// <summary>A feature and its distance.</summary>
public readonly record struct NearFeature(CatalogFeature Feature, double Meters);
