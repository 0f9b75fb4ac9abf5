using Google.Protobuf;
using Grpc.Core;
using Grpc.Testing;

namespace Grpc.Interop;

/// <summary>grpc.testing.TestService by the gRPC project's interop-test-descriptions.md.</summary>
internal sealed class InteropTestService(TimeProvider clock) : TestService.TestServiceBase
{
    private const string InitialMetadata = "x-grpc-test-echo-initial";
    private const string TrailingMetadata = "x-grpc-test-echo-trailing-bin";

    // By this response header a handler asks for compression.
    private const string EncodingRequest = "grpc-internal-encoding-request";

    public override Task<Empty> EmptyCall(Empty request, ServerCallContext context) => Task.FromResult(new Empty());

    public override async Task<SimpleResponse> UnaryCall(SimpleRequest request, ServerCallContext context)
    {
        CheckCompression(request.ExpectCompressed, context);
        await EchoMetadataAsync(context, compress: request.ResponseCompressed?.Value is true);
        EndWith(request.ResponseStatus);
        return new SimpleResponse { Payload = Zeros(request.ResponseSize) };
    }

    public override async Task StreamingOutputCall(
        StreamingOutputCallRequest request, IServerStreamWriter<StreamingOutputCallResponse> responseStream, ServerCallContext context)
    {
        await EchoMetadataAsync(context, compress: request.ResponseParameters.Any(response => response.Compressed?.Value is true));
        await RespondAsync(request, responseStream, context);
    }

    public override async Task<StreamingInputCallResponse> StreamingInputCall(
        IAsyncStreamReader<StreamingInputCallRequest> requestStream, ServerCallContext context)
    {
        await EchoMetadataAsync(context, compress: false);
        var size = 0;
        while (await requestStream.MoveNext(context.CancellationToken))
        {
            CheckCompression(requestStream.Current.ExpectCompressed, context);
            size += requestStream.Current.Payload.Body.Length;
        }

        return new StreamingInputCallResponse { AggregatedPayloadSize = size };
    }

    public override async Task FullDuplexCall(
        IAsyncStreamReader<StreamingOutputCallRequest> requestStream,
        IServerStreamWriter<StreamingOutputCallResponse> responseStream,
        ServerCallContext context)
    {
        await EchoMetadataAsync(context, compress: false);
        while (await requestStream.MoveNext(context.CancellationToken))
        {
            await RespondAsync(requestStream.Current, responseStream, context);
        }
    }

    public override async Task HalfDuplexCall(
        IAsyncStreamReader<StreamingOutputCallRequest> requestStream,
        IServerStreamWriter<StreamingOutputCallResponse> responseStream,
        ServerCallContext context)
    {
        await EchoMetadataAsync(context, compress: false);
        var requests = await requestStream.ReadAllAsync(context.CancellationToken).ToListAsync(context.CancellationToken);
        foreach (var request in requests)
        {
            await RespondAsync(request, responseStream, context);
        }
    }

    private async Task RespondAsync(
        StreamingOutputCallRequest request, IServerStreamWriter<StreamingOutputCallResponse> responseStream, ServerCallContext context)
    {
        EndWith(request.ResponseStatus);
        foreach (var response in request.ResponseParameters)
        {
            if (response.IntervalUs > 0)
            {
                await Task.Delay(TimeSpan.FromMicroseconds(response.IntervalUs), clock, context.CancellationToken);
            }

            responseStream.WriteOptions = new WriteOptions(response.Compressed?.Value is true ? default : WriteFlags.NoCompress);
            await responseStream.WriteAsync(new StreamingOutputCallResponse { Payload = Zeros(response.Size) }, context.CancellationToken);
        }
    }

    private static Payload Zeros(int size) => new() { Body = UnsafeByteOperations.UnsafeWrap(new byte[size]) };

    private static void EndWith(EchoStatus? status)
    {
        if (status is { Code: not 0 })
        {
            throw new RpcException(new Status((StatusCode)status.Code, status.Message));
        }
    }

    private static async Task EchoMetadataAsync(ServerCallContext context, bool compress)
    {
        var headers = new Metadata();
        if (context.RequestHeaders.GetValue(InitialMetadata) is { } initial)
        {
            headers.Add(InitialMetadata, initial);
        }

        if (compress)
        {
            headers.Add(EncodingRequest, "gzip");
        }

        if (context.RequestHeaders.GetValueBytes(TrailingMetadata) is { } trailing)
        {
            context.ResponseTrailers.Add(TrailingMetadata, trailing);
        }

        if (headers.Count > 0)
        {
            await context.WriteResponseHeadersAsync(headers);
        }
    }

    /// <summary>What was to come compressed must have; what was not may come either way by the call's encoding, the flag being the message's.</summary>
    private static void CheckCompression(BoolValue? expected, ServerCallContext context)
    {
        if (expected?.Value is true && context.GetHttpContext().Request.Headers["grpc-encoding"].ToString() is "" or "identity")
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, "The request was to come compressed, and the call has no encoding."));
        }
    }
}
