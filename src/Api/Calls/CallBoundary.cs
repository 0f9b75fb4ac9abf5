using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Grpc.Core.Interceptors;
using RouteService.Api.Hosting;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using Status = Grpc.Core.Status;

namespace RouteService.Api.Calls;

/// <summary>
/// What stands around every call: the one place where our exceptions become statuses, and where a stream that waits for its client ends because
/// the service does. What it does not know is left to the runtime, which logs it and answers UNKNOWN without its text.
/// </summary>
internal sealed partial class CallBoundary(Shutdown shutdown, ILogger<CallBoundary> logger) : Interceptor
{
    private static readonly Status Stopping = new(StatusCode.Unavailable, "The service is shutting down; call again, and another replica answers.");

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(request, context);
        }
        catch (Exception e) when (IsOurs(e))
        {
            throw Refusal(e, context);
        }
    }

    public override async Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, ServerCallContext context, ClientStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(new StoppableReader<TRequest>(requestStream, shutdown.Ending), context);
        }
        catch (Exception e) when (IsOurs(e))
        {
            throw Refusal(e, context);
        }
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(request, responseStream, context);
        }
        catch (Exception e) when (IsOurs(e))
        {
            throw Refusal(e, context);
        }
    }

    public override async Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream,
        IServerStreamWriter<TResponse> responseStream,
        ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(new StoppableReader<TRequest>(requestStream, shutdown.Ending), responseStream, context);
        }
        catch (Exception e) when (IsOurs(e))
        {
            throw Refusal(e, context);
        }
    }

    private static bool IsOurs(Exception exception) => exception is InvalidRequestException or ChatLimitException or StoreUnavailableException;

    private RpcException Refusal(Exception exception, ServerCallContext context)
    {
        switch (exception)
        {
            case InvalidRequestException invalid:
                return Invalid(invalid.Field, invalid.Message);

            case ChatLimitException { Limit: ChatLimit.MessageBytes } tooLong:
                return Invalid("message", $"message has {tooLong.Value} bytes of UTF-8; a note has at most {tooLong.Maximum}.");

            case ChatLimitException { Limit: ChatLimit.IdBytes } tooLong:
                return Invalid("note_id", $"note_id has {tooLong.Value} bytes of UTF-8; an id has at most {tooLong.Maximum}.");

            case ChatLimitException limit:
                return new RpcException(new Status(StatusCode.ResourceExhausted, limit.Limit switch
                {
                    ChatLimit.StreamsPerClient => $"This client has {limit.Maximum} streams of RouteChat open, the most that one may; end another first.",
                    ChatLimit.SecondsBehind => $"This stream has not kept up for {limit.Maximum} seconds; open another, and read it faster.",
                    _ => $"This stream is at {limit.Maximum} places, the most that one may; open another.",
                }));

            default:
                // The client is told that it is so, the operator why.
                Log.StoreUnavailable(logger, exception, context.Method);
                return new RpcException(new Status(CodeOf(((StoreUnavailableException)exception).Failure), exception.Message, exception));
        }
    }

    private static StatusCode CodeOf(StoreFailure failure) => failure switch
    {
        StoreFailure.Overloaded => StatusCode.ResourceExhausted,
        StoreFailure.TooSlow => StatusCode.DeadlineExceeded,
        _ => StatusCode.Unavailable,
    };

    private static RpcException Invalid(string field, string description)
    {
        var details = new Google.Rpc.Status
        {
            Code = (int)StatusCode.InvalidArgument,
            Message = description,
            Details =
            {
                Any.Pack(new BadRequest { FieldViolations = { new BadRequest.Types.FieldViolation { Field = field, Description = description } } }),
            },
        };
        return new RpcException(
            new Status(StatusCode.InvalidArgument, description), new Metadata { { "grpc-status-details-bin", details.ToByteArray() } });
    }

    /// <summary>A request stream that ends UNAVAILABLE when the service stops: its client may be silent for hours.</summary>
    private sealed class StoppableReader<T>(IAsyncStreamReader<T> inner, CancellationToken stopping) : IAsyncStreamReader<T>
    {
        public T Current => inner.Current;

        public Task<bool> MoveNext(CancellationToken cancellationToken)
        {
            var next = inner.MoveNext(cancellationToken);
            return next.IsCompleted ? next : Await(next);
        }

        private async Task<bool> Await(Task<bool> next)
        {
            try
            {
                return await next.WaitAsync(stopping);
            }
            catch (OperationCanceledException e) when (e.CancellationToken == stopping)
            {
                throw new RpcException(Stopping);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "{Method}: the store is not available.")]
        public static partial void StoreUnavailable(ILogger logger, Exception exception, string method);
    }
}
