using System.Globalization;
using System.IO.Compression;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using RouteService.Contracts.Hello;
using RouteService.Contracts.Routeguide;

namespace RouteService.Operations.Tests;

/// <summary>Nothing runs beside it: its callers send as fast as they can.</summary>
[CollectionDefinition(nameof(AbuseTests), DisableParallelization = true)]
public sealed class Alone;

/// <summary>
/// Clients that mean harm: the service lives through them, serves others meanwhile, gives back what they made it take, and has no call of
/// theirs left. What it gives back is measured against the same abuse once, which fills the pools. Kestrel logs as critical that it ends a
/// connection for its queues.
/// </summary>
[Collection(nameof(AbuseTests))]
public sealed class AbuseTests() : ServiceTest(@"Microsoft\.AspNetCore\.Server\.Kestrel\.Http2")
{
    private const string SayHello = "/helloworld.Greeter/SayHello";
    private const string Bidi = "/HelloService/BidiHello";
    private const string Chat = "/routeguide.RouteGuide/RouteChat";
    private const int MaxChats = 120;

    [Fact]
    public Task Rapid_reset() => SurvivesAsync(async () =>
    {
        // CVE-2023-44487: each stream is reset as soon as it is open, which makes room for the next.
        await using var connection = await RawConnection.OpenAsync(Service.GrpcPort);
        for (var stream = 1; stream < 20_000; stream += 2)
        {
            await connection.SendAsync(
                [.. RawConnection.HeadersFrame(stream, Chat), .. RawConnection.Frame(RawConnection.Reset, 0, stream, 0, 0, 0, 8)]);
        }

        await connection.ReadToEndAsync();
    });

    [Fact]
    public Task Streams_opened_and_cancelled_by_the_thousand() => SurvivesAsync(async () =>
    {
        using var channel = NewChannel();
        var client = new HelloService.HelloServiceClient(channel);
        for (var round = 0; round < 50; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 100).Select(async _ =>
            {
                using var call = client.BidiHello();
                try
                {
                    await call.RequestStream.WriteAsync(new HelloRequest { Greeting = "x" });
                }
                catch (Exception e) when (e is RpcException or HttpRequestException)
                {
                    // Kestrel may close a connection that does this.
                }
            }));
        }
    });

    [Fact]
    public Task Metadata_of_63_KB() => SurvivesAsync(async () =>
    {
        var metadata = new Metadata { { "x-long", new string('x', 63 * 1024) } };
        using var channel = NewChannel();
        for (var round = 0; round < 50; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => HelloAsync(channel, metadata)));
        }
    });

    [Fact]
    public Task Metadata_over_the_limit() => SurvivesAsync(async () =>
    {
        for (var round = 0; round < 50; round++)
        {
            await using var connection = await RawConnection.OpenAsync(Service.GrpcPort);
            var metadata = Enumerable.Range(0, 10).Select(static i => ($"x-{i}", (string?)new string('x', 63 * 1024)));
            await connection.CallAsync(1, SayHello, [.. metadata]);
            await connection.ReadToEndAsync();
        }
    });

    [Fact]
    public Task Headers_that_never_end() => SurvivesAsync(async () =>
    {
        await using var connection = await RawConnection.OpenAsync(Service.GrpcPort);
        await connection.SendAsync(RawConnection.Frame(RawConnection.Headers, 0, 1));
        for (var i = 0; i < 100_000; i++)
        {
            await connection.SendAsync(RawConnection.Frame(RawConnection.Continuation, 0, 1));
        }
    });

    [Fact]
    public Task Readers_that_do_not_read() => SurvivesAsync(async () =>
    {
        // INITIAL_WINDOW_SIZE: the service may send 100 KB on each stream, and 64 KB on all. The rectangle is the world, some 200 KB.
        await using var connection = await RawConnection.OpenAsync(Service.GrpcPort, (4, 100_000));
        for (var stream = 1; stream < 200; stream += 2)
        {
            await connection.CallAsync(stream, "/routeguide.RouteGuide/ListFeatures");
            await connection.MessageAsync(stream, World, isLast: true);
        }

        for (var received = 0; received < 65_535;)
        {
            received += (await connection.ReadAsync(RawConnection.Data))!.Value.Payload.Length;
        }
    });

    [Fact]
    public Task Writers_that_dribble() => SurvivesAsync(async () =>
    {
        var message = RawConnection.Message("slow");
        await using var connection = await RawConnection.OpenAsync(Service.GrpcPort);
        for (var stream = 1; stream < 200; stream += 2)
        {
            await connection.CallAsync(stream, stream % 4 == 1 ? SayHello : Bidi);
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
        Assert.Equal(RawConnection.Message("Hello, slow!"), (await connection.AnswerAsync(1)).Body);
    });

    [Fact]
    public Task Messages_that_are_announced_and_do_not_come() => SurvivesAsync(async () =>
    {
        await using var connection = await RawConnection.OpenAsync(Service.GrpcPort);
        for (var stream = 1; stream < 200; stream += 2)
        {
            // 4 MiB, the most that is accepted.
            await connection.CallAsync(stream, stream % 4 == 1 ? SayHello : Bidi);
            await connection.SendAsync(RawConnection.Frame(RawConnection.Data, 0, stream, 0, 0, 0x40, 0, 0, 1));
        }

        await connection.PingAsync();
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
        byte[] message = [1, .. RawConnection.Message(bomb)[1..]];
        await SurvivesAsync(async () =>
        {
            for (var i = 0; i < 30; i++)
            {
                await using var connection = await RawConnection.OpenAsync(Service.GrpcPort);
                await connection.CallAsync(1, SayHello, ("grpc-encoding", "gzip"));
                foreach (var part in message.Chunk(16_384))
                {
                    await connection.MessageAsync(1, part);
                }

                Assert.Equal(StatusCode.ResourceExhausted, (await connection.AnswerAsync(1)).Status);
            }
        });
    }

    [Fact]
    public Task Frames_that_stop_half_way() => SurvivesAsync(async () =>
    {
        var connections = new List<RawConnection>();
        byte[] frames =
        [
            .. RawConnection.HeadersFrame(1, SayHello),
            .. RawConnection.Frame(RawConnection.Data, RawConnection.EndStream, 1, RawConnection.Message("hello")),
        ];
        for (var i = 0; i < 200; i++)
        {
            var connection = await RawConnection.OpenAsync(Service.GrpcPort);
            connections.Add(connection);
            await connection.SendAsync(frames[..(i % frames.Length)]);
        }

        foreach (var connection in connections)
        {
            await connection.DisposeAsync();
        }
    });

    [Fact]
    public Task Pings_and_settings_without_end() => SurvivesAsync(async () =>
    {
        await using var connection = await RawConnection.OpenAsync(Service.GrpcPort);
        byte[] both = [.. RawConnection.Frame(RawConnection.Ping, 0, 0, new byte[8]), .. RawConnection.Frame(RawConnection.Settings, 0, 0)];
        for (var i = 0; i < 20_000; i++)
        {
            await connection.SendAsync(both);
        }
    });

    [Fact]
    public Task Chats_that_post_and_do_not_read() => SurvivesAsync(async () =>
    {
        await using var connection = await RawConnection.OpenAsync(Service.GrpcPort);
        var note = RawConnection.Message(new RouteNote { Location = new Point { Latitude = 1 }, Message = new string('x', 4_000) });
        for (var stream = 1; stream < 100; stream += 2)
        {
            await connection.CallAsync(stream, Chat);
            for (var i = 0; i < 5; i++)
            {
                await connection.MessageAsync(stream, note);
            }
        }

        await connection.ReadAsync(RawConnection.Data);
    });

    private static byte[] World => RawConnection.Message(new Rectangle
    {
        Lo = new Point { Latitude = -900_000_000, Longitude = -1_800_000_000 },
        Hi = new Point { Latitude = 900_000_000, Longitude = 1_800_000_000 },
    });

    private async Task SurvivesAsync(Func<Task> abuse)
    {
        // A bound on what the collector may leave lying: what is kept in spite of it ends the process.
        Service.Settings["DOTNET_GCHeapHardLimit"] = "0x10000000";
        Service.Settings["DOTNET_GCConserveMemory"] = "7";
        Service.Settings["RouteService__Chat__MaxStreamsPerClient"] = $"{MaxChats}";
        await StartAsync();
        var other = NewChannel();

        await HarmAsync();
        await CallAsync(100);
        var rest = Resident();
        for (var i = 0; i < 3; i++)
        {
            await HarmAsync();
        }

        // Calls make the collector run.
        using var patience = new CancellationTokenSource(Patience);
        while (Resident() is var now && now > (1.2 * rest) + (24 << 20))
        {
            Assert.False(patience.IsCancellationRequested, $"{rest >> 20} MiB after the abuse once, {now >> 20} MiB after more of it");
            await CallAsync(1_000);
        }

        await NoChatIsLeftAsync();
        other.Dispose();

        async Task HarmAsync()
        {
            var harm = Task.Run(async () =>
            {
                try
                {
                    await abuse();
                }
                catch (Exception e) when (e is IOException or SocketException
                    or RpcException { StatusCode: StatusCode.Unavailable or StatusCode.ResourceExhausted or StatusCode.Internal })
                {
                    // The service has closed the connection, or told the client to calm down, which is its right. .NET's client calls the first
                    // INTERNAL, too.
                }
            });
            do
            {
                await CallAsync(1);
            }
            while (!harm.IsCompleted);
            await harm.WaitAsync(Patience);
        }

        async Task CallAsync(int calls)
        {
            for (var i = 0; i < calls; i++)
            {
                Assert.Equal("Hello, you!", (await HelloAsync(other)).Message);
            }
        }
    }

    /// <summary>As many chats as one client may have can be opened: those of the abuse have ended.</summary>
    private async Task NoChatIsLeftAsync()
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            using var channel = NewChannel();
            var client = new RouteGuide.RouteGuideClient(channel);
            var chats = Enumerable.Range(0, MaxChats).Select(_ => client.RouteChat(deadline: Soon)).ToList();
            try
            {
                await Task.WhenAll(chats.Select(static async chat =>
                {
                    await chat.RequestStream.CompleteAsync();
                    Assert.False(await chat.ResponseStream.MoveNext(CancellationToken.None));
                }));
                return;
            }
            catch (RpcException e) when (e.StatusCode == StatusCode.ResourceExhausted)
            {
                Assert.False(patience.IsCancellationRequested, e.Status.Detail);
                await Task.Delay(100);
            }
            finally
            {
                chats.ForEach(static chat => chat.Dispose());
            }
        }
    }

    /// <summary>By the same address as the raw connections, which are one client with it.</summary>
    private GrpcChannel NewChannel() => GrpcChannel.ForAddress(
        $"http://127.0.0.1:{Service.GrpcPort}",
        new GrpcChannelOptions
        {
            HttpHandler = new SocketsHttpHandler { EnableMultipleHttp2Connections = true },
            DisposeHttpClient = true,
        });

    /// <summary>The process's own pages that are in memory, in bytes.</summary>
    private long Resident() => 1024 * long.Parse(
        File.ReadLines($"/proc/{Service.ProcessId}/status").First(static line => line.StartsWith("RssAnon:", StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
        CultureInfo.InvariantCulture);
}
