using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Grpc.Core;

namespace Grpc.AspNetCore.Tests;

/// <summary>
/// Whatever comes over the wire, each call ends with a status and the server goes on. The seeds are fixed, so a failure comes again; GRPC_FUZZ
/// multiplies the number of inputs.
/// </summary>
public sealed class FuzzTests
{
    private static readonly int Rounds = int.TryParse(Environment.GetEnvironmentVariable("GRPC_FUZZ"), out var factor) ? factor : 1;
    private static readonly string[] Paths = ["/tests.Echo/Unary", "/tests.Echo/ClientStream", "/tests.Echo/ServerStream", "/tests.Echo/Duplex"];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Random_and_mutated_bodies_end_with_a_status(int seed)
    {
        await using var server = await EchoServer.StartAsync();
        for (var batch = 0; batch < 100 * Rounds; batch++)
        {
            var chance = new Random((seed * 1_000_000) + batch);
            var inputs = Enumerable.Range(0, 50).Select(_ => (Path: Paths[chance.Next(Paths.Length)], Body: Body(chance), Encoding: chance.Next(4) == 0)).ToList();
            await Task.WhenAll(inputs.Select(async input =>
            {
                var response = await server.SendAsync(input.Body, input.Path, headers: input.Encoding ? [("grpc-encoding", "gzip")] : []);
                Assert.True(
                    response.HttpStatus == 200 && Enum.IsDefined(response.Status) && response.Status != StatusCode.Unknown,
                    $"seed {seed}, batch {batch}: {response.Status} {response.Message} for {Convert.ToHexString(input.Body)} to {input.Path}");
            }));
        }
    }

    [Theory]
    [InlineData(3)]
    public async Task Random_header_values_end_with_an_answer(int seed)
    {
        string[] names = ["grpc-timeout", "grpc-encoding", "grpc-accept-encoding", "x-raw-bin", "x-text", "te", "user-agent"];
        await using var server = await EchoServer.StartAsync(new Script
        {
            Unary = (request, context) => Task.FromResult($"{context.RequestHeaders.Count} {context.Deadline} {context.Peer}"),
        });
        for (var i = 0; i < 2_000 * Rounds; i++)
        {
            var chance = new Random((seed * 1_000_000) + i);
            var value = new string([.. Enumerable.Range(0, chance.Next(30)).Select(_ => (char)chance.Next(0x20, 0x7F))]).Trim();

            var response = await server.SendAsync([0, 0, 0, 0, 0], headers: (names[chance.Next(names.Length)], value));

            Assert.True(response.HttpStatus == 200 && response.Status != StatusCode.Unknown, $"seed {seed}, input {i}: '{value}' gave {response.Status} {response.Message}");
        }
    }

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    public async Task Mutated_interleaved_and_truncated_frames_harm_nobody_else(int seed)
    {
        await using var server = await EchoServer.StartAsync();
        var endpoint = IPEndPoint.Parse(new Uri(server.Address).Authority);
        for (var i = 0; i < 500 * Rounds; i++)
        {
            var chance = new Random((seed * 1_000_000) + i);
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(endpoint);
            try
            {
                await socket.SendAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray());
                await socket.SendAsync(Frames(chance));
                if (chance.Next(2) == 0)
                {
                    socket.Shutdown(SocketShutdown.Send);
                    await socket.ReceiveAsync(new byte[4_096]);
                }
            }
            catch (SocketException)
            {
                // The server has closed the connection, which is its right.
            }

            if (i % 50 == 0)
            {
                Assert.Equal("hello", await server.Unary("hello"));
            }
        }

        Assert.Equal("hello", await server.Unary("hello"));
    }

    /// <summary>Well-formed messages, the same with bytes changed, removed or added, and noise.</summary>
    private static byte[] Body(Random chance)
    {
        var body = new List<byte>();
        for (var messages = chance.Next(4); messages > 0; messages--)
        {
            var payload = new byte[chance.Next(60)];
            chance.NextBytes(payload);
            var header = new byte[5];
            BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(1), payload.Length);
            body.AddRange(header);
            body.AddRange(payload);
        }

        for (var mutations = chance.Next(4); mutations > 0 && body.Count > 0; mutations--)
        {
            var at = chance.Next(body.Count);
            switch (chance.Next(3))
            {
                case 0:
                    body[at] = (byte)chance.Next(256);
                    break;
                case 1:
                    body.RemoveRange(at, Math.Min(body.Count - at, chance.Next(1, 8)));
                    break;
                default:
                    body.Insert(at, (byte)chance.Next(256));
                    break;
            }
        }

        return [.. body];
    }

    /// <summary>Settings, calls on several streams with their frames between each other, resets and pings; some bytes changed, the end cut off.</summary>
    private static byte[] Frames(Random chance)
    {
        var frames = new List<byte>(RawConnection.Frame(RawConnection.Settings, flags: 0, stream: 0, []));
        var open = new List<int>();
        for (var left = chance.Next(1, 20); left > 0; left--)
        {
            switch (chance.Next(6))
            {
                case 0 or 1:
                    open.Add((open.Count * 2) + 1);
                    frames.AddRange(RawConnection.HeadersFrame(open[^1], Paths[chance.Next(Paths.Length)]));
                    break;
                case 2 or 3 when open.Count > 0:
                    frames.AddRange(RawConnection.Frame(RawConnection.Data, flags: (byte)chance.Next(2), open[chance.Next(open.Count)], Body(chance)));
                    break;
                case 4 when open.Count > 0:
                    frames.AddRange(RawConnection.Frame(RawConnection.Reset, flags: 0, open[chance.Next(open.Count)], [0, 0, 0, (byte)chance.Next(14)]));
                    break;
                default:
                    frames.AddRange(RawConnection.Frame(RawConnection.Ping, flags: 0, stream: 0, new byte[8]));
                    break;
            }
        }

        for (var mutations = chance.Next(5); mutations > 0; mutations--)
        {
            frames[chance.Next(frames.Count)] = (byte)chance.Next(256);
        }

        return [.. frames.Take(chance.Next(3) == 0 ? chance.Next(frames.Count) : frames.Count)];
    }
}
