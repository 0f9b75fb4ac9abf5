using RouteService.Domain.Geography;

namespace RouteService.Domain.Features;

/// <summary>What is to be done with the feature at a place. A store reads the feature, and this decides what becomes of it.</summary>
public abstract record FeatureChange
{
    private FeatureChange(Coordinate location) => Location = location;

    public Coordinate Location { get; }

    /// <summary>The feature after this change, or null where none is left.</summary>
    /// <param name="current">The feature before; null where it is missing.</param>
    /// <param name="etag">The version that the change makes.</param>
    /// <param name="now">The time of the change.</param>
    /// <exception cref="FeatureConflictException">The change does not fit what is there.</exception>
    public abstract CatalogFeature? Apply(CatalogFeature? current, Etag etag, DateTimeOffset now);

    /// <summary>The feature must be missing.</summary>
    public sealed record Create(Coordinate Location, string Name, Properties Properties) : FeatureChange(Location)
    {
        public override CatalogFeature Apply(CatalogFeature? current, Etag etag, DateTimeOffset now) => current is null
            ? new CatalogFeature(Location, Name, Properties, etag, now, now)
            : throw new FeatureConflictException(FeatureConflict.Exists, Location, current.Etag);
    }

    /// <summary>The feature gets this name and these properties, or one of them.</summary>
    public sealed record Update(Coordinate Location, string Name, Properties Properties) : FeatureChange(Location)
    {
        /// <summary>Whether a feature that exists gets the name. One that is created has it in any case.</summary>
        public bool SetsName { get; init; } = true;

        /// <summary>Whether a feature that exists gets the properties. One that is created has them in any case.</summary>
        public bool SetsProperties { get; init; } = true;

        /// <summary>Whether a missing feature is created.</summary>
        public bool AllowMissing { get; init; }

        /// <summary>The version that the feature must have; null for any.</summary>
        public Etag? Expected { get; init; }

        public override CatalogFeature Apply(CatalogFeature? current, Etag etag, DateTimeOffset now)
        {
            Check(Location, current, Expected, AllowMissing);
            return current is null
                ? new CatalogFeature(Location, Name, Properties, etag, now, now)
                : current with
                {
                    Name = SetsName ? Name : current.Name,
                    Properties = SetsProperties ? Properties : current.Properties,
                    Etag = etag,
                    UpdatedAt = now,
                };
        }
    }

    /// <summary>The feature goes.</summary>
    public sealed record Delete(Coordinate Location) : FeatureChange(Location)
    {
        /// <summary>Whether a missing feature is no error.</summary>
        public bool AllowMissing { get; init; }

        /// <summary>The version that the feature must have; null for any.</summary>
        public Etag? Expected { get; init; }

        public override CatalogFeature? Apply(CatalogFeature? current, Etag etag, DateTimeOffset now)
        {
            Check(Location, current, Expected, AllowMissing);
            return null;
        }
    }

    private static void Check(Coordinate location, CatalogFeature? current, Etag? expected, bool allowMissing)
    {
        if (current is null && !allowMissing)
        {
            throw new FeatureConflictException(FeatureConflict.Missing, location, current: null);
        }

        if (expected is not null && expected != current?.Etag)
        {
            throw new FeatureConflictException(FeatureConflict.Changed, location, current?.Etag);
        }
    }
}

/// <summary>How a change does not fit the feature that is there.</summary>
public enum FeatureConflict
{
    /// <summary>It is missing.</summary>
    Missing,

    /// <summary>It exists, and was to be created.</summary>
    Exists,

    /// <summary>It is not the version that was expected.</summary>
    Changed,
}

/// <summary>A change does not fit the feature that is there. None of the changes of its write is made.</summary>
public sealed class FeatureConflictException(FeatureConflict conflict, Coordinate location, Etag? current) : Exception(
    conflict switch
    {
        FeatureConflict.Missing => $"{FeatureName.Format(location)} does not exist.",
        FeatureConflict.Exists => $"{FeatureName.Format(location)} exists, with the etag {current}.",
        _ when current is null => $"{FeatureName.Format(location)} does not exist; expected the version of the etag.",
        _ => $"{FeatureName.Format(location)} has the etag {current}; expected the version of the request's etag.",
    })
{
    public FeatureConflict Conflict { get; } = conflict;

    public Coordinate Location { get; } = location;

    /// <summary>The version of the feature that is there; null where it is missing.</summary>
    public Etag? Current { get; } = current;
}
