using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Reflection.V1;
using RouteService.Contracts.V1;

namespace RouteService.Operations.Tests;

/// <summary>
/// Whatever comes over the wire, each call ends with a status and the service goes on. Every run has a seed of its own and prints it;
/// ROUTESERVICE_TEST_FUZZ_SEED brings a run back, ROUTESERVICE_TEST_FUZZ multiplies the number of inputs.
/// </summary>
public sealed class FuzzTests(RunningService service, ITestOutputHelper log) : IClassFixture<RunningService>
{
    private const string Watch = "/routeservice.v1.Features/WatchFeatures";
    private const string Id = "7f6f2b7e-3c7c-4a52-9d2f-0d3a4c1b5e6f";

    private static readonly int Factor = Read("ROUTESERVICE_TEST_FUZZ") ?? 1;
    private static readonly int Seed = Read("ROUTESERVICE_TEST_FUZZ_SEED") ?? RandomNumberGenerator.GetInt32(int.MaxValue);

    // Requests that are right, to be changed.
    private static readonly Dictionary<string, IMessage> Requests = new()
    {
        ["/helloworld.Greeter/SayHello"] = new Contracts.Helloworld.HelloRequest { Name = "you" },
        ["/HelloService/LotsOfReplies"] = new Contracts.Hello.HelloRequest { Greeting = "you" },
        ["/HelloService/LotsOfGreetings"] = new Contracts.Hello.HelloRequest { Greeting = "you" },
        ["/HelloService/BidiHello"] = new Contracts.Hello.HelloRequest { Greeting = "you" },
        ["/routeguide.RouteGuide/GetFeature"] = new Contracts.Routeguide.Point { Latitude = 407_838_351, Longitude = -746_143_763 },
        ["/routeguide.RouteGuide/ListFeatures"] = new Contracts.Routeguide.Rectangle { Lo = new() { Latitude = 1 }, Hi = new() { Latitude = 9 } },
        ["/routeguide.RouteGuide/RecordRoute"] = new Contracts.Routeguide.Point { Latitude = 407_838_351, Longitude = -746_143_763 },
        ["/routeguide.RouteGuide/RouteChat"] = new Contracts.Routeguide.RouteNote { Location = new() { Latitude = 1 }, Message = "hi" },
        ["/routeservice.v1.Features/GetFeature"] = new GetFeatureRequest { Name = "features/407838351,-746143763" },
        ["/routeservice.v1.Features/CreateFeature"] = new CreateFeatureRequest { Feature = Feature(), RequestId = Id },
        ["/routeservice.v1.Features/UpdateFeature"] = Update(),
        ["/routeservice.v1.Features/DeleteFeature"] = Delete(),
        ["/routeservice.v1.Features/BatchUpdateFeatures"] = new BatchUpdateFeaturesRequest { Requests = { Update() } },
        ["/routeservice.v1.Features/BatchDeleteFeatures"] = new BatchDeleteFeaturesRequest { Requests = { Delete() } },
        ["/routeservice.v1.Features/SearchFeatures"] = new SearchFeaturesRequest
        {
            Filter = new() { Area = Area(), Text = "odz", Properties = Properties() },
            PageSize = 7,
            PageToken = "AQID",
            View = FeatureView.Full,
        },
        ["/routeservice.v1.Features/StreamFeatures"] = new StreamFeaturesRequest { Filter = new() { Text = "odz" }, ResumeToken = "AQID" },
        ["/routeservice.v1.Features/ImportFeatures"] = new ImportFeaturesRequest { Batch = new() { Features = { Feature() } } },
        [Watch] = new WatchFeaturesRequest { Area = Area(), AfterSequence = 1 },
        ["/grpc.health.v1.Health/Check"] = new HealthCheckRequest { Service = "routeguide.RouteGuide" },
        ["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"] = new ServerReflectionRequest { FileContainingSymbol = "routeguide.Point" },
    };

    private static readonly string[] Paths = [.. Requests.Keys];

    // The calls that end by themselves.
    private static readonly string[] Ending = [.. Paths.Except([Watch])];

    // What a call that a client has made up may be answered. UNKNOWN is a message that cannot be parsed, and no other fault.
    private static readonly StatusCode[] Decided =
    [
        StatusCode.OK, StatusCode.InvalidArgument, StatusCode.NotFound, StatusCode.ResourceExhausted, StatusCode.Unimplemented,
        StatusCode.DeadlineExceeded, StatusCode.Internal, StatusCode.Unknown, StatusCode.AlreadyExists, StatusCode.Aborted,
    ];

    [Fact]
    public Task Random_and_mutated_messages_end_with_a_status() => ForAllAsync(part: 1, count: 1_000, async (chance, input) =>
    {
        var path = Pick(chance, Paths);
        var body = Body(chance, path);
        (string, string?)[] encoding = chance.Next(3) == 0 ? [("grpc-encoding", Pick(chance, ["gzip", "identity", "no"]))] : [];
        (string, string?)[] metadata = path == Watch ? [.. encoding, ("grpc-timeout", "100m")] : encoding;
        await using var connection = await RawConnection.OpenAsync(service.GrpcPort);

        var answer = await connection.AnswerAsync(1, path, body, metadata);

        Assert.True(answer.Http == "200" && Decided.Contains(answer.Status), $"{input}: {Convert.ToHexString(body)} to {path}: {answer}");
    });

    [Fact]
    public Task Random_values_of_the_protocols_own_headers_end_with_a_status() => ForAllAsync(part: 2, count: 500, async (chance, input) =>
    {
        string[] names =
        [
            "grpc-timeout", "grpc-encoding", "grpc-accept-encoding", "x-raw-bin", "grpc-status", "user-agent", "traceparent", "route-chat-after",
        ];
        var (name, value) = (Pick(chance, names), Text(chance));
        await using var connection = await RawConnection.OpenAsync(service.GrpcPort);

        var answer = await connection.AnswerAsync(1, Pick(chance, Ending), [0, 0, 0, 0, 0], (name, value));

        Assert.True(answer.Http == "200" && Decided.Contains(answer.Status), $"{input}: {name} '{value}': {answer}");

        // Anything that may stand in a header, and now and then what is almost right.
        static string Text(Random chance) => chance.Next(3) switch
        {
            0 => $"{chance.NextInt64(1_000_000_000)}{Pick(chance, ["H", "M", "S", "m", "u", "n", "x", ""])}",
            1 => Convert.ToBase64String(RandomBytes(chance, 20)).TrimEnd('='),
            _ => new string([.. Enumerable.Range(0, chance.Next(30)).Select(_ => (char)chance.Next(0x20, 0x100))]),
        };
    });

    [Fact]
    public Task Mutated_interleaved_and_truncated_frames_harm_nobody_else() => ForAllAsync(part: 3, count: 500, async (chance, _) =>
    {
        try
        {
            await using var connection = await RawConnection.OpenAsync(service.GrpcPort);
            await connection.SendAsync(Frames(chance));
            if (chance.Next(2) == 0)
            {
                await connection.ReadAsync();
            }
        }
        catch (IOException)
        {
            // The service has closed the connection, which is its right.
        }

        if (chance.Next(25) == 0)
        {
            await using var other = await RawConnection.OpenAsync(service.GrpcPort);
            Assert.Equal(RawConnection.Message("Hello, you!"), (await other.AnswerAsync(1, Paths[0], RawConnection.Message("you"))).Body);
        }
    });

    /// <summary>Runs the inputs of one test, some at a time. Each has its own chance, so that it is the same however they run.</summary>
    private Task ForAllAsync(int part, int count, Func<Random, string, Task> run)
    {
        log.WriteLine($"ROUTESERVICE_TEST_FUZZ_SEED={Seed} ROUTESERVICE_TEST_FUZZ={Factor}");
        return Parallel.ForEachAsync(
            Enumerable.Range(0, count * Factor),
            new ParallelOptions { MaxDegreeOfParallelism = 8 },
            async (i, _) => await run(
                new Random(unchecked(Seed + (part * 500_000_003) + (i * 7_919))), $"ROUTESERVICE_TEST_FUZZ_SEED={Seed}, input {i}"));
    }

    private static Feature Feature() => new()
    {
        Location = new() { LatitudeE7 = 407_838_351, LongitudeE7 = -746_143_763 },
        DisplayName = "Łódź",
        Properties = Properties(),
    };

    private static UpdateFeatureRequest Update() => new()
    {
        Feature = Feature(),
        UpdateMask = new() { Paths = { "display_name", "properties" } },
        AllowMissing = true,
    };

    private static DeleteFeatureRequest Delete() => new() { Name = "features/407838351,-746143763", AllowMissing = true };

    private static Struct Properties() => Struct.Parser.ParseJson("""{"height":61.5,"open":true,"uses":["view",{"since":1900}]}""");

    private static Area Area() => new() { Circle = new() { Center = new() { LatitudeE7 = 407_838_351 }, RadiusMeters = 1_000 } };

    /// <summary>Requests of a call and noise, some compressed, the same with bytes changed, removed or added.</summary>
    private static byte[] Body(Random chance, string path)
    {
        var body = new List<byte>();
        for (var messages = chance.Next(4); messages > 0; messages--)
        {
            var payload = chance.Next(2) == 0
                ? RandomBytes(chance, 60)
                : [.. Mutate(chance, [.. Requests[path].ToByteArray()], chance.Next(4))];
            var compressed = chance.Next(4) == 0;
            if (compressed)
            {
                using var gzip = new MemoryStream();
                using (var encoder = new GZipStream(gzip, CompressionLevel.Fastest))
                {
                    encoder.Write(payload);
                }

                payload = gzip.ToArray();
            }

            body.AddRange([compressed ? (byte)1 : (byte)0, .. RawConnection.Message(payload)[1..]]);
        }

        return [.. Mutate(chance, body, chance.Next(4))];
    }

    /// <summary>
    /// Settings, calls on several streams with their frames between each other, resets and pings; some bytes changed, the end cut off.
    /// </summary>
    private static byte[] Frames(Random chance)
    {
        var frames = new List<byte>(RawConnection.Frame(RawConnection.Settings, 0, 0));
        var open = new List<(int Stream, string Path)>();
        for (var left = chance.Next(1, 20); left > 0; left--)
        {
            switch (chance.Next(6))
            {
                case 0 or 1:
                    open.Add(((open.Count * 2) + 1, Pick(chance, Paths)));
                    frames.AddRange(RawConnection.HeadersFrame(open[^1].Stream, open[^1].Path));
                    break;
                case 2 or 3 when open.Count > 0:
                    var (stream, path) = Pick(chance, open);
                    frames.AddRange(RawConnection.Frame(RawConnection.Data, (byte)chance.Next(2), stream, Body(chance, path)));
                    break;
                case 4 when open.Count > 0:
                    frames.AddRange(RawConnection.Frame(RawConnection.Reset, 0, Pick(chance, open).Stream, 0, 0, 0, (byte)chance.Next(14)));
                    break;
                default:
                    frames.AddRange(RawConnection.Frame(RawConnection.Ping, 0, 0, new byte[8]));
                    break;
            }
        }

        for (var changes = chance.Next(5); changes > 0; changes--)
        {
            frames[chance.Next(frames.Count)] = (byte)chance.Next(256);
        }

        return [.. frames.Take(chance.Next(3) == 0 ? chance.Next(frames.Count) : frames.Count)];
    }

    private static List<byte> Mutate(Random chance, List<byte> bytes, int mutations)
    {
        for (; mutations > 0 && bytes.Count > 0; mutations--)
        {
            var at = chance.Next(bytes.Count);
            switch (chance.Next(4))
            {
                case 0:
                    bytes[at] = (byte)chance.Next(256);
                    break;
                case 1:
                    bytes[at] ^= (byte)(1 << chance.Next(8));
                    break;
                case 2:
                    bytes.RemoveRange(at, Math.Min(bytes.Count - at, chance.Next(1, 8)));
                    break;
                default:
                    bytes.Insert(at, (byte)chance.Next(256));
                    break;
            }
        }

        return bytes;
    }

    private static byte[] RandomBytes(Random chance, int below)
    {
        var bytes = new byte[chance.Next(below)];
        chance.NextBytes(bytes);
        return bytes;
    }

    private static T Pick<T>(Random chance, IReadOnlyList<T> among) => among[chance.Next(among.Count)];

    private static int? Read(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var value) ? value : null;
}
