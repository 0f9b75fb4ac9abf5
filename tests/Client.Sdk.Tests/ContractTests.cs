using RouteService.Client.Testing;
using static RouteService.Client.Tests.Places;

namespace RouteService.Client.Tests;

/// <summary>What the contract says of each call, of the real client with the built service and of the one in memory alike.</summary>
public abstract partial class ContractTests
{
    private static readonly Coordinate Named = Coordinate.FromDegrees(10.5, 20.5);
    private static readonly Coordinate Unnamed = Coordinate.FromDegrees(10.6, 20.6);

    /// <summary>The places that the service has.</summary>
    protected static IReadOnlyList<Feature> Features { get; } = [new(Named, "named"), new(Unnamed, ""), new(Coordinate.FromDegrees(-33, 151), "far")];

    protected abstract IRouteServiceClient Client { get; }

    [Fact]
    public async Task GetFeature_finds_exactly()
    {
        Assert.Equal(new Feature(Named, "named"), await Client.GetFeatureAsync(Named));
        Assert.Null(await Client.GetFeatureAsync(Unnamed));
        Assert.Null(await Client.GetFeatureAsync(Coordinate.FromE7(Named.LatitudeE7 + 1, Named.LongitudeE7)));
    }

    [Fact]
    public async Task ListFeatures_includes_the_edges_and_the_unnamed()
    {
        var area = new BoundingBox(Unnamed, Named);
        Assert.Equal(Features.Take(2), (await ToListAsync(Client.ListFeaturesAsync(area))).OrderBy(static feature => feature.Location.LatitudeE7));
        Assert.Equal(3, (await ToListAsync(Client.ListFeaturesAsync(BoundingBox.World))).Count);
        Assert.Empty(await ToListAsync(Client.ListFeaturesAsync(BoundingBox.FromDegrees(10.51, 20.51, 10.59, 20.59))));
    }

    [Fact]
    public async Task RecordRoute_counts_and_measures()
    {
        var summary = await Client.RecordRouteAsync([Coordinate.FromDegrees(0, 0), Coordinate.FromDegrees(0, 1), Named, Unnamed, Unnamed]);

        Assert.Equal((5, 3), (summary.Points, summary.Features));

        // A degree on the equator is 2πR / 360; the rest was calculated apart, by the angle between the places' vectors.
        Assert.Equal(2_578_631.354_215, summary.DistanceMeters, 0.001);
        Assert.Equal(Math.PI * 6_371_000 / 180, (await Client.RecordRouteAsync([Coordinate.FromDegrees(0, 0), Coordinate.FromDegrees(0, 1)])).DistanceMeters, 0.001);
        Assert.Equal(new RouteSummary(0, 0, 0, TimeSpan.Zero), await Client.RecordRouteAsync([]));
    }

    [Fact]
    public async Task Greetings_and_health()
    {
        Assert.Equal("Hello, you!", await Client.SayHelloAsync("you"));
        Assert.Equal("Hello again, you!", Client.SayHelloAgain("you"));
        Assert.Equal(ServiceHealth.Serving, await Client.CheckHealthAsync());
        Assert.Equal(ServiceHealth.Serving, await Client.CheckHealthAsync("routeguide.RouteGuide"));
        Assert.Equal(ServiceHealth.Unknown, await Client.CheckHealthAsync("no.such.Service"));
    }

    [Fact]
    public async Task Chat_sessions_see_each_other_and_what_was_there()
    {
        var place = Coordinate.FromDegrees(1, Random.Shared.NextDouble());
        await using var ann = await Client.JoinChatAsync([place]);
        var first = await ann.PostAsync(place, "one");
        await using var bob = await Client.JoinChatAsync();
        var second = await bob.PostAsync(place, "two", Guid.NewGuid().ToString());
        Assert.Equal(second, await bob.PostAsync(place, "two", second.Id).WaitAsync(TimeSpan.FromSeconds(15)));
        await Assert.ThrowsAsync<ArgumentException>("noteId", () => bob.PostAsync(place, "three", second.Id));

        await ann.CompleteAsync();
        await bob.CompleteAsync();

        // One who has not received it, at another place or with another text.
        await using var eve = await Client.JoinChatAsync();
        foreach (var (other, message) in (List<(Coordinate, string)>)[(Coordinate.FromDegrees(3, place.Longitude), "two"), (place, "three")])
        {
            var error = await Assert.ThrowsAsync<ArgumentException>("noteId", () => eve.PostAsync(other, message, second.Id));
            Assert.StartsWith($"The id '{second.Id}' is that of another note, {second.Sequence}.", error.Message, StringComparison.Ordinal);
        }

        Assert.True((await eve.PostAsync(Coordinate.FromDegrees(3, place.Longitude), "hers")).Sequence > second.Sequence);

        Assert.Equal([first, second with { IsOwn = false }], await ToListAsync(ann));
        Assert.Equal([first with { IsOwn = false }, second], await ToListAsync(bob));
        await using var later = await Client.JoinChatAsync([place], after: first.Sequence);
        await later.CompleteAsync();
        Assert.Equal(["two"], (await ToListAsync(later)).Select(static note => note.Message));
    }

    [Fact]
    public async Task A_chat_session_refuses_and_ends_alike()
    {
        var place = Coordinate.FromDegrees(2, Random.Shared.NextDouble());
        var session = await Client.JoinChatAsync([place]);
        Assert.Throws<ArgumentException>("message", () => { _ = session.PostAsync(place, new string('é', 2049)); });
        Assert.Throws<ArgumentException>("noteId", () => { _ = session.PostAsync(place, "x", new string('x', 129)); });
        Assert.Throws<ArgumentException>("noteId", () => { _ = session.PostAsync(place, "x", ""); });
        foreach (var text in (string[])["a\0b", "\uD800", "\uDC00\uD800"])
        {
            Assert.Throws<ArgumentException>("message", () => { _ = session.PostAsync(place, text); });
            Assert.Throws<ArgumentException>("noteId", () => { _ = session.PostAsync(place, "x", text); });
        }

        Assert.Equal("\U0001F600", (await session.PostAsync(place, "\U0001F600")).Message);
        Assert.Throws<ArgumentException>("places", () => { _ = Client.JoinChatAsync(Enumerable.Range(0, 10_001).Select(At)); });

        var reading = ToListAsync(session);
        await Assert.ThrowsAsync<InvalidOperationException>(() => ToListAsync(session));
        await session.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => reading);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => session.PostAsync(place, "late"));
    }

    [Fact]
    public async Task Wrong_arguments_and_cancellation_are_told_alike()
    {
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();

        Assert.Throws<ArgumentOutOfRangeException>("timeout", () => { _ = Client.GetFeatureAsync(Named, TimeSpan.Zero); });
        Assert.Throws<ArgumentNullException>("name", () => { _ = Client.SayHelloAsync(null!); });
        Assert.Throws<ArgumentException>("places", () => { _ = Client.JoinChatAsync(after: 1); });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Client.GetFeatureAsync(Named, cancellationToken: cancelled.Token));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ToListAsync(Client.ListFeaturesAsync(BoundingBox.World, cancellationToken: cancelled.Token)));
    }

    public sealed class OfTheRealClient : ContractTests, IAsyncLifetime
    {
        private readonly RunningService _service = new();
        private RouteServiceClient _client = null!;

        protected override IRouteServiceClient Client => _client;

        public async ValueTask InitializeAsync()
        {
            var file = Path.Combine(_service.Folder, "places.csv");
            await File.WriteAllLinesAsync(
                file, Features.Select(static feature => FormattableString.Invariant($"{feature.Name},{feature.Location.Latitude},{feature.Location.Longitude}")).Prepend("name,latitude,longitude"));
            (await Command.RunServiceAsync(["import", file, "--replace"], _service.Settings, _service.Folder)).AssertSuccess();
            await _service.InitializeAsync();
            _client = Connect($"http://{_service.Address}");
        }

        public async ValueTask DisposeAsync()
        {
            await _client.DisposeAsync();
            await _service.DisposeAsync();
        }
    }

    public sealed class OfTheOneInMemory : ContractTests
    {
        private readonly InMemoryRouteService _service = [.. Features];

        protected override IRouteServiceClient Client => _service;

        [Fact]
        public async Task A_fault_fails_the_call_that_it_is_for()
        {
            _service.Fault = static call => call is "GetFeature" or "Post" ? new RouteServiceException(FailureReason.Unavailable, "out") : null;

            Assert.True((await Assert.ThrowsAsync<RouteServiceException>(() => _service.GetFeatureAsync(Named))).IsTransient);
            Assert.Equal("Hello, you!", await _service.SayHelloAsync("you"));
            await using var session = await _service.JoinChatAsync();
            await Assert.ThrowsAsync<RouteServiceException>(() => session.PostAsync(Named, "x"));
        }
    }
}
