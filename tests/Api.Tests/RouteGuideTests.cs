using System.Globalization;
using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using RouteService.Contracts.Routeguide;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;
using Feature = RouteService.Domain.Features.Feature;
using Proto = RouteService.Contracts.Routeguide;
using RouteNote = RouteService.Contracts.Routeguide.RouteNote;

namespace RouteService.Api.Tests;

public sealed class RouteGuideTests
{
    private static readonly Feature Berkshire = new(new Coordinate(409_146_138, -746_188_906), "Berkshire Valley");
    private static readonly Feature Unnamed = new(new Coordinate(410_000_000, -740_000_000), "");
    private static readonly Feature Pole = new(new Coordinate(900_000_000, 1_800_000_000), "Pole");

    [Fact]
    public async Task GetFeature_gives_the_feature_at_the_point_and_else_one_without_a_name_there()
    {
        await using var service = Start();
        var guide = Client(service);

        Assert.Equal(
            new Proto.Feature { Name = "Berkshire Valley", Location = Point(Berkshire.Location) }, await guide.GetFeatureAsync(Point(Berkshire.Location)));
        Assert.Equal(new Proto.Feature { Location = new Point { Latitude = 1, Longitude = 2 } }, await guide.GetFeatureAsync(new Point { Latitude = 1, Longitude = 2 }));
        Assert.Equal(new Proto.Feature { Location = new Point() }, await guide.GetFeatureAsync(new Point()));
    }

    [Fact]
    public async Task ListFeatures_gives_what_is_inside_edges_and_unnamed_ones_included_with_the_corners_in_any_order()
    {
        await using var service = Start();
        var (lo, hi) = (Point(Unnamed.Location), Point(Berkshire.Location));

        Assert.Equal(["", "Berkshire Valley"], await NamesAsync(lo, hi));
        Assert.Equal(["", "Berkshire Valley"], await NamesAsync(hi, lo));
        Assert.Equal(["Pole"], await NamesAsync(Point(Pole.Location), Point(Pole.Location)));
        Assert.Equal([], await NamesAsync(new Point(), new Point { Latitude = 1 }));

        async Task<IEnumerable<string>> NamesAsync(Point corner, Point opposite)
        {
            using var call = Client(service).ListFeatures(new Rectangle { Lo = corner, Hi = opposite });
            return (await call.ResponseStream.ReadAllAsync().ToListAsync()).Select(feature => feature.Name).Order(StringComparer.Ordinal);
        }
    }

    [Fact]
    public async Task ListFeatures_stops_at_the_store_when_the_client_cancels()
    {
        await using var service = Start();
        service.Store.StallAfter = 1;
        var call = Client(service).ListFeatures(World());
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));

        call.Dispose();

        await service.Store.Cancelled.Task.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task ListFeatures_stops_at_the_store_when_the_deadline_passes()
    {
        await using var service = Start();
        service.Store.StallAfter = 1;
        await Client(service).GetFeatureAsync(new Point());
        using var call = Client(service).ListFeatures(World(), deadline: DateTime.UtcNow.AddSeconds(3));
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));

        var end = await Assert.ThrowsAsync<RpcException>(async () => await call.ResponseStream.ReadAllAsync().ToListAsync());

        Assert.Equal(StatusCode.DeadlineExceeded, end.StatusCode);
        await service.Store.Cancelled.Task.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task RecordRoute_measures_and_counts()
    {
        await using var service = Start();
        Coordinate[] points = [Berkshire.Location, new(0, 0), Unnamed.Location, Berkshire.Location];

        var (summary, trailers) = await RecordAsync(service, points);

        var meters = points.Zip(points.Skip(1)).Sum(pair => Haversine.Meters(pair.First, pair.Second));
        Assert.Equal(new RouteSummary { PointCount = 4, FeatureCount = 3, Distance = (int)meters, ElapsedTime = summary.ElapsedTime }, summary);
        Assert.Equal(meters, double.Parse(trailers.GetValue("route-distance-meters")!, CultureInfo.InvariantCulture));
    }

    [Theory]
    [InlineData(0.999, 0)]
    [InlineData(1.999, 1)]
    [InlineData(3e9, int.MaxValue)]
    public void The_time_of_a_route_has_whole_seconds(double seconds, int told) =>
        Assert.Equal(
            told, Routes.RouteGuideMapping.ToProto(new Domain.Routes.RouteSummary(0, 0, 0, TimeSpan.FromSeconds(seconds))).ElapsedTime);

    [Fact]
    public async Task RecordRoute_without_points_is_all_zeros()
    {
        await using var service = Start();

        var (summary, trailers) = await RecordAsync(service, []);

        Assert.Equal(new RouteSummary(), summary);
        Assert.Equal("0", trailers.GetValue("route-distance-meters"));
    }

    [Fact]
    public async Task RecordRoute_caps_a_distance_over_int32_and_tells_the_exact_one_in_the_trailer()
    {
        await using var service = Start();

        // 120 times half around the earth, 20 015 km each: 2.4 million km.
        var (summary, trailers) = await RecordAsync(
            service, [.. Enumerable.Range(0, 121).Select(i => new Coordinate(i % 2 == 0 ? -900_000_000 : 900_000_000, 0))]);

        Assert.Equal(int.MaxValue, summary.Distance);
        Assert.Equal(120 * Math.PI * 6_371_000, double.Parse(trailers.GetValue("route-distance-meters")!, CultureInfo.InvariantCulture), 1e-3);
    }

    [Theory]
    [InlineData(-1_800_000_000, 1_800_000_000)]
    [InlineData(1_800_000_000, -1_800_000_000)]
    public async Task RecordRoute_does_not_overflow_between_the_longest_longitudes(int from, int to)
    {
        await using var service = Start();

        var (summary, _) = await RecordAsync(service, [new(0, from), new(0, to)]);

        Assert.Equal(0, summary.Distance);
    }

    [Fact]
    public async Task RouteChat_answers_live_and_ends_with_the_half_close()
    {
        await using var service = Start();
        using var listener = Client(service).RouteChat();
        await listener.RequestStream.WriteAsync(Note(1, "listening"));

        // When the answer to a second note is there, the first has been taken up.
        await listener.RequestStream.WriteAsync(Note(1, "still"));
        Assert.Equal("listening", await NextAsync(listener));

        Assert.Equal(["listening", "still", "listening", "still", "a"], await ChatAsync(service, Note(1, "a"), Note(1, "b"), Note(2, "elsewhere")));

        Assert.Equal("a", await NextAsync(listener));
        Assert.Equal("b", await NextAsync(listener));
        await listener.RequestStream.CompleteAsync();
        Assert.False(await listener.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(StatusCode.OK, listener.GetStatus().StatusCode);
    }

    [Fact]
    public async Task RouteChat_answers_500_notes_at_one_place_with_all_before_each()
    {
        await using var service = Start();

        var answers = await ChatAsync(service, [.. Enumerable.Range(0, 500).Select(i => Note(1, $"{i}"))]);

        Assert.Equal(Enumerable.Range(0, 500).SelectMany(post => Enumerable.Range(0, post).Select(i => $"{i}")), answers);
    }

    [Fact]
    public async Task A_note_that_is_wrong_ends_the_call_and_the_ones_before_it_are_kept()
    {
        await using var service = Start(new ChatOptions { MaxMessageBytes = 10 });

        await ExpectInvalidAsync("message", "message has 11 bytes", () => ChatAsync(service, Note(1, "kept"), Note(1, "12345678901"), Note(1, "never read")));

        Assert.Equal(["kept"], await ChatAsync(service, Note(1, "next")));
    }

    [Fact]
    public async Task Bad_input_is_told_by_field_and_value()
    {
        await using var service = Start();
        var guide = Client(service);

        await ExpectInvalidAsync("latitude", "latitude is 900000001", () => guide.GetFeatureAsync(new Point { Latitude = 900_000_001 }).ResponseAsync);
        await ExpectInvalidAsync("latitude", "latitude is -2147483648", () => guide.GetFeatureAsync(new Point { Latitude = int.MinValue }).ResponseAsync);
        await ExpectInvalidAsync("longitude", "longitude is -1800000001", () => guide.GetFeatureAsync(new Point { Longitude = -1_800_000_001 }).ResponseAsync);
        await ExpectInvalidAsync("lo", "lo is missing", () => ListAsync(new Rectangle { Hi = new Point() }));
        await ExpectInvalidAsync("hi", "hi is missing", () => ListAsync(new Rectangle { Lo = new Point() }));
        await ExpectInvalidAsync("hi.longitude", "hi.longitude is 1800000001", () => ListAsync(
            new Rectangle { Lo = new Point(), Hi = new Point { Longitude = 1_800_000_001 } }));
        await ExpectInvalidAsync("location", "location is missing", () => ChatAsync(service, new RouteNote { Message = "nowhere" }));
        await ExpectInvalidAsync("message", "message has the character U+0000 at index 3", () => ChatAsync(service, Note(1, "nul\0")));
        await ExpectInvalidAsync("note_id", "note_id has the character U+0000 at index 0", async () =>
        {
            using var call = guide.RouteChat(new Metadata { { "route-chat-mode", "sequenced" } });
            await call.RequestStream.WriteAsync(new RouteNote { Location = new Point(), Message = "text", NoteId = "\0" });
            await call.ResponseStream.MoveNext(CancellationToken.None);
        });
        await ExpectInvalidAsync("location.latitude", "location.latitude is 900000001", () => ChatAsync(
            service, new RouteNote { Location = new Point { Latitude = 900_000_001 } }));
        await ExpectInvalidAsync("longitude", "longitude is 2000000000", async () =>
        {
            using var call = guide.RecordRoute();
            await call.RequestStream.WriteAsync(new Point());
            await call.RequestStream.WriteAsync(new Point { Longitude = 2_000_000_000 });
            await call.ResponseAsync;
        });

        async Task<List<Proto.Feature>> ListAsync(Rectangle rectangle)
        {
            using var call = guide.ListFeatures(rectangle);
            return await call.ResponseStream.ReadAllAsync().ToListAsync();
        }
    }

    [Fact]
    public async Task Without_the_store_calls_are_UNAVAILABLE_with_the_reason_and_then_work_again()
    {
        await using var service = Start();
        var guide = Client(service);
        service.Store.Failure = new StoreUnavailableException("The database is restarting.");

        await ExpectAsync(StatusCode.Unavailable, "The database is restarting.", () => guide.GetFeatureAsync(new Point()).ResponseAsync);
        await ExpectAsync(StatusCode.Unavailable, "The database is restarting.", () => RecordAsync(service, [default]));
        await ExpectAsync(StatusCode.Unavailable, "The database is restarting.", async () =>
        {
            using var call = guide.ListFeatures(World());
            await call.ResponseStream.ReadAllAsync().ToListAsync();
        });

        service.Store.Failure = null;
        Assert.Equal("Berkshire Valley", (await guide.GetFeatureAsync(Point(Berkshire.Location))).Name);
    }

    [Theory]
    [InlineData(StoreFailure.Unreachable, StatusCode.Unavailable, 1)]
    [InlineData(StoreFailure.Overloaded, StatusCode.ResourceExhausted, null)]
    [InlineData(StoreFailure.TooSlow, StatusCode.DeadlineExceeded, null)]
    [InlineData(StoreFailure.Refused, StatusCode.InvalidArgument, null)]
    public async Task Each_failure_of_the_store_has_its_status_and_says_when_to_try_again(StoreFailure failure, StatusCode code, int? seconds)
    {
        await using var service = Start();
        service.Store.Failure = new StoreUnavailableException("why", failure);

        var end = await Assert.ThrowsAsync<RpcException>(() => Client(service).GetFeatureAsync(new Point()).ResponseAsync);

        Assert.Equal((code, "why"), (end.StatusCode, end.Status.Detail));
        Assert.Equal(seconds, end.GetRpcStatus()?.GetDetail<RetryInfo>()?.RetryDelay.Seconds);
    }

    [Fact]
    public async Task A_fault_of_ours_is_UNKNOWN_without_its_text()
    {
        await using var service = Start();
        service.Store.Failure = new InvalidOperationException("secret");

        await ExpectAsync(StatusCode.Unknown, "Exception was thrown by handler.", () => Client(service).GetFeatureAsync(new Point()).ResponseAsync);
    }

    [Fact]
    public async Task When_the_service_stops_open_streams_end_UNAVAILABLE()
    {
        await using var service = Start();
        using var chat = Client(service).RouteChat();
        await chat.RequestStream.WriteAsync(Note(1, "a"));
        await chat.RequestStream.WriteAsync(Note(1, "b"));
        Assert.Equal("a", await NextAsync(chat));
        using var route = Client(service).RecordRoute();
        await route.RequestStream.WriteAsync(new Point());

        var stopping = service.StopAsync();

        // .NET's HTTP client can lose the status to the end of the connection that follows it, which the stock client calls INTERNAL; that Python's
        // gets UNAVAILABLE with the reason is in EndToEnd.Tests.
        StatusCode[] ended = [StatusCode.Unavailable, StatusCode.Internal];
        var chatEnd = await Assert.ThrowsAsync<RpcException>(() => chat.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Contains(chatEnd.StatusCode, ended);
        Assert.Contains((await Assert.ThrowsAsync<RpcException>(() => route.ResponseAsync)).StatusCode, ended);
        await stopping.WaitAsync(TimeSpan.FromSeconds(30));
    }

    private static Service Start(ChatOptions? chat = null) => Service.Start(chat, features: [Berkshire, Unnamed, Pole]);

    private static RouteGuide.RouteGuideClient Client(Service service) => new(service.Channel);

    private static Point Point(Coordinate place) => new() { Latitude = place.LatitudeE7, Longitude = place.LongitudeE7 };

    private static Rectangle World() => new()
    {
        Lo = new Point { Latitude = -900_000_000, Longitude = -1_800_000_000 },
        Hi = new Point { Latitude = 900_000_000, Longitude = 1_800_000_000 },
    };

    private static RouteNote Note(int place, string message) => new() { Location = new Point { Latitude = place }, Message = message };

    private static async Task<string> NextAsync(AsyncDuplexStreamingCall<RouteNote, RouteNote> call)
    {
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        return call.ResponseStream.Current.Message;
    }

    private static async Task<List<string>> ChatAsync(Service service, params RouteNote[] notes)
    {
        using var call = Client(service).RouteChat();
        var reading = call.ResponseStream.ReadAllAsync().Select(note => note.Message).ToListAsync().AsTask();
        try
        {
            foreach (var note in notes)
            {
                await call.RequestStream.WriteAsync(note);
            }

            await call.RequestStream.CompleteAsync();
        }
        catch (RpcException)
        {
            // The call has ended in the middle of the writing; the reading tells how.
        }

        return await reading;
    }

    private static async Task<(RouteSummary Summary, Grpc.Core.Metadata Trailers)> RecordAsync(Service service, Coordinate[] points)
    {
        using var call = Client(service).RecordRoute();
        foreach (var point in points)
        {
            await call.RequestStream.WriteAsync(Point(point));
        }

        await call.RequestStream.CompleteAsync();
        return (await call.ResponseAsync, call.GetTrailers());
    }

    private static async Task<RpcException> ExpectAsync(StatusCode code, string detail, Func<Task> call)
    {
        var end = await Assert.ThrowsAsync<RpcException>(call);
        Assert.True(end.StatusCode == code && end.Status.Detail.Contains(detail), $"{code} with '{detail}' was expected: {end}");
        return end;
    }

    private static async Task ExpectInvalidAsync(string field, string detail, Func<Task> call)
    {
        var end = await ExpectAsync(StatusCode.InvalidArgument, detail, call);
        var details = Google.Rpc.Status.Parser.ParseFrom(end.Trailers.GetValueBytes("grpc-status-details-bin"));
        Assert.Equal((int)StatusCode.InvalidArgument, details.Code);
        Assert.Equal(end.Status.Detail, details.Message);
        var violation = Assert.Single(details.GetDetail<BadRequest>().FieldViolations);
        Assert.Equal(field, violation.Field);
        Assert.Contains(detail, violation.Description);
    }
}
