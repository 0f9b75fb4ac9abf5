using System.IO.Compression;
using System.Net.Sockets;
using Grpc.Core;

namespace Grpc.AspNetCore.Tests;

[CollectionDefinition(nameof(AbuseTests), DisableParallelization = true)]
public sealed class Alone;

/// <summary>
/// Clients that mean harm: the server lives through them, gives back what they made it take, and serves others. Alone in the process, so that its
/// memory is the test's; what rests is measured after the same abuse once, which fills the pools.
/// </summary>
[Collection(nameof(AbuseTests))]
public sealed class AbuseTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    [Fact]
    public Task Rapid_reset() => SurvivesAsync(async server =>
    {
        // CVE-2023-44487: each stream is reset as soon as it is open, which makes room for the next.
        await using var connection = await RawConnection.OpenAsync(server.Address);
        for (var stream = 1; stream < 20_000; stream += 2)
        {
            await connection.SendAsync(
                [.. RawConnection.HeadersFrame(stream, "/tests.Echo/Duplex"), .. RawConnection.Frame(RawConnection.Reset, 0, stream, 0, 0, 0, 8)]);
        }

        await connection.ReadToEndAsync();
    });

    [Fact]
    public Task Streams_opened_and_cancelled_by_the_thousand() => SurvivesAsync(async server =>
    {
        for (var round = 0; round < 50; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 100).Select(async _ =>
            {
                using var call = server.Duplex();
                await call.RequestStream.WriteAsync("x");
            }));
        }
    });

    [Fact]
    public Task Metadata_of_63_KB() => SurvivesAsync(async server =>
    {
        var metadata = new Metadata { { "x-long", new string('x', 63 * 1024) } };
        for (var round = 0; round < 50; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 10).Select(async _ => await server.Unary("", new CallOptions(metadata))));
        }
    });

    [Fact]
    public Task Metadata_over_the_limit() => SurvivesAsync(async server =>
    {
        for (var round = 0; round < 50; round++)
        {
            await using var connection = await RawConnection.OpenAsync(server.Address);
            await connection.CallAsync(1, "/tests.Echo/Unary", [.. Enumerable.Range(0, 10).Select(i => ($"x-{i}", new string('x', 63 * 1024)))]);
            await connection.ReadToEndAsync();
        }
    });

    [Fact]
    public Task Headers_that_never_end() => SurvivesAsync(async server =>
    {
        await using var connection = await RawConnection.OpenAsync(server.Address);
        await connection.SendAsync(RawConnection.Frame(RawConnection.Headers, 0, 1));
        for (var i = 0; i < 100_000; i++)
        {
            await connection.SendAsync(RawConnection.Frame(RawConnection.Continuation, 0, 1));
        }
    });

    [Fact]
    public Task Readers_that_do_not_read() => SurvivesAsync(async server =>
    {
        // INITIAL_WINDOW_SIZE: the server may send 100 KB on each stream, and 64 KB on all.
        await using var connection = await RawConnection.OpenAsync(server.Address, (4, 100_000));
        for (var stream = 1; stream < 200; stream += 2)
        {
            await connection.CallAsync(stream, "/tests.Echo/ServerStream");
            await connection.SendAsync(RawConnection.Frame(RawConnection.Data, RawConnection.EndStream, stream, RawConnection.Message("endless")));
        }

        await connection.ReadAsync(RawConnection.Data);
        await Task.Delay(300);
    });

    [Fact]
    public Task Writers_that_dribble() => SurvivesAsync(async server =>
    {
        var message = RawConnection.Message("slow");
        await using var connection = await RawConnection.OpenAsync(server.Address);
        for (var stream = 1; stream < 200; stream += 2)
        {
            await connection.CallAsync(stream, stream % 4 == 1 ? "/tests.Echo/Unary" : "/tests.Echo/Duplex");
        }

        foreach (var one in message[..^1])
        {
            for (var stream = 1; stream < 200; stream += 2)
            {
                await connection.SendAsync(RawConnection.Frame(RawConnection.Data, 0, stream, one));
            }
        }

        // One of them comes to its end, the others never do.
        await connection.SendAsync(RawConnection.Frame(RawConnection.Data, RawConnection.EndStream, 1, message[^1]));
        Assert.Equal(message, (await connection.ReadAsync(RawConnection.Data))!.Value.Payload);
    });

    [Fact]
    public Task Messages_that_are_announced_and_do_not_come() => SurvivesAsync(async server =>
    {
        await using var connection = await RawConnection.OpenAsync(server.Address);
        for (var stream = 1; stream < 200; stream += 2)
        {
            // 4 MiB, the most that is accepted.
            await connection.CallAsync(stream, "/tests.Echo/Unary");
            await connection.SendAsync(RawConnection.Frame(RawConnection.Data, 0, stream, 0, 0, 0x40, 0, 0, 1));
        }

        await Task.Delay(300);
    });

    [Fact]
    public async Task Decompression_bombs()
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.SmallestSize))
        {
            for (var i = 0; i < 200; i++)
            {
                gzip.Write(new byte[1024 * 1024]);
            }
        }

        var bomb = packed.ToArray();
        byte[] body = [1, 0, (byte)(bomb.Length >> 16), (byte)(bomb.Length >> 8), (byte)bomb.Length, .. bomb];
        await SurvivesAsync(async server =>
        {
            for (var i = 0; i < 30; i++)
            {
                Assert.Equal(StatusCode.ResourceExhausted, (await server.SendAsync(body, headers: ("grpc-encoding", "gzip"))).Status);
            }
        });
    }

    [Fact]
    public Task Frames_that_stop_half_way() => SurvivesAsync(async server =>
    {
        var connections = new List<RawConnection>();
        for (var i = 0; i < 200; i++)
        {
            var connection = await RawConnection.OpenAsync(server.Address);
            connections.Add(connection);
            var frames = (byte[])[.. RawConnection.HeadersFrame(1, "/tests.Echo/Unary"), .. RawConnection.Frame(RawConnection.Data, 1, 1, RawConnection.Message("hello"))];
            await connection.SendAsync(frames[..(i % frames.Length)]);
        }

        foreach (var connection in connections)
        {
            await connection.DisposeAsync();
        }
    });

    [Fact]
    public Task Pings_and_settings_without_end() => SurvivesAsync(async server =>
    {
        await using var connection = await RawConnection.OpenAsync(server.Address);
        byte[] both = [.. RawConnection.Frame(RawConnection.Ping, 0, 0, new byte[8]), .. RawConnection.Frame(RawConnection.Settings, 0, 0)];
        for (var i = 0; i < 20_000; i++)
        {
            await connection.SendAsync(both);
        }
    });

    private static async Task SurvivesAsync(Func<EchoServer, Task> abuse)
    {
        var running = 0;
        await using var server = await EchoServer.StartAsync(new Script
        {
            ServerStream = (_, responses, context) => CountAsync(async () =>
            {
                while (true)
                {
                    await responses.WriteAsync(new string('x', 1_000), context.CancellationToken);
                }
            }),
            Duplex = (requests, responses, context) => CountAsync(async () =>
            {
                while (await requests.MoveNext(context.CancellationToken))
                {
                    await responses.WriteAsync(requests.Current, context.CancellationToken);
                }
            }),
        });

        await HarmAsync();
        await CallAsync();
        var rest = Memory();
        for (var i = 0; i < 3; i++)
        {
            await HarmAsync();
            await CallAsync();
        }

        var deadline = DateTime.UtcNow + Patience;
        while (Memory() is var now && (now.Managed > Allowed(rest.Managed) || now.Resident > Allowed(rest.Resident) || Volatile.Read(ref running) > 0))
        {
            Assert.True(DateTime.UtcNow < deadline, $"{rest} at rest, {now} now, {running} handlers running");
            await Task.Delay(200);
        }

        await CallAsync();

        // The pools of a young process still grow by some megabytes; a round that is kept would be more.
        static double Allowed(long rest) => (1.2 * rest) + (8 << 20);

        async Task HarmAsync()
        {
            try
            {
                await abuse(server).WaitAsync(Patience);
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                // The server has closed the connection, which is its right.
            }
        }

        async Task CallAsync()
        {
            for (var i = 0; i < 100; i++)
            {
                Assert.Equal("hello", await server.Unary("hello").ResponseAsync.WaitAsync(Patience));
            }
        }

        async Task CountAsync(Func<Task> handle)
        {
            Interlocked.Increment(ref running);
            try
            {
                await handle();
            }
            finally
            {
                Interlocked.Decrement(ref running);
            }
        }
    }

    /// <summary>What is in use: objects, and the process's own pages that are in memory.</summary>
    private static (long Managed, long Resident) Memory()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        var resident = File.ReadLines("/proc/self/status").First(line => line.StartsWith("RssAnon:")).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
        return (GC.GetTotalMemory(forceFullCollection: false), long.Parse(resident) * 1024);
    }
}
