namespace RouteService.Client;

/// <summary>What a watch tells: a <see cref="Reset"/>, <see cref="Written"/>, <see cref="Deleted"/> or <see cref="Heartbeat"/>.</summary>
public abstract record FeatureChange
{
    private FeatureChange(long sequence) => Sequence = sequence;

    /// <summary>Position in the service's log of changes: <c>after</c> of a watch that goes on after this.</summary>
    public long Sequence { get; }

    /// <summary>
    /// Whatever is known of the area may be wrong: list it, in place of what was known, and apply what follows to that. Comes first in a
    /// watch that does not go on after another one, then after a large import, and when the service no longer has what has changed since.
    /// </summary>
    public sealed record Reset(long Sequence) : FeatureChange(Sequence);

    /// <summary>A feature was created or changed.</summary>
    /// <param name="Feature">The feature as it was when this was sent. Several changes of it may come as one.</param>
    /// <param name="IsNew">Whether it was created. It may be known already, from a list that was made after the change.</param>
    /// <param name="Sequence">As <see cref="FeatureChange.Sequence"/>.</param>
    public sealed record Written(CatalogFeature Feature, bool IsNew, long Sequence) : FeatureChange(Sequence);

    /// <summary>A feature was deleted. It may be unknown, where a list was made after the change.</summary>
    /// <param name="Location">Place of the feature.</param>
    /// <param name="Sequence">As <see cref="FeatureChange.Sequence"/>.</param>
    public sealed record Deleted(Coordinate Location, long Sequence) : FeatureChange(Sequence);

    /// <summary>
    /// Nothing has changed. Comes after 20 s in which nothing else did, so that a caller which keeps <see cref="FeatureChange.Sequence"/>
    /// for a later watch has a recent one.
    /// </summary>
    public sealed record Heartbeat(long Sequence) : FeatureChange(Sequence);
}
