using System.IO.Compression;
using System.Security.Cryptography;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Reflection.V1;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Grpc.AspNetCore.Tests;

/// <summary>
/// Whatever comes over the wire, each call ends with a status and the server goes on. Every run has a seed of its own and prints it;
/// GRPC_FUZZ_SEED brings a run back, GRPC_FUZZ multiplies the number of inputs.
/// </summary>
public sealed class FuzzTests
{
    private static readonly int Factor = int.TryParse(Environment.GetEnvironmentVariable("GRPC_FUZZ"), out var factor) ? factor : 1;
    private static readonly int Seed = int.TryParse(Environment.GetEnvironmentVariable("GRPC_FUZZ_SEED"), out var seed) ? seed : RandomNumberGenerator.GetInt32(int.MaxValue);
    private static readonly string[] Paths = ["/tests.Echo/Unary", "/tests.Echo/ClientStream", "/tests.Echo/ServerStream", "/tests.Echo/Duplex"];

    static FuzzTests() => Console.WriteLine($"GRPC_FUZZ_SEED={Seed} GRPC_FUZZ={Factor}");

    [Fact]
    public async Task Random_and_mutated_bodies_end_with_a_status()
    {
        await using var server = await EchoServer.StartAsync();
        await ForAllAsync(part: 1, count: 5_000, async (chance, input) =>
        {
            var (path, body, gzip) = (Pick(chance, Paths), Body(chance), chance.Next(4) == 0);

            var response = await server.SendAsync(body, path, headers: gzip ? [("grpc-encoding", "gzip")] : []);

            AssertEnded(response, $"{input}: {Convert.ToHexString(body)} to {path}, gzip {gzip}");
        });
    }

    [Fact]
    public async Task Mutated_protobuf_ends_with_a_status()
    {
        await using var server = await EchoServer.StartAsync(
            services: services =>
            {
                services.AddGrpcReflection();
                services.AddGrpcHealthChecks();
            },
            map: app =>
            {
                app.MapGrpcHealthChecksService();
                app.MapGrpcReflectionService();
            });
        (string Path, IMessage[] Requests)[] calls =
        [
            ("/grpc.health.v1.Health/Check", [new HealthCheckRequest { Service = "some.Service" }, new HealthCheckRequest()]),
            ("/grpc.health.v1.Health/List", [new HealthListRequest()]),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Questions()),
            ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Questions()),
        ];
        await ForAllAsync(part: 2, count: 5_000, async (chance, input) =>
        {
            var (path, requests) = Pick(chance, calls);
            var body = new List<byte>();
            for (var messages = chance.Next(1, 3); messages > 0; messages--)
            {
                var payload = Mutate(chance, [.. Pick(chance, requests).ToByteArray()], chance.Next(6));
                body.AddRange([0, 0, 0, (byte)(payload.Count >> 8), (byte)payload.Count, .. payload]);
            }

            var response = await server.SendAsync([.. body], path);

            AssertEnded(response, $"{input}: {Convert.ToHexString([.. body])} to {path}");
        });

        static IMessage[] Questions() =>
        [
            new ServerReflectionRequest { Host = "h", ListServices = "*" },
            new ServerReflectionRequest { FileByFilename = "grpc/health/v1/health.proto" },
            new ServerReflectionRequest { FileContainingSymbol = "grpc.health.v1.Health.Check" },
            new ServerReflectionRequest { FileContainingExtension = new ExtensionRequest { ContainingType = "grpc.health.v1.HealthCheckRequest", ExtensionNumber = 5 } },
            new ServerReflectionRequest { AllExtensionNumbersOfType = "grpc.health.v1.HealthCheckRequest" },
        ];
    }

    [Fact]
    public async Task Random_header_values_end_with_an_answer()
    {
        string[] names = ["grpc-timeout", "grpc-encoding", "grpc-accept-encoding", "x-raw-bin", "x-text", "te", "user-agent", "grpc-status", "grpc-internal-encoding-request"];
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = (request, context) => Task.FromResult($"{context.RequestHeaders.Count} {context.Deadline} {context.Peer}"),
        });
        await ForAllAsync(part: 3, count: 2_000, async (chance, input) =>
        {
            var (name, value) = (Pick(chance, names), Text(chance));

            var response = await server.SendAsync([0, 0, 0, 0, 0], headers: (name, value));

            AssertEnded(response, $"{input}: {name} '{value}'");
        });

        // Anything that may stand in a header, and now and then what is almost right.
        static string Text(Random chance) => chance.Next(3) switch
        {
            0 => $"{chance.NextInt64(1_000_000_000)}{Pick(chance, ["H", "M", "S", "m", "u", "n", "x", ""])}",
            1 => Convert.ToBase64String(RandomBytes(chance, 20)).TrimEnd('='),
            _ => new string([.. Enumerable.Range(0, chance.Next(30)).Select(_ => (char)chance.Next(0x20, 0x7F))]).Trim(),
        };
    }

    [Fact]
    public async Task Mutated_interleaved_and_truncated_frames_harm_nobody_else()
    {
        await using var server = await EchoServer.StartAsync();
        await ForAllAsync(part: 4, count: 500, async (chance, input) =>
        {
            try
            {
                await using var connection = await RawConnection.OpenAsync(server.Address);
                await connection.SendAsync(Frames(chance));
                if (chance.Next(2) == 0)
                {
                    await connection.ReadAsync();
                }
            }
            catch (IOException)
            {
                // The server has closed the connection, which is its right.
            }

            if (chance.Next(50) == 0)
            {
                Assert.Equal("hello", await server.Unary("hello"));
            }
        });
        Assert.Equal("hello", await server.Unary("hello"));
    }

    /// <summary>Runs the inputs of one test, some at a time. Each has its own chance, so that it is the same however they run.</summary>
    private static Task ForAllAsync(int part, int count, Func<Random, string, Task> run) => Parallel.ForEachAsync(
        Enumerable.Range(0, count * Factor),
        new ParallelOptions { MaxDegreeOfParallelism = 32 },
        async (i, cancellationToken) =>
        {
            while (true)
            {
                try
                {
                    await run(new Random(unchecked(Seed + (part * 500_000_003) + (i * 7_919))), $"GRPC_FUZZ_SEED={Seed}, input {i}");
                    return;
                }
                catch (HttpRequestException e) when (e.InnerException is HttpProtocolException { ErrorCode: 0xb })
                {
                    // ENHANCE_YOUR_CALM: Kestrel holds a stream that ended before its request for some seconds, and takes so many of a connection.
                    await Task.Delay(200, cancellationToken);
                }
            }
        });

    private static void AssertEnded(WireResponse response, string input) => Assert.True(
        response.HttpStatus == 200 && Enum.IsDefined(response.Status) && response.Status != StatusCode.Unknown,
        $"{input}: HTTP {response.HttpStatus}, {response.Headers.GetValueOrDefault("grpc-status")} {response.Trailers.GetValueOrDefault("grpc-status")} {response.Message}");

    /// <summary>Well-formed messages, some compressed, the same with bytes changed, removed or added, and noise.</summary>
    private static byte[] Body(Random chance)
    {
        var body = new List<byte>();
        for (var messages = chance.Next(4); messages > 0; messages--)
        {
            var (payload, compressed) = (RandomBytes(chance, 60), chance.Next(4) == 0);
            if (compressed)
            {
                using var gzip = new MemoryStream();
                using (var encoder = new GZipStream(gzip, CompressionLevel.Fastest))
                {
                    encoder.Write(payload);
                }

                payload = gzip.ToArray();
            }

            body.AddRange([compressed ? (byte)1 : (byte)0, 0, 0, 0, (byte)payload.Length, .. payload]);
        }

        return [.. Mutate(chance, body, chance.Next(4))];
    }

    /// <summary>Settings, calls on several streams with their frames between each other, resets and pings; some bytes changed, the end cut off.</summary>
    private static byte[] Frames(Random chance)
    {
        var frames = new List<byte>(RawConnection.Frame(RawConnection.Settings, 0, 0));
        var open = new List<int>();
        for (var left = chance.Next(1, 20); left > 0; left--)
        {
            switch (chance.Next(6))
            {
                case 0 or 1:
                    open.Add((open.Count * 2) + 1);
                    frames.AddRange(RawConnection.HeadersFrame(open[^1], Pick(chance, Paths)));
                    break;
                case 2 or 3 when open.Count > 0:
                    frames.AddRange(RawConnection.Frame(RawConnection.Data, (byte)chance.Next(2), Pick(chance, open), Body(chance)));
                    break;
                case 4 when open.Count > 0:
                    frames.AddRange(RawConnection.Frame(RawConnection.Reset, 0, Pick(chance, open), 0, 0, 0, (byte)chance.Next(14)));
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
}
