using RouteService.Domain.Geography;

namespace RouteService.Domain.Features;

/// <summary>Changes that are made together.</summary>
/// <param name="Changes">At most one for a place.</param>
/// <param name="RequestId">
/// The caller's name for this write: a store makes it once, and keeps the id for <see cref="RequestRetention"/>. Null for none.
/// </param>
public sealed record FeatureWrite(IReadOnlyList<FeatureChange> Changes, Guid? RequestId)
{
    /// <summary>
    /// Looks at the features afterwards before they are kept, and throws <see cref="InvalidValueException"/> to refuse the write; null
    /// where every outcome is right. A store may call it more than once; not for a repeat, which changes nothing.
    /// </summary>
    public Action<IReadOnlyList<CatalogFeature?>>? Check { get; init; }

    /// <summary>How long the id of a request is kept at least.</summary>
    public static readonly TimeSpan RequestRetention = TimeSpan.FromDays(1);

    /// <summary>
    /// A number that is the same for a repeat of this write, and almost surely another one for others: of the kinds of the changes and of
    /// their places. What is written does not count, as clients send the members of properties in any order.
    /// </summary>
    public uint Fingerprint
    {
        get
        {
            using var bytes = new MemoryStream();
            using var writer = new BinaryWriter(bytes);
            foreach (var change in Changes)
            {
                writer.Write((byte)(change switch { FeatureChange.Create => 1, FeatureChange.Update => 2, _ => 3 }));
                writer.Write(ZOrder.Encode(change.Location));
            }

            writer.Flush();
            return Checksum.Crc32C(bytes.GetBuffer().AsSpan(0, (int)bytes.Length));
        }
    }

    /// <param name="current">The features that are there, as far as they are at the places of the changes.</param>
    /// <param name="etag">The version that the write makes.</param>
    /// <param name="now">The time of the write.</param>
    /// <returns>The features afterwards, in the order of the changes; null where there is none.</returns>
    /// <exception cref="FeatureConflictException">The first change that does not fit what is there.</exception>
    /// <exception cref="InvalidValueException"><see cref="Check"/> refuses the features.</exception>
    public IReadOnlyList<CatalogFeature?> Apply(IReadOnlyDictionary<Coordinate, CatalogFeature> current, Etag etag, DateTimeOffset now)
    {
        CatalogFeature?[] features = [.. Changes.Select(change => change.Apply(current.GetValueOrDefault(change.Location), etag, now))];
        Check?.Invoke(features);
        return features;
    }

    /// <summary>The answer to a repeat of a write that was made before.</summary>
    /// <param name="fingerprint">That of the write with this id.</param>
    /// <param name="current">As for <see cref="Apply"/>.</param>
    /// <exception cref="InvalidValueException">The id is that of another write.</exception>
    public IReadOnlyList<CatalogFeature?> Repeat(uint fingerprint, IReadOnlyDictionary<Coordinate, CatalogFeature> current) =>
        fingerprint == Fingerprint
            ? [.. Changes.Select(change => current.GetValueOrDefault(change.Location))]
            : throw IdTaken(RequestId);

    internal static InvalidValueException IdTaken(Guid? requestId) => new(
        "request_id", $"request_id {requestId} is that of another request; expected a new UUID for each write.");
}
