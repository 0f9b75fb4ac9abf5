namespace RouteService.Client;

/// <summary>
/// The calls of RouteService. <see cref="RouteServiceClient"/> implements them over the network, and the package
/// RouteService.Client.Testing without a server.
/// </summary>
/// <remarks>
/// Every call throws <see cref="RouteServiceException"/> if the service or the connection to it fails,
/// <see cref="OperationCanceledException"/> if its token is cancelled, <see cref="ArgumentException"/> before anything is sent if an
/// argument is invalid, and <see cref="ObjectDisposedException"/> if the client is disposed before or during the call.
/// </remarks>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public interface IRouteServiceClient
{
    /// <summary>The features with their properties: written, searched and watched.</summary>
    /// <exception cref="NotSupportedException">The implementation is older than this member.</exception>
    IFeatureCatalog Features => throw new NotSupportedException($"{GetType()} has no features with properties.");

    /// <summary>
    /// The feature at exactly this place; null if there is none. A feature without a name is also returned as null: the service does not
    /// distinguish the two.
    /// </summary>
    /// <param name="location">Place of the feature, compared as E7 integers, about a centimetre.</param>
    /// <param name="timeout">
    /// Time limit for the call including all attempts, more than zero. Null for <see cref="RouteServiceClientOptions.Timeout"/>;
    /// <see cref="Timeout.InfiniteTimeSpan"/> for none.
    /// </param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is neither positive nor infinite.</exception>
    /// <exception cref="RouteServiceException">The call failed, retries included.</exception>
    Task<Feature?> GetFeatureAsync(Coordinate location, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>
    /// Every feature in the box, edges included, each once, in no guaranteed order. Each enumeration makes a new call. A stream that breaks
    /// is opened again, and continues with the features that were not delivered.
    /// </summary>
    /// <param name="area">Box to search.</param>
    /// <param name="timeout">
    /// Time limit for the whole enumeration. Null (default) for none; <see cref="RouteServiceClientOptions.StreamSilence"/> still detects a
    /// silent server.
    /// </param>
    /// <param name="cancellationToken">Ends the enumeration, as does the token of <c>WithCancellation</c>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is neither positive nor infinite.</exception>
    /// <exception cref="RouteServiceException">
    /// Thrown by the enumeration; <see cref="RouteServiceException.Delivered"/> is the number of features that were delivered.
    /// </exception>
    IAsyncEnumerable<Feature> ListFeaturesAsync(BoundingBox area, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>
    /// Streams the points, and returns the summary of their route. Retried from the start while at most 4 096 points have been sent; not
    /// retried after that. <see cref="RecordRouteAsync(IReadOnlyCollection{Coordinate}, TimeSpan?, CancellationToken)"/> has no such limit.
    /// </summary>
    /// <param name="points">
    /// Enumerated once. May be empty. An exception of the enumeration is thrown here as it is, and the call is cancelled.
    /// </param>
    /// <param name="timeout">Time limit for the whole route. Null (default) for none.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <exception cref="ArgumentNullException"><paramref name="points"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is neither positive nor infinite.</exception>
    /// <exception cref="RouteServiceException">
    /// The call failed; <see cref="RouteServiceException.Delivered"/> is the number of points that were sent.
    /// </exception>
    Task<RouteSummary> RecordRouteAsync(
        IAsyncEnumerable<Coordinate> points, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>
    /// Sends the points, and returns the summary of their route. A collection can be enumerated again, so the call is retried from the
    /// start, however many points were sent.
    /// </summary>
    /// <param name="points">Enumerated once for each attempt. May be empty. An exception of it is thrown here as it is.</param>
    /// <param name="timeout">Time limit for the call including all attempts. Null (default) for none.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <exception cref="ArgumentNullException"><paramref name="points"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is neither positive nor infinite.</exception>
    /// <exception cref="RouteServiceException">The call failed, retries included.</exception>
    Task<RouteSummary> RecordRouteAsync(
        IReadOnlyCollection<Coordinate> points, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>
    /// Joins the chat: the session posts notes and receives the notes of its places, also across connections that break. Completes when
    /// there is a connection.
    /// </summary>
    /// <param name="places">
    /// Places to listen at from the beginning, 10 000 at most. Null or empty for only the places that the session posts at.
    /// </param>
    /// <param name="after">
    /// Resumes after this <see cref="RouteNote.Sequence"/>, that of the last note that an earlier session at these places received. Null
    /// (default) starts with the newest notes there: about 1 000 in all at up to 2 000 places, and beyond that about 1 000 for each 2 000
    /// places.
    /// </param>
    /// <param name="cancellationToken">Cancels the joining, not a session that has been joined.</param>
    /// <exception cref="ArgumentException">More than 10 000 places, or <paramref name="after"/> without one.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="after"/> is negative.</exception>
    /// <exception cref="RouteServiceException">No connection within <see cref="RouteServiceClientOptions.Timeout"/>.</exception>
    Task<IRouteChat> JoinChatAsync(
        IEnumerable<Coordinate>? places = null, long? after = null, CancellationToken cancellationToken = default);

    /// <summary>The service's greeting: <c>Hello, NAME!</c>.</summary>
    /// <param name="name">Name to greet. May be empty.</param>
    /// <param name="timeout">As for <see cref="GetFeatureAsync"/>.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <exception cref="ArgumentNullException"><paramref name="name"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is neither positive nor infinite.</exception>
    /// <exception cref="RouteServiceException">The call failed, retries included.</exception>
    Task<string> SayHelloAsync(string name, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>The service's second greeting: <c>Hello again, NAME!</c>.</summary>
    /// <inheritdoc cref="SayHelloAsync"/>
    Task<string> SayHelloAgainAsync(string name, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>Health of the service, as the service reports it.</summary>
    /// <param name="service">
    /// Full name of a gRPC service, such as <c>routeguide.RouteGuide</c>; empty (default) for the server as a whole.
    /// </param>
    /// <param name="timeout">As for <see cref="GetFeatureAsync"/>.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <exception cref="ArgumentNullException"><paramref name="service"/> is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is neither positive nor infinite.</exception>
    /// <exception cref="RouteServiceException">The call failed, retries included.</exception>
    Task<ServiceHealth> CheckHealthAsync(string service = "", TimeSpan? timeout = null, CancellationToken cancellationToken = default);
}
