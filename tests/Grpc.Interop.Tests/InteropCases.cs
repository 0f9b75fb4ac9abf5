using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Testing;

namespace Grpc.Interop.Tests;

/// <summary>
/// The client's side of the gRPC project's interop cases, by interop-test-descriptions.md: the names, sizes and texts are from there. Each
/// fails by an exception.
/// </summary>
internal static class InteropCases
{
    private const string InitialMetadata = "x-grpc-test-echo-initial";
    private const string TrailingMetadata = "x-grpc-test-echo-trailing-bin";
    private const string SpecialMessage = "\t\ntest with whitespace\r\nand Unicode BMP \u263A and non-BMP \U0001F608\t\n";

    // Of a call's metadata this one is not sent: it asks the client for compression.
    private static readonly Metadata Compressed = [new("grpc-internal-encoding-request", "gzip")];

    public static IReadOnlyDictionary<string, Func<GrpcChannel, Task>> All { get; } = new Dictionary<string, Func<GrpcChannel, Task>>
    {
        ["empty_unary"] = EmptyUnary,
        ["large_unary"] = LargeUnary,
        ["client_compressed_unary"] = channel => ClientCompressedUnary(channel, probe: true),
        ["server_compressed_unary"] = ServerCompressedUnary,
        ["client_streaming"] = ClientStreaming,
        ["client_compressed_streaming"] = channel => ClientCompressedStreaming(channel, probe: true),
        ["server_streaming"] = ServerStreaming,
        ["server_compressed_streaming"] = ServerCompressedStreaming,
        ["ping_pong"] = PingPong,
        ["empty_stream"] = EmptyStream,
        ["custom_metadata"] = CustomMetadata,
        ["status_code_and_message"] = channel => EchoStatusAsync(channel, "test status message"),
        ["special_status_message"] = channel => EchoStatusAsync(channel, SpecialMessage),
        ["unimplemented_method"] = UnimplementedMethod,
        ["unimplemented_service"] = UnimplementedService,
        ["cancel_after_begin"] = CancelAfterBegin,
        ["cancel_after_first_response"] = CancelAfterFirstResponse,
        ["timeout_on_sleeping_server"] = TimeoutOnSleepingServer,
        ["rpc_soak"] = RpcSoak,
    };

    /// <summary>The same for a server that cannot tell whether a request came compressed: without asking it first whether it does.</summary>
    public static IReadOnlyDictionary<string, Func<GrpcChannel, Task>> WithoutProbe { get; } = new Dictionary<string, Func<GrpcChannel, Task>>(All)
    {
        ["client_compressed_unary"] = channel => ClientCompressedUnary(channel, probe: false),
        ["client_compressed_streaming"] = channel => ClientCompressedStreaming(channel, probe: false),
    };

    /// <summary>Channel after channel, each with a large call.</summary>
    public static async Task ChannelSoak(Func<GrpcChannel> open)
    {
        for (var i = 0; i < 100; i++)
        {
            using var channel = open();
            await LargeUnary(channel);
        }
    }

    private static TestService.TestServiceClient Client(GrpcChannel channel) => new(channel);

    private static async Task EmptyUnary(GrpcChannel channel) => Assert.Equal(new Empty(), await Client(channel).EmptyCallAsync(new Empty()));

    private static async Task LargeUnary(GrpcChannel channel)
    {
        var response = await Client(channel).UnaryCallAsync(new SimpleRequest { ResponseSize = 314_159, Payload = Zeros(271_828) });

        AssertZeros(314_159, response.Payload);
    }

    private static async Task ClientCompressedUnary(GrpcChannel channel, bool probe)
    {
        var request = new SimpleRequest { ExpectCompressed = new BoolValue { Value = true }, ResponseSize = 314_159, Payload = Zeros(271_828) };
        if (probe)
        {
            await ExpectAsync(StatusCode.InvalidArgument, () => Client(channel).UnaryCallAsync(request).ResponseAsync);
        }

        AssertZeros(314_159, (await Client(channel).UnaryCallAsync(request, Compressed)).Payload);
        request.ExpectCompressed.Value = false;
        AssertZeros(314_159, (await Client(channel).UnaryCallAsync(request)).Payload);
    }

    private static async Task ServerCompressedUnary(GrpcChannel channel)
    {
        foreach (var compressed in (bool[])[true, false])
        {
            var response = await Client(channel).UnaryCallAsync(new SimpleRequest
            {
                ResponseCompressed = new BoolValue { Value = compressed },
                ResponseSize = 314_159,
                Payload = Zeros(271_828),
            });
            AssertZeros(314_159, response.Payload);
        }
    }

    private static async Task ClientStreaming(GrpcChannel channel)
    {
        using var call = Client(channel).StreamingInputCall();
        foreach (var size in (int[])[27_182, 8, 1_828, 45_904])
        {
            await call.RequestStream.WriteAsync(new StreamingInputCallRequest { Payload = Zeros(size) });
        }

        await call.RequestStream.CompleteAsync();
        Assert.Equal(74_922, (await call).AggregatedPayloadSize);
    }

    private static async Task ClientCompressedStreaming(GrpcChannel channel, bool probe)
    {
        if (probe)
        {
            using var uncompressed = Client(channel).StreamingInputCall();
            await uncompressed.RequestStream.WriteAsync(
                new StreamingInputCallRequest { ExpectCompressed = new BoolValue { Value = true }, Payload = Zeros(27_182) });
            await ExpectAsync(StatusCode.InvalidArgument, async () =>
            {
                await uncompressed.RequestStream.CompleteAsync();
                await uncompressed;
            });
        }

        using var call = Client(channel).StreamingInputCall(Compressed);
        await call.RequestStream.WriteAsync(new StreamingInputCallRequest { ExpectCompressed = new BoolValue { Value = true }, Payload = Zeros(27_182) });
        call.RequestStream.WriteOptions = new WriteOptions(WriteFlags.NoCompress);
        await call.RequestStream.WriteAsync(new StreamingInputCallRequest { ExpectCompressed = new BoolValue(), Payload = Zeros(45_904) });
        await call.RequestStream.CompleteAsync();
        Assert.Equal(73_086, (await call).AggregatedPayloadSize);
    }

    private static async Task ServerStreaming(GrpcChannel channel)
    {
        int[] sizes = [31_415, 9, 2_653, 58_979];
        using var call = Client(channel).StreamingOutputCall(new StreamingOutputCallRequest
        {
            ResponseParameters = { sizes.Select(size => new ResponseParameters { Size = size }) },
        });

        Assert.Equal(sizes, (await call.ResponseStream.ReadAllAsync().ToListAsync()).Select(response => response.Payload.Body.Length));
    }

    private static async Task ServerCompressedStreaming(GrpcChannel channel)
    {
        using var call = Client(channel).StreamingOutputCall(new StreamingOutputCallRequest
        {
            ResponseParameters =
            {
                new ResponseParameters { Compressed = new BoolValue { Value = true }, Size = 31_415 },
                new ResponseParameters { Compressed = new BoolValue { Value = false }, Size = 92_653 },
            },
        });

        Assert.Equal([31_415, 92_653], (await call.ResponseStream.ReadAllAsync().ToListAsync()).Select(response => response.Payload.Body.Length));
    }

    private static async Task PingPong(GrpcChannel channel)
    {
        using var call = Client(channel).FullDuplexCall();
        foreach (var (response, request) in ((int, int)[])[(31_415, 27_182), (9, 8), (2_653, 1_828), (58_979, 45_904)])
        {
            await call.RequestStream.WriteAsync(Ping(response, request));
            Assert.True(await call.ResponseStream.MoveNext(default));
            AssertZeros(response, call.ResponseStream.Current.Payload);
        }

        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext(default));
    }

    private static async Task EmptyStream(GrpcChannel channel)
    {
        using var call = Client(channel).FullDuplexCall();
        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext(default));
    }

    private static async Task CustomMetadata(GrpcChannel channel)
    {
        Metadata sent = [new(InitialMetadata, "test_initial_metadata_value"), new(TrailingMetadata, [0xAB, 0xAB, 0xAB])];
        using var unary = Client(channel).UnaryCallAsync(new SimpleRequest { ResponseSize = 314_159, Payload = Zeros(271_828) }, sent);
        await unary;
        Assert.Equal("test_initial_metadata_value", (await unary.ResponseHeadersAsync).GetValue(InitialMetadata));
        Assert.Equal([0xAB, 0xAB, 0xAB], unary.GetTrailers().GetValueBytes(TrailingMetadata));

        using var duplex = Client(channel).FullDuplexCall(sent);
        await duplex.RequestStream.WriteAsync(Ping(314_159, 271_828));
        await duplex.RequestStream.CompleteAsync();
        Assert.True(await duplex.ResponseStream.MoveNext(default));
        Assert.False(await duplex.ResponseStream.MoveNext(default));
        Assert.Equal("test_initial_metadata_value", (await duplex.ResponseHeadersAsync).GetValue(InitialMetadata));
        Assert.Equal([0xAB, 0xAB, 0xAB], duplex.GetTrailers().GetValueBytes(TrailingMetadata));
    }

    private static async Task EchoStatusAsync(GrpcChannel channel, string message)
    {
        var status = new EchoStatus { Code = (int)StatusCode.Unknown, Message = message };
        var unary = await ExpectAsync(StatusCode.Unknown, () => Client(channel).UnaryCallAsync(new SimpleRequest { ResponseStatus = status }).ResponseAsync);
        Assert.Equal(message, unary.Status.Detail);

        using var call = Client(channel).FullDuplexCall();
        await call.RequestStream.WriteAsync(new StreamingOutputCallRequest { ResponseStatus = status });
        var duplex = await ExpectAsync(StatusCode.Unknown, () => call.ResponseStream.MoveNext(default));
        Assert.Equal(message, duplex.Status.Detail);
    }

    private static Task UnimplementedMethod(GrpcChannel channel) =>
        ExpectAsync(StatusCode.Unimplemented, () => Client(channel).UnimplementedCallAsync(new Empty()).ResponseAsync);

    private static Task UnimplementedService(GrpcChannel channel) => ExpectAsync(
        StatusCode.Unimplemented, () => new UnimplementedService.UnimplementedServiceClient(channel).UnimplementedCallAsync(new Empty()).ResponseAsync);

    private static async Task CancelAfterBegin(GrpcChannel channel)
    {
        using var cancellation = new CancellationTokenSource();
        using var call = Client(channel).StreamingInputCall(cancellationToken: cancellation.Token);

        await cancellation.CancelAsync();

        await ExpectAsync(StatusCode.Cancelled, () => call.ResponseAsync);
        Assert.Equal(StatusCode.Cancelled, call.GetStatus().StatusCode);
    }

    private static async Task CancelAfterFirstResponse(GrpcChannel channel)
    {
        using var cancellation = new CancellationTokenSource();
        using var call = Client(channel).FullDuplexCall(cancellationToken: cancellation.Token);
        await call.RequestStream.WriteAsync(Ping(31_415, 27_182));
        Assert.True(await call.ResponseStream.MoveNext(default));

        await cancellation.CancelAsync();

        await ExpectAsync(StatusCode.Cancelled, () => call.ResponseStream.MoveNext(default));
    }

    private static async Task TimeoutOnSleepingServer(GrpcChannel channel)
    {
        using var call = Client(channel).FullDuplexCall(deadline: DateTime.UtcNow.AddMilliseconds(1));

        await ExpectAsync(StatusCode.DeadlineExceeded, async () =>
        {
            try
            {
                await call.RequestStream.WriteAsync(new StreamingOutputCallRequest { Payload = Zeros(27_182) });
            }
            catch (InvalidOperationException)
            {
                // The deadline came before the write; the response has the status.
            }

            await call.ResponseStream.MoveNext(default);
        });
    }

    private static async Task RpcSoak(GrpcChannel channel)
    {
        for (var round = 0; round < 20; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => LargeUnary(channel)));
        }
    }

    private static StreamingOutputCallRequest Ping(int responseSize, int requestSize) => new()
    {
        ResponseParameters = { new ResponseParameters { Size = responseSize } },
        Payload = Zeros(requestSize),
    };

    private static Payload Zeros(int size) => new() { Body = ByteString.CopyFrom(new byte[size]) };

    private static void AssertZeros(int size, Payload payload)
    {
        Assert.Equal(size, payload.Body.Length);
        Assert.False(payload.Body.Span.ContainsAnyExcept((byte)0));
    }

    private static async Task<RpcException> ExpectAsync(StatusCode code, Func<Task> call)
    {
        var end = await Assert.ThrowsAsync<RpcException>(call);
        Assert.Equal(code, end.StatusCode);
        return end;
    }
}
