namespace RouteService.Client;

/// <summary>
/// The calls of RouteService. <see cref="RouteServiceClient"/> makes them; the package RouteService.Client.Testing has one that needs no server.
/// </summary>
/// <remarks>
/// Every call throws <see cref="RouteServiceException"/> where the service or the way to it fails, <see cref="OperationCanceledException"/> where its
/// token fires, <see cref="ArgumentException"/> before anything is sent where an argument is wrong, and <see cref="ObjectDisposedException"/> where the
/// client is disposed of, before the call or while it runs.
/// </remarks>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public interface IRouteServiceClient
{
    /// <summary>The feature at exactly this place, or null where there is none. A feature without a name comes as null too: the service does not tell them apart.</summary>
    /// <param name="location">Compared as E7 integers, so to a centimetre.</param>
    /// <param name="timeout">For the call with all its attempts, more than zero; null for <see cref="RouteServiceClientOptions.Timeout"/>, <see cref="Timeout.InfiniteTimeSpan"/> for none.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is not more than zero.</exception>
    /// <exception cref="RouteServiceException">The call has failed, retries included.</exception>
    Task<Feature?> GetFeatureAsync(Coordinate location, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>
    /// Every feature in the box, edges included, each once, in no promised order. It is asked for when it is enumerated, each time anew. A stream that breaks is
    /// opened again and goes on with what has not been delivered.
    /// </summary>
    /// <param name="area">Where.</param>
    /// <param name="timeout">For the whole enumeration; null, the default, for none: a silent server is found by <see cref="RouteServiceClientOptions.StreamSilence"/>.</param>
    /// <param name="cancellationToken">Ends the enumeration, as the one given to <c>WithCancellation</c> does.</param>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is not more than zero.</exception>
    /// <exception cref="RouteServiceException">While it is enumerated; <see cref="RouteServiceException.Delivered"/> says how many features had come.</exception>
    IAsyncEnumerable<Feature> ListFeaturesAsync(BoundingBox area, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>
    /// Measures the route through points that come as they come. On a failure it is begun anew while the points sent are no more than 4 096, which are kept for that;
    /// after that it is not, as they are gone. <see cref="RecordRouteAsync(IReadOnlyCollection{Coordinate}, TimeSpan?, CancellationToken)"/> has no such bound.
    /// </summary>
    /// <param name="points">Enumerated once. May be empty. What it throws is thrown here, and the call is cancelled.</param>
    /// <param name="timeout">For the whole route; null, the default, for none.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <exception cref="ArgumentNullException">There are no points to enumerate.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is not more than zero.</exception>
    /// <exception cref="RouteServiceException">The call has failed; <see cref="RouteServiceException.Delivered"/> says how many points had been sent.</exception>
    Task<RouteSummary> RecordRouteAsync(IAsyncEnumerable<Coordinate> points, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>Measures the route through points that are all there, and so can be sent again where the call fails on the way.</summary>
    /// <param name="points">Enumerated once an attempt. May be empty.</param>
    /// <param name="timeout">For the call with all its attempts; null, the default, for none.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <exception cref="ArgumentNullException">There is no collection.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is not more than zero.</exception>
    /// <exception cref="RouteServiceException">The call has failed, retries included.</exception>
    Task<RouteSummary> RecordRouteAsync(IReadOnlyCollection<Coordinate> points, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>Joins the chat: a session that posts notes and is the notes of its places, also over connections that break. Completes when there is a connection.</summary>
    /// <param name="places">Where to listen from the beginning; null or none for only the places that are posted at.</param>
    /// <param name="after">
    /// The <see cref="RouteNote.Sequence"/> of the last note that an earlier session at these places has seen, to go on behind it; null, the default, for the
    /// newest notes there, some 1 000 in all, and what follows.
    /// </param>
    /// <param name="cancellationToken">Cancels the joining; the session has its own end.</param>
    /// <exception cref="ArgumentException">More than 10 000 places, or <paramref name="after"/> without one.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="after"/> is negative.</exception>
    /// <exception cref="RouteServiceException">There is no connection within <see cref="RouteServiceClientOptions.Timeout"/>.</exception>
    Task<IRouteChat> JoinChatAsync(IEnumerable<Coordinate>? places = null, long? after = null, CancellationToken cancellationToken = default);

    /// <summary>The service's greeting: <c>Hello, NAME!</c>.</summary>
    /// <param name="name">Whom to greet; may be empty.</param>
    /// <param name="timeout">As of <see cref="GetFeatureAsync"/>.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <exception cref="ArgumentNullException">There is no name.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is not more than zero.</exception>
    /// <exception cref="RouteServiceException">The call has failed, retries included.</exception>
    Task<string> SayHelloAsync(string name, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>The service's second greeting: <c>Hello again, NAME!</c>.</summary>
    /// <inheritdoc cref="SayHelloAsync"/>
    Task<string> SayHelloAgainAsync(string name, TimeSpan? timeout = null, CancellationToken cancellationToken = default);

    /// <summary>Whether the service can answer calls, in its own words.</summary>
    /// <param name="service">The full name of a gRPC service, such as <c>routeguide.RouteGuide</c>; empty, the default, for the server as a whole.</param>
    /// <param name="timeout">As of <see cref="GetFeatureAsync"/>.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <exception cref="ArgumentNullException">There is no name.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The timeout is not more than zero.</exception>
    /// <exception cref="RouteServiceException">It cannot be reached, retries included.</exception>
    Task<ServiceHealth> CheckHealthAsync(string service = "", TimeSpan? timeout = null, CancellationToken cancellationToken = default);
}
