using System.Collections.Concurrent;
using System.IO.Compression;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;
using RouteService.Contracts.Routeguide;

namespace RouteService.Operations.Tests;

/// <summary>
/// One client sends everything that is wrong, call after call on one connection that has another's stream too, and on connections that it
/// breaks. Twenty streams beside it, of all four calls, lose nothing and end OK. And what it does is told in few lines of the log.
/// </summary>
public sealed class InnocentTests : ServiceTest
{
    private const string SayHello = "/helloworld.Greeter/SayHello";
    private const string GetFeature = "/routeguide.RouteGuide/GetFeature";
    private const string ListFeatures = "/routeguide.RouteGuide/ListFeatures";
    private const string RecordRoute = "/routeguide.RouteGuide/RecordRoute";
    private const string Chat = "/routeguide.RouteGuide/RouteChat";
    private const int Rounds = 10;
    private const int MaxLocations = 100;

    private static readonly Rectangle World = new()
    {
        Lo = new Point { Latitude = -900_000_000, Longitude = -1_800_000_000 },
        Hi = new Point { Latitude = 900_000_000, Longitude = 1_800_000_000 },
    };

    private static readonly (string, string?) Sequenced = ("route-chat-mode", "sequenced");

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Twenty_streams_lose_nothing_beside_a_client_that_sends_what_is_wrong(bool onPostgres)
    {
        Service.Settings["RouteService__Chat__MaxLocationsPerStream"] = $"{MaxLocations}";
        await using var database = onPostgres ? await OnPostgresAsync() : null;
        if (database is not null)
        {
            (await Command.RunServiceAsync(["migrate"], Service.Settings)).AssertSuccess();
            (await Command.RunServiceAsync(["import", "data/places.json"], Service.Settings)).AssertSuccess();
        }

        await StartAsync();
        using var channel = Connect();
        var features = await new RouteGuide.RouteGuideClient(channel).ListFeatures(World, deadline: Soon)
            .ResponseStream.ReadAllAsync().ToListAsync();
        Assert.Equal(3_966, features.Count);

        var innocents = new Innocents(Connect, features);
        var running = innocents.RunAsync();
        for (var round = 0; round < Rounds || !innocents.AllHaveDoneSome; round++)
        {
            await SendAllThatIsWrongAsync();
        }

        innocents.End();
        await running;

        // A few for each kind of fault, whatever the number of times.
        Assert.InRange(Service.Output.Count(static character => character == '\n'), 1, 60);
    }

    private async Task SendAllThatIsWrongAsync()
    {
        await using var connection = await RawConnection.OpenAsync(Service.GrpcPort);
        const int Neighbour = 1;
        await connection.CallAsync(Neighbour, "/HelloService/BidiHello");
        var stream = Neighbour;
        foreach (var (name, call, status) in Wrong())
        {
            stream += 2;
            await connection.SendAsync(call(stream));

            var answer = await connection.AnswerAsync(stream);

            Assert.True(answer is { IsClosed: false } && answer.Status == status, $"{name}: {answer}; expected {status}");
        }

        // Two that need no answer: a call that is reset in the middle of a message, and one that is left open.
        stream += 2;
        await connection.SendAsync(
        [
            .. RawConnection.HeadersFrame(stream, Chat), .. RawConnection.Frame(RawConnection.Data, 0, stream, 0, 0, 0, 0, 9, 1),
            .. RawConnection.Frame(RawConnection.Reset, 0, stream, 0, 0, 0, 8),
        ]);
        await connection.CallAsync(stream + 2, Chat);
        await connection.MessageAsync(Neighbour, RawConnection.Message("neighbour"), isLast: true);
        Assert.Equal(RawConnection.Message("Hello, neighbour!"), (await connection.AnswerAsync(Neighbour)).Body);

        foreach (var bytes in Breaking())
        {
            await using var broken = await RawConnection.OpenAsync(Service.GrpcPort);
            try
            {
                await broken.SendAsync(bytes);
                await broken.ReadToEndAsync();
            }
            catch (IOException)
            {
                // It has been closed while it was still sending.
            }
        }
    }

    /// <summary>Calls that are wrong, each by itself, with the status it deserves.</summary>
    private static IEnumerable<(string Name, Func<int, byte[]> Call, StatusCode Status)> Wrong()
    {
        yield return ("U+0000 in a note", Of(Chat, Note("a\0b")), StatusCode.InvalidArgument);
        yield return ("U+0000 in an id", Of(Chat, Note("a", id: "a\0"), Sequenced), StatusCode.InvalidArgument);
        yield return ("a long note", Of(Chat, Note(new string('x', 5_000))), StatusCode.InvalidArgument);
        yield return ("a long id", Of(Chat, Note("a", id: new string('x', 5_000)), Sequenced), StatusCode.InvalidArgument);
        yield return ("a note at no place", Of(Chat, RawConnection.Message(new RouteNote { Message = "x" })), StatusCode.InvalidArgument);
        yield return ("a note beyond the pole", Of(Chat, Note("a", latitude: 900_000_001)), StatusCode.InvalidArgument);
        yield return ("notes at too many places", Of(Chat, [.. Enumerable.Range(0, MaxLocations + 1).SelectMany(static i => Note("x", latitude: i))]),
            StatusCode.ResourceExhausted);
        yield return ("a mode that is none", Of(Chat, [], ("route-chat-mode", new string('z', 3_000))), StatusCode.InvalidArgument);
        yield return ("a sequence that is none", Of(Chat, [], Sequenced, ("route-chat-after", new string('z', 30_000))), StatusCode.InvalidArgument);
        yield return ("locations that are none", Of(Chat, [], Sequenced, ("route-chat-listen", new string('z', 9_000))), StatusCode.InvalidArgument);
        yield return ("too many locations", Of(Chat, [], Sequenced, ("route-chat-listen", string.Join(',', Enumerable.Range(0, 2 * (MaxLocations + 1))))),
            StatusCode.ResourceExhausted);
        yield return ("a Latin-1 byte in a header", Of(SayHello, RawConnection.Message("you"), ("x-user-name", "José")), StatusCode.OK);
        yield return ("too many headers", Of(SayHello, RawConnection.Message("you"), [.. Enumerable.Range(0, 2_500).Select(static i => ($"x{i}", (string?)""))]),
            StatusCode.Unknown);
        yield return ("an escaped path", Of("/helloworld.Greeter/Say%48ello", RawConnection.Message("you")), StatusCode.Unimplemented);
        yield return ("a long path", Of($"/{new string('x', 4_000)}/Y", []), StatusCode.Unimplemented);
        yield return ("the health of a long name", Of("/grpc.health.v1.Health/Check", RawConnection.Message(new HealthCheckRequest { Service = new string('é', 100_000) })),
            StatusCode.NotFound);
        yield return ("bytes that are no message", Of(GetFeature, RawConnection.Message([0xff, 0xff, 0xff])), StatusCode.Unknown);
        yield return ("bytes that are no note", Of(Chat, RawConnection.Message([0xff, 0xff, 0xff])), StatusCode.Unknown);
        yield return ("text that is no UTF-8", Of(Chat, RawConnection.Message([0x0a, 0x00, 0x12, 0x02, 0xc3, 0x28])), StatusCode.Unknown);
        yield return ("a message that is announced too long", Of(Chat, [0, 0x7f, 0, 0, 0]), StatusCode.ResourceExhausted);
        yield return ("a message that ends early", Of(Chat, [0, 0, 0, 0, 9, 1]), StatusCode.Internal);
        yield return ("a compressed message without an encoding", Of(GetFeature, [1, 0, 0, 0, 0]), StatusCode.Internal);
        yield return ("a compressed message that is not", Of(Chat, [1, 0, 0, 0, 3, 1, 2, 3], ("grpc-encoding", "gzip")), StatusCode.Unknown);
        yield return ("an encoding that is none", Of(GetFeature, [1, 0, 0, 0, 0], ("grpc-encoding", "lzma")), StatusCode.Unimplemented);
        yield return ("a bomb", Of(Chat, Bomb, ("grpc-encoding", "gzip")), StatusCode.ResourceExhausted);
        yield return ("no message", Of(GetFeature, []), StatusCode.Internal);
        yield return ("two messages", Of(GetFeature, [.. RawConnection.Message(new Point()), .. RawConnection.Message(new Point())]), StatusCode.Internal);
        yield return ("a point beyond the pole", Of(GetFeature, RawConnection.Message(new Point { Latitude = int.MinValue })), StatusCode.InvalidArgument);
        yield return ("a rectangle without corners", Of(ListFeatures, RawConnection.Message([])), StatusCode.InvalidArgument);
        yield return ("a route beyond the pole", Of(RecordRoute,
            [.. RawConnection.Message(new Point()), .. RawConnection.Message(new Point { Longitude = int.MaxValue })]), StatusCode.InvalidArgument);
        yield return ("a content type that is none", Of(SayHello, RawConnection.Message("you"), ("content-type", "text/plain")), StatusCode.Internal);
    }

    /// <summary>What no HTTP/2 client may send: it ends its own connection.</summary>
    private static IEnumerable<byte[]> Breaking()
    {
        // More than twice the limit of headers; a block that HPACK cannot read; data of a stream that is not open; a frame that is too long;
        // a window over its limit; a method without its frame; noise.
        yield return RawConnection.HeadersFrame(1, SayHello, ("x", new string('x', 200_000)));
        yield return RawConnection.Frame(RawConnection.Headers, RawConnection.EndHeaders, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
        yield return RawConnection.Frame(RawConnection.Data, 0, 99, 1, 2, 3);
        yield return [0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1];
        yield return RawConnection.Frame(8, 0, 0, 0x7f, 0xff, 0xff, 0xff);
        yield return RawConnection.Frame(RawConnection.Continuation, RawConnection.EndHeaders, 1, 0x82);
        yield return RawConnection.HeadersFrame(1, SayHello, ("X-Upper", "x"));
        yield return RawConnection.HeadersFrame(1, SayHello, ("x", "a\0b"));
    }

    private static byte[] Bomb { get; } = MakeBomb();

    private static byte[] MakeBomb()
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.SmallestSize))
        {
            gzip.Write(new byte[8 << 20]);
        }

        return [1, .. RawConnection.Message(packed.ToArray())[1..]];
    }

    /// <summary>A call with this body, in frames of the size that every server takes.</summary>
    private static Func<int, byte[]> Of(string path, byte[] body, params (string Name, string? Value)[] metadata) => stream =>
    [
        .. RawConnection.HeadersFrame(stream, path, metadata),
        .. body.Chunk(16_384).SelectMany(part => RawConnection.Frame(RawConnection.Data, 0, stream, part)),
        .. RawConnection.Frame(RawConnection.Data, RawConnection.EndStream, stream),
    ];

    private static byte[] Note(string message, string id = "", int latitude = 1) =>
        RawConnection.Message(new RouteNote { Location = new Point { Latitude = latitude }, Message = message, NoteId = id });

    /// <summary>The twenty: each checks all that it is answered.</summary>
    private sealed class Innocents(Func<HttpMessageHandler?, GrpcChannel> connect, IReadOnlyList<Feature> features)
    {
        private const int Each = 5;

        // Of a place of their own, which all their chats share.
        private static readonly Point Place = new() { Latitude = 777_777_777, Longitude = 7 };

        private readonly ConcurrentDictionary<string, int> _done = new();
        private int _posted;
        private int _posting = Each;
        private volatile bool _hasEnded;
        private volatile bool _hasFailed;

        /// <summary>Whether each has done what it does several times, or has failed.</summary>
        public bool AllHaveDoneSome => _hasEnded || (_done.Count == 4 * Each && _done.Values.All(static count => count >= 3));

        public Task RunAsync() => Task.WhenAll(Enumerable.Range(0, Each).SelectMany(i => (Task[])
        [
            EndAllUnlessAsync(RepeatAsync($"get {i}", routes => GetAsync(routes, i))),
            EndAllUnlessAsync(RepeatAsync($"list {i}", ListAsync)),
            EndAllUnlessAsync(RepeatAsync($"record {i}", RecordAsync)),
            EndAllUnlessAsync(ChatAsync($"chat {i}")),
        ]));

        public void End() => _hasEnded = true;

        private async Task EndAllUnlessAsync(Task innocent)
        {
            try
            {
                await innocent;
            }
            catch
            {
                _hasFailed = true;
                End();
                throw;
            }
        }

        private async Task RepeatAsync(string name, Func<RouteGuide.RouteGuideClient, Task> call)
        {
            using var channel = connect(null);
            var routes = new RouteGuide.RouteGuideClient(channel);
            while (!_hasEnded)
            {
                await call(routes);
                _done.AddOrUpdate(name, 1, static (_, count) => count + 1);
            }
        }

        private async Task GetAsync(RouteGuide.RouteGuideClient routes, int i)
        {
            var expected = features[i * 700];
            Assert.Equal(expected, await routes.GetFeatureAsync(expected.Location, deadline: Soon));
        }

        private async Task ListAsync(RouteGuide.RouteGuideClient routes)
        {
            using var list = routes.ListFeatures(World, deadline: Soon);
            Assert.Equal(features.Count, (await list.ResponseStream.ReadAllAsync().Select(static feature => feature.Location).ToHashSetAsync()).Count);
        }

        private async Task RecordAsync(RouteGuide.RouteGuideClient routes)
        {
            const int Points = 200;
            using var route = routes.RecordRoute(deadline: Soon);
            foreach (var feature in features.Take(Points))
            {
                await route.RequestStream.WriteAsync(feature.Location);
            }

            await route.RequestStream.CompleteAsync();
            var summary = await route;
            Assert.Equal((Points, Points), (summary.PointCount, summary.FeatureCount));
        }

        /// <summary>Posts until the end; is sent every note of all five, its own too, once and in order, and then ends OK.</summary>
        private async Task ChatAsync(string name)
        {
            using var channel = connect(null);
            using var chat = new RouteGuide.RouteGuideClient(channel).RouteChat(
                new Metadata { { "route-chat-mode", "sequenced" }, { "route-chat-after", "0" }, { "route-chat-listen", $"{Place.Latitude},{Place.Longitude}" } },
                deadline: Soon);
            var heard = 0;
            var last = 0L;
            var acknowledged = 0;
            for (var i = 0; !_hasEnded; i++)
            {
                var note = new RouteNote { Location = Place, Message = $"{name}: {i}", NoteId = $"{name}: {i}" };
                Interlocked.Increment(ref _posted);
                await chat.RequestStream.WriteAsync(note);
                while (acknowledged <= i)
                {
                    await HearAsync();
                }

                _done.AddOrUpdate(name, 1, static (_, count) => count + 1);
            }

            // All have posted their last before anybody counts.
            Interlocked.Decrement(ref _posting);
            while (Volatile.Read(ref _posting) > 0 && !_hasFailed)
            {
                await Task.Delay(10);
            }

            while (heard < _posted)
            {
                await HearAsync();
            }

            await chat.RequestStream.CompleteAsync();
            Assert.False(await chat.ResponseStream.MoveNext(CancellationToken.None));
            Assert.Equal(_posted, heard);
            Assert.Equal(StatusCode.OK, chat.GetStatus().StatusCode);

            async Task HearAsync()
            {
                Assert.True(await chat.ResponseStream.MoveNext(CancellationToken.None));
                var note = chat.ResponseStream.Current;
                Assert.True(note.Sequence > last, $"{note.Sequence} came after {last}.");
                last = note.Sequence;
                heard++;
                if (note.NoteId.StartsWith($"{name}: ", StringComparison.Ordinal))
                {
                    Assert.Equal($"{name}: {acknowledged++}", note.Message);
                }
            }
        }
    }
}
