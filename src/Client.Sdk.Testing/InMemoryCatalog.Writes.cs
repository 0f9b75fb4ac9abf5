using RouteService.Domain;
using RouteService.Domain.Features;
using Rules = RouteService.Domain.Features;
using Shapes = RouteService.Domain.Geography;
using static RouteService.Client.Testing.RuleMapping;

namespace RouteService.Client.Testing;

/// <content>Writes, and the log of changes.</content>
internal sealed partial class InMemoryCatalog
{
    private IReadOnlyList<Rules.CatalogFeature?> Write(IReadOnlyList<Rules.FeatureChange> changes, Guid? requestId)
    {
        var places = new HashSet<Shapes.Coordinate>();
        for (var i = 0; i < changes.Count; i++)
        {
            if (!places.Add(changes[i].Location))
            {
                throw new InvalidValueException(
                    $"requests[{i}]",
                    $"requests[{i}] is for {FeatureName.Format(changes[i].Location)}, as one before; expected at most one for a feature.");
            }
        }

        var write = new FeatureWrite(changes, requestId);
        lock (_lock)
        {
            var before = places.Where(_features.ContainsKey).ToDictionary(static place => place, place => _features[place]);
            if (requestId is { } id)
            {
                if (_writes.TryGetValue(id, out var fingerprint))
                {
                    var features = write.Repeat(fingerprint, before);
                    foreach (var (change, feature) in changes.Zip(features))
                    {
                        // Deleted since it was written.
                        if (feature is null && change is not Rules.FeatureChange.Delete)
                        {
                            throw new FeatureConflictException(FeatureConflict.Missing, change.Location, current: null);
                        }
                    }

                    return features;
                }

                CheckUnused(_imports, id);
            }

            var after = write.Apply(before, new Etag(++_revision), clock().GetUtcNow());
            for (var i = 0; i < changes.Count; i++)
            {
                var place = changes[i].Location;
                var was = before.ContainsKey(place);
                if (after[i] is { } feature)
                {
                    _features[place] = feature;
                    Log(new Change(place, feature, IsNew: !was));
                }
                else if (_features.Remove(place))
                {
                    Log(new Change(place, Feature: null, IsNew: false));
                }
            }

            if (requestId is { } made)
            {
                _writes.Add(made, write.Fingerprint);
            }

            return after;
        }
    }

    private ImportSummary Import(List<Rules.FeatureChange.Update> updates, bool replaceAll, Guid? requestId)
    {
        lock (_lock)
        {
            if (requestId is { } id)
            {
                if (_imports.TryGetValue(id, out var done))
                {
                    return done;
                }

                CheckUnused(_writes, id);
            }

            var (etag, now) = (new Etag(++_revision), clock().GetUtcNow());
            var last = updates.Select(static update => update.Location).ToHashSet();
            var overwritten = last.Count(_features.ContainsKey);
            var before = new Dictionary<Shapes.Coordinate, Rules.CatalogFeature>(_features);
            if (replaceAll)
            {
                _features.Clear();
            }

            foreach (var update in updates)
            {
                _features[update.Location] = update.Apply(before.GetValueOrDefault(update.Location), etag, now);
            }

            Log(new Change(Location: null, Feature: null, IsNew: false));
            var summary = new ImportSummary(updates.Count, updates.Count - last.Count, replaceAll ? 0 : overwritten, _features.Count);
            if (requestId is { } made)
            {
                _imports.Add(made, summary);
            }

            return summary;
        }
    }

    private static void CheckUnused<T>(Dictionary<Guid, T> others, Guid requestId)
    {
        if (others.ContainsKey(requestId))
        {
            throw new InvalidValueException(
                "request_id", $"request_id {requestId} is that of another request; expected a new UUID for each write.");
        }
    }

    private void Log(Change change)
    {
        _log.Add(change);
        var logged = _logged;
        _logged = new(TaskCreationOptions.RunContinuationsAsynchronously);
        logged.SetResult();
    }

    private static FeatureChange ToChange(Change change, long sequence) => change switch
    {
        { Location: null } => new FeatureChange.Reset(sequence),
        { Feature: null } => new FeatureChange.Deleted(ToCoordinate(change.Location.Value), sequence),
        _ => new FeatureChange.Written(ToFeature(change.Feature)!, change.IsNew, sequence),
    };

    /// <summary>An entry of the log.</summary>
    /// <param name="Location">Place of the feature; null where many have changed.</param>
    /// <param name="Feature">The feature afterwards; null where there is none.</param>
    /// <param name="IsNew">Whether it was created.</param>
    private sealed record Change(Shapes.Coordinate? Location, Rules.CatalogFeature? Feature, bool IsNew);
}
