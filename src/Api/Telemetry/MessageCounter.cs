using Grpc.Core;
using Grpc.Core.Interceptors;

namespace RouteService.Api.Telemetry;

/// <summary>
/// Counts the messages of streams for <see cref="ServerCallMetrics"/>, which does not see them. Every interceptor costs each call, so this
/// one is added only if metrics are exported, and only to services with streams.
/// </summary>
internal sealed class MessageCounter(ServerCallMetrics metrics) : Interceptor
{
    public override Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream,
        ServerCallContext context,
        ClientStreamingServerMethod<TRequest, TResponse> continuation) =>
        continuation(new CountingReader<TRequest>(requestStream, MethodOf(context)), context);

    public override Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request,
        IServerStreamWriter<TResponse> responseStream,
        ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation) =>
        continuation(request, new CountingWriter<TResponse>(responseStream, MethodOf(context)), context);

    public override Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream,
        IServerStreamWriter<TResponse> responseStream,
        ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        var method = MethodOf(context);
        return continuation(
            new CountingReader<TRequest>(requestStream, method), new CountingWriter<TResponse>(responseStream, method), context);
    }

    private MethodMetrics MethodOf(ServerCallContext context) => metrics.MethodOf(context.GetHttpContext());

    private sealed class CountingReader<T>(IAsyncStreamReader<T> inner, MethodMetrics method) : IAsyncStreamReader<T>
    {
        public T Current => inner.Current;

        public async Task<bool> MoveNext(CancellationToken cancellationToken)
        {
            if (!await inner.MoveNext(cancellationToken))
            {
                return false;
            }

            method.CountReceived();
            return true;
        }
    }

    private sealed class CountingWriter<T>(IServerStreamWriter<T> inner, MethodMetrics method) : IServerStreamWriter<T>
    {
        public WriteOptions? WriteOptions
        {
            get => inner.WriteOptions;
            set => inner.WriteOptions = value;
        }

        public Task WriteAsync(T message)
        {
            method.CountSent();
            return inner.WriteAsync(message);
        }

        public Task WriteAsync(T message, CancellationToken cancellationToken)
        {
            method.CountSent();
            return inner.WriteAsync(message, cancellationToken);
        }
    }
}
