using System.Text.Json.Nodes;

namespace RouteService.Client;

/// <summary>
/// The features with their properties: written, searched and watched. They are those of <see cref="IRouteServiceClient.GetFeatureAsync"/>
/// and <see cref="IRouteServiceClient.ListFeaturesAsync"/>, which see a write as soon as it is answered.
/// </summary>
/// <remarks>
/// <para>
/// Every call throws as those of <see cref="IRouteServiceClient"/> do. A write is sent with an id, so that it is done once however often it
/// is retried. A caller that gives its own id can repeat the write itself, within a day, after a
/// <see cref="FailureReason.DeadlineExceeded"/> for example; a repeat is answered with the features as they are by then.
/// </para>
/// <para>
/// Properties are an object of I-JSON (RFC 7493), at most 64 KiB and 32 objects and lists deep. Numbers are doubles: an integer that a
/// double does not hold, such as 9007199254740993, is an <see cref="ArgumentException"/>.
/// </para>
/// </remarks>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public interface IFeatureCatalog
{
    /// <summary>The feature at exactly this place, named or not; null if there is none.</summary>
    /// <param name="location">Place of the feature.</param>
    /// <param name="timeout">As for <see cref="IRouteServiceClient.GetFeatureAsync"/>.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is neither positive nor infinite.</exception>
    /// <exception cref="RouteServiceException">The call failed, retries included.</exception>
    Task<CatalogFeature?> GetFeatureAsync(Coordinate location, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>Creates or changes the feature at a place.</summary>
    /// <param name="location">Place of the feature.</param>
    /// <param name="name">
    /// Its name, at most 1 024 characters. Null leaves the name that it has; one that is created then has none.
    /// </param>
    /// <param name="properties">
    /// Its properties, all of them. Null (default) leaves those that it has; one that is created then has none.
    /// </param>
    /// <param name="etag">
    /// The <see cref="CatalogFeature.Etag"/> that it must have; null (default) for any, or no feature. With another one, or no feature, the
    /// call fails with <see cref="FailureReason.Conflict"/>, and <see cref="RouteServiceException.CurrentEtag"/> is the current one.
    /// </param>
    /// <param name="mustNotExist">
    /// Whether the call fails with <see cref="FailureReason.AlreadyExists"/> if there is a feature; default false.
    /// </param>
    /// <param name="requestId">Id of the write; null (default) for a new one.</param>
    /// <param name="timeout">As for <see cref="IRouteServiceClient.GetFeatureAsync"/>.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <returns>The feature afterwards.</returns>
    /// <exception cref="ArgumentException">
    /// Neither a name nor properties; an etag and <paramref name="mustNotExist"/>; text that is not Unicode, or properties that JSON does
    /// not have.
    /// </exception>
    /// <exception cref="RouteServiceException">The call failed, retries included.</exception>
    Task<CatalogFeature> PutFeatureAsync(
        Coordinate location, string? name, JsonObject? properties = null, string? etag = null, bool mustNotExist = false,
        Guid? requestId = null, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>Deletes the feature at a place.</summary>
    /// <param name="location">Place of the feature.</param>
    /// <param name="etag">As for <see cref="PutFeatureAsync"/>, where there is a feature.</param>
    /// <param name="requestId">Id of the write; null (default) for a new one.</param>
    /// <param name="timeout">As for <see cref="IRouteServiceClient.GetFeatureAsync"/>.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <returns>False if there was none.</returns>
    /// <exception cref="RouteServiceException">The call failed, retries included.</exception>
    Task<bool> DeleteFeatureAsync(
        Coordinate location, string? etag = null, Guid? requestId = null, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default);

    /// <summary>
    /// Creates or changes features, all or none. The failure is that of the first one that fails; its
    /// <see cref="RouteServiceException.Location"/> says which.
    /// </summary>
    /// <param name="features">1 to 1 000, no two at the same place. Together at most 4 MiB, unless the service has another limit.</param>
    /// <param name="requestId">Id of the write; null (default) for a new one.</param>
    /// <param name="timeout">As for <see cref="IRouteServiceClient.GetFeatureAsync"/>.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <returns>The features afterwards, in the order of <paramref name="features"/>.</returns>
    /// <exception cref="ArgumentException">Another number of features, or one as for <see cref="PutFeatureAsync"/>.</exception>
    /// <exception cref="RouteServiceException">The call failed, retries included.</exception>
    Task<IReadOnlyList<CatalogFeature>> BatchPutFeaturesAsync(
        IReadOnlyCollection<FeatureUpdate> features, Guid? requestId = null, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default);

    /// <summary>
    /// Deletes features, all or none. The failure is that of the first one that fails; its <see cref="RouteServiceException.Location"/>
    /// says which.
    /// </summary>
    /// <param name="features">1 to 1 000, no two at the same place.</param>
    /// <param name="allowMissing">
    /// Whether those that are missing are left out; otherwise (default) one fails the call with <see cref="FailureReason.NotFound"/>.
    /// </param>
    /// <param name="requestId">Id of the write; null (default) for a new one.</param>
    /// <param name="timeout">As for <see cref="IRouteServiceClient.GetFeatureAsync"/>.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <exception cref="ArgumentException">Another number of features.</exception>
    /// <exception cref="RouteServiceException">The call failed, retries included.</exception>
    Task BatchDeleteFeaturesAsync(
        IReadOnlyCollection<FeatureDeletion> features, bool allowMissing = false, Guid? requestId = null, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default);

    /// <summary>
    /// The features that a filter finds, page by page: the next page is requested when the last one has been enumerated. A feature that
    /// exists and matches during the whole of the enumeration comes exactly once. For the first features of many; for all of them
    /// <see cref="StreamFeaturesAsync"/> is faster.
    /// </summary>
    /// <param name="filter">Which features; null (default) for all.</param>
    /// <param name="withProperties">Whether they come with <see cref="CatalogFeature.Properties"/>; default true.</param>
    /// <param name="pageSize">Features of a page, 1 to 1 000; default 100. A page also ends at about 2 MiB.</param>
    /// <param name="timeout">Time limit of each page; null (default) for <see cref="RouteServiceClientOptions.Timeout"/>.</param>
    /// <param name="cancellationToken">Ends the enumeration, as does the token of <c>WithCancellation</c>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The page size or the timeout is out of range.</exception>
    /// <exception cref="RouteServiceException">Thrown by the enumeration: a page failed, retries included.</exception>
    IAsyncEnumerable<CatalogFeature> SearchFeaturesAsync(
        FeatureFilter? filter = null, bool withProperties = true, int pageSize = 100, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default);

    /// <summary>
    /// The features that are nearest to a place, the nearest first. For all features by distance stream a circle, and sort.
    /// </summary>
    /// <param name="near">The place.</param>
    /// <param name="count">The most features, 1 to 1 000; default 10. There are fewer if they exceed 2 MiB.</param>
    /// <param name="filter">Which features; null (default) for all.</param>
    /// <param name="withProperties">Whether they come with <see cref="CatalogFeature.Properties"/>; default true.</param>
    /// <param name="timeout">As for <see cref="IRouteServiceClient.GetFeatureAsync"/>.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <exception cref="ArgumentOutOfRangeException">The count or the timeout is out of range.</exception>
    /// <exception cref="RouteServiceException">The call failed, retries included.</exception>
    Task<IReadOnlyList<NearFeature>> FindNearestFeaturesAsync(
        Coordinate near, int count = 10, FeatureFilter? filter = null, bool withProperties = true, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default);

    /// <summary>
    /// All features that a filter finds, in one stream, each as for <see cref="SearchFeaturesAsync"/> exactly once. A stream that breaks is
    /// opened again and goes on where it was, however many features have come.
    /// </summary>
    /// <param name="filter">Which features; null (default) for all.</param>
    /// <param name="withProperties">Whether they come with <see cref="CatalogFeature.Properties"/>; default true.</param>
    /// <param name="timeout">As for <see cref="IRouteServiceClient.ListFeaturesAsync"/>.</param>
    /// <param name="cancellationToken">Ends the enumeration, as does the token of <c>WithCancellation</c>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is neither positive nor infinite.</exception>
    /// <exception cref="RouteServiceException">
    /// Thrown by the enumeration; <see cref="RouteServiceException.Delivered"/> is the number of features that were received.
    /// </exception>
    IAsyncEnumerable<CatalogFeature> StreamFeaturesAsync(
        FeatureFilter? filter = null, bool withProperties = true, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>
    /// The changes of features by any client, in the order in which they were committed, until the enumeration is ended. No change is
    /// missed. The first is a <see cref="FeatureChange.Reset"/>, unless the watch goes on after another one: who lists the area at each
    /// reset, and applies what follows, always has its current state.
    /// </summary>
    /// <param name="area">Whose changes; null (default) for everywhere.</param>
    /// <param name="after">
    /// Goes on after this <see cref="FeatureChange.Sequence"/>, that of the last change of another watch of the area that was applied. Null
    /// (default) for a watch that begins now.
    /// </param>
    /// <param name="timeout">Time limit for the whole enumeration; null (default) for none.</param>
    /// <param name="cancellationToken">Ends the enumeration, as does the token of <c>WithCancellation</c>.</param>
    /// <remarks>
    /// A watch that breaks goes on after the last change that was received; the enumeration fails if it cannot within
    /// <see cref="RouteServiceClientOptions.ResumeWithin"/>. The service sends something every 20 s, so the longest silence is
    /// <see cref="RouteServiceClientOptions.StreamSilence"/>, but at least 30 s. A slow reader delays its own changes only.
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="after"/> is negative, or the timeout is neither positive nor infinite.
    /// </exception>
    /// <exception cref="RouteServiceException">
    /// Thrown by the enumeration. <see cref="FailureReason.InvalidRequest"/> for an <paramref name="after"/> that the service does not have
    /// yet, as after it has been restored from a backup: watch without one.
    /// </exception>
    IAsyncEnumerable<FeatureChange> WatchFeaturesAsync(
        Area? area = null, long? after = null, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>
    /// Writes all features of a stream or none: each has the name and the properties that it comes with, and none other. Of two at one
    /// place the later is kept. Etags and times are not looked at. Retried from the start while at most about 4 MiB have been sent; not
    /// retried after that.
    /// <see cref="ImportFeaturesAsync(IReadOnlyCollection{CatalogFeature}, bool, Guid?, TimeSpan?, CancellationToken)"/> has no such limit.
    /// </summary>
    /// <param name="features">
    /// Enumerated once. An exception of the enumeration is thrown here as it is, and nothing is written.
    /// </param>
    /// <param name="replaceAll">Whether all other features are removed; default false.</param>
    /// <param name="requestId">Id of the write; null (default) for a new one. A repeat is answered with the summary of the import.</param>
    /// <param name="timeout">Time limit for the call including all attempts; null (default) for none.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <remarks>
    /// The service may let an import wait before it reads, and take minutes to write what was sent; only <paramref name="timeout"/> limits
    /// that. A connection that is dead is found by its pings (<see cref="RouteServiceClientOptions.KeepAlive"/>), which a channel of the
    /// application has to be given. A client sends two imports at once, as many as the service runs; further ones wait, and are not
    /// enumerated before their turn.
    /// </remarks>
    /// <exception cref="ArgumentException">A feature as for <see cref="PutFeatureAsync"/>; nothing is written.</exception>
    /// <exception cref="RouteServiceException">
    /// The call failed; <see cref="RouteServiceException.Delivered"/> is the number of features that were sent.
    /// </exception>
    Task<ImportSummary> ImportFeaturesAsync(
        IAsyncEnumerable<CatalogFeature> features, bool replaceAll = false, Guid? requestId = null, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default);

    /// <summary>
    /// Writes all features of a collection or none. A collection can be enumerated again, so the call is retried from the start, however
    /// many features were sent. It waits for the service as the import of a stream does.
    /// </summary>
    /// <param name="features">Enumerated once for each attempt. An exception of the enumeration is thrown here as it is.</param>
    /// <param name="replaceAll">Whether all other features are removed; default false.</param>
    /// <param name="requestId">Id of the write; null (default) for a new one. A repeat is answered with the summary of the import.</param>
    /// <param name="timeout">Time limit for the call including all attempts; null (default) for none.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <exception cref="ArgumentException">A feature as for <see cref="PutFeatureAsync"/>; nothing is written.</exception>
    /// <exception cref="RouteServiceException">The call failed, retries included.</exception>
    Task<ImportSummary> ImportFeaturesAsync(
        IReadOnlyCollection<CatalogFeature> features, bool replaceAll = false, Guid? requestId = null, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default);
}
