using RouteService.Domain;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Infrastructure.Postgis;

/// <summary>
/// Writes of one transaction. Each is applied to the features that those before it leave, and has its own outcome: one that is refused
/// changes nothing.
/// </summary>
/// <param name="before">The features that are there, as far as they are at the places of the writes.</param>
/// <param name="requests">The fingerprints of the writes' requests that were made before.</param>
/// <param name="etags">A version for each write.</param>
/// <param name="now">The time of the writes.</param>
internal sealed class WriteGroup(
    Dictionary<Coordinate, CatalogFeature> before, Dictionary<Guid, uint> requests, IReadOnlyList<Etag> etags, DateTimeOffset now)
{
    private readonly Dictionary<Coordinate, CatalogFeature> _after = new(before);
    private readonly List<(Guid Id, uint Fingerprint)> _made = [];

    /// <summary>The features that were missing, in the order of their keys: two groups that create the same ones do not deadlock.</summary>
    public List<CatalogFeature> Created => [.. _after.Values.Where(feature => !before.ContainsKey(feature.Location)).OrderBy(KeyOf)];

    public List<CatalogFeature> Updated =>
        [.. _after.Values.Where(feature => before.TryGetValue(feature.Location, out var old) && old.Etag != feature.Etag)];

    public List<Coordinate> Deleted => [.. before.Keys.Where(place => !_after.ContainsKey(place))];

    /// <summary>The features whose properties differ from those that are there.</summary>
    public List<CatalogFeature> WithOtherProperties => [.. _after.Values.Where(feature =>
        !feature.Properties.Equals(before.GetValueOrDefault(feature.Location)?.Properties ?? Properties.Empty))];

    /// <summary>The requests that were made now, in the order of their ids.</summary>
    public List<(Guid Id, uint Fingerprint)> Made => [.. _made.OrderBy(static request => request.Id)];

    public DateTimeOffset Now => now;

    /// <summary>The order in which all transactions lock features.</summary>
    public static (int, int) KeyOf(CatalogFeature feature) => KeyOf(feature.Location);

    /// <inheritdoc cref="KeyOf(CatalogFeature)"/>
    public static (int, int) KeyOf(Coordinate place) => (place.LatitudeE7, place.LongitudeE7);

    public List<WriteOutcome> Apply(IReadOnlyList<FeatureWrite> writes) =>
        [.. writes.Zip(etags, (write, etag) => Apply(write, etag))];

    private WriteOutcome Apply(FeatureWrite write, Etag etag)
    {
        try
        {
            if (write.RequestId is { } id && requests.TryGetValue(id, out var fingerprint))
            {
                return new WriteOutcome(write.Repeat(fingerprint, _after), Refusal: null);
            }

            var features = write.Apply(_after, etag, now);
            for (var i = 0; i < features.Count; i++)
            {
                if (features[i] is { } feature)
                {
                    _after[feature.Location] = feature;
                }
                else
                {
                    _after.Remove(write.Changes[i].Location);
                }
            }

            if (write.RequestId is { } made)
            {
                requests.Add(made, write.Fingerprint);
                _made.Add((made, write.Fingerprint));
            }

            return new WriteOutcome(features, Refusal: null);
        }
        catch (Exception e) when (e is FeatureConflictException or InvalidValueException)
        {
            return new WriteOutcome([], e);
        }
    }
}

/// <summary>What has become of a write.</summary>
/// <param name="Features">The features afterwards, in the order of its changes; null where there is none.</param>
/// <param name="Refusal">Why it was not made; null if it was, or had been before.</param>
internal readonly record struct WriteOutcome(IReadOnlyList<CatalogFeature?> Features, Exception? Refusal);
