using System.Collections;
using System.Runtime.CompilerServices;

namespace RouteService.Client.Testing;

/// <summary>
/// An in-memory RouteService and its client in one. Follows the contract: coordinates exact in E7, areas with their edges, each feature
/// once, haversine on a sphere of 6 371 km, notes in one order, one note for each id. It passes the same contract tests as the real client.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public sealed class InMemoryRouteService : IRouteServiceClient, IEnumerable<Feature>
{
    private readonly InMemoryCatalog _catalog;
    private readonly InMemoryChatLog _log = new();

    /// <summary>Creates a service without features.</summary>
    public InMemoryRouteService() => _catalog = new InMemoryCatalog(() => Clock, ThrowFault);

    /// <summary>
    /// Injects failures: returns the exception that a call throws, or null. The argument is the call's name: <c>GetFeature</c>,
    /// <c>ListFeatures</c>, <c>RecordRoute</c>, <c>JoinChat</c>, <c>Post</c>, <c>SayHello</c>, <c>SayHelloAgain</c> or <c>CheckHealth</c>,
    /// and for those of <see cref="Features"/> <c>Features.GetFeature</c>, <c>Features.PutFeature</c> and so on, as the methods are called.
    /// Default null: no failures.
    /// </summary>
    public Func<string, Exception?>? Fault { get; set; }

    /// <summary>The answer of <see cref="CheckHealthAsync"/>; serving by default.</summary>
    public ServiceHealth Health { get; set; } = ServiceHealth.Serving;

    /// <summary>Clock of route recordings, of features' times and of a watch's heartbeats; the system's by default.</summary>
    public TimeProvider Clock { get; set; } = TimeProvider.System;

    /// <inheritdoc/>
    public IFeatureCatalog Features => _catalog;

    /// <summary>Adds a feature without properties; replaces one at the same location.</summary>
    public void Add(Feature feature)
    {
        ArgumentNullException.ThrowIfNull(feature);
        _catalog.Put(new CatalogFeature(feature.Location, feature.Name));
    }

    /// <summary>Adds a feature; replaces one at the same location. Its etag and times are not looked at.</summary>
    /// <exception cref="ArgumentException">As for <see cref="IFeatureCatalog.PutFeatureAsync"/>.</exception>
    /// <exception cref="RouteServiceException">The service would refuse the name or the properties.</exception>
    public void Add(CatalogFeature feature)
    {
        ArgumentNullException.ThrowIfNull(feature);
        _catalog.Put(feature);
    }

    /// <summary>A snapshot of the features.</summary>
    public IEnumerator<Feature> GetEnumerator() => _catalog.Features.GetEnumerator();

    /// <inheritdoc/>
    public Task<Feature?> GetFeatureAsync(Coordinate location, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
        Answer("GetFeature", timeout, () => _catalog.Find(location) is { Name.Length: > 0 } feature ? feature : null, cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<Feature> ListFeaturesAsync(
        BoundingBox area, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        Arguments.CheckTimeout(timeout);
        return List(area, cancellationToken);
    }

    /// <inheritdoc/>
    public Task<RouteSummary> RecordRouteAsync(
        IAsyncEnumerable<Coordinate> points, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(points);
        Arguments.CheckTimeout(timeout);
        return RecordAsync(points, cancellationToken);
    }

    /// <inheritdoc/>
    public Task<RouteSummary> RecordRouteAsync(
        IReadOnlyCollection<Coordinate> points, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(points);
        Arguments.CheckTimeout(timeout);
        return RecordAsync(points.ToAsyncEnumerable(), cancellationToken);
    }

    /// <inheritdoc/>
    public Task<IRouteChat> JoinChatAsync(
        IEnumerable<Coordinate>? places = null, long? after = null, CancellationToken cancellationToken = default)
    {
        var listen = Arguments.CheckJoin(places, after);
        return Answer<IRouteChat>("JoinChat", timeout: null, () => new InMemoryChat(_log, listen, after, ThrowFault), cancellationToken);
    }

    /// <inheritdoc/>
    public Task<string> SayHelloAsync(string name, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        return Answer("SayHello", timeout, () => $"Hello, {name}!", cancellationToken);
    }

    /// <inheritdoc/>
    public Task<string> SayHelloAgainAsync(string name, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        return Answer("SayHelloAgain", timeout, () => $"Hello again, {name}!", cancellationToken);
    }

    /// <inheritdoc/>
    public Task<ServiceHealth> CheckHealthAsync(
        string service = "", TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(service);
        var isKnown = service is "" or "routeguide.RouteGuide" or "helloworld.Greeter" or "HelloService" or "routeservice.v1.Features";
        return Answer("CheckHealth", timeout, () => isKnown ? Health : ServiceHealth.Unknown, cancellationToken);
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private Task<T> Answer<T>(string call, TimeSpan? timeout, Func<T> answer, CancellationToken cancellationToken)
    {
        Arguments.CheckTimeout(timeout);
        return AnswerAsync();

        async Task<T> AnswerAsync()
        {
            // Never synchronously: code that relies on that would fail with a real service.
            await Task.Yield();
            cancellationToken.ThrowIfCancellationRequested();
            ThrowFault(call);
            return answer();
        }
    }

    private void ThrowFault(string call)
    {
        if (Fault?.Invoke(call) is { } failure)
        {
            throw failure;
        }
    }

    private async IAsyncEnumerable<Feature> List(BoundingBox area, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.Yield();
        foreach (var feature in _catalog.Features.Where(feature => area.Contains(feature.Location)))
        {
            cancellationToken.ThrowIfCancellationRequested();
            ThrowFault("ListFeatures");
            yield return feature;
        }
    }

    private async Task<RouteSummary> RecordAsync(IAsyncEnumerable<Coordinate> points, CancellationToken cancellationToken)
    {
        var start = Clock.GetTimestamp();
        var (count, features, meters) = (0, 0, 0.0);
        Coordinate? last = null;
        await foreach (var point in points.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            cancellationToken.ThrowIfCancellationRequested();
            ThrowFault("RecordRoute");
            count++;
            features += _catalog.Find(point) is null ? 0 : 1;
            meters += last is { } from ? InMemoryCatalog.Meters(from, point) : 0;
            last = point;
        }

        return new RouteSummary(count, features, meters, TimeSpan.FromSeconds(Math.Floor(Clock.GetElapsedTime(start).TotalSeconds)));
    }
}
