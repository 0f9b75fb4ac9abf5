using Grpc.Core;
using Grpc.Core.Interceptors;

namespace RouteService.Client;

/// <summary>
/// Server interceptor for applications that are gRPC servers themselves: the calls of RouteService that serve an inbound call end with it.
/// They inherit its deadline, if that is earlier than their own, and its cancellation. Register it once, for all services:
/// <c>services.AddGrpc(options => options.Interceptors.Add&lt;DeadlinePropagationInterceptor&gt;())</c>.
/// </summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public sealed class DeadlinePropagationInterceptor : Interceptor
{
    /// <inheritdoc/>
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        using var scope = Begin(context);
        return await continuation(request, context).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public override async Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream,
        ServerCallContext context,
        ClientStreamingServerMethod<TRequest, TResponse> continuation)
    {
        using var scope = Begin(context);
        return await continuation(requestStream, context).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request,
        IServerStreamWriter<TResponse> responseStream,
        ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        using var scope = Begin(context);
        await continuation(request, responseStream, context).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public override async Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream,
        IServerStreamWriter<TResponse> responseStream,
        ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        using var scope = Begin(context);
        await continuation(requestStream, responseStream, context).ConfigureAwait(false);
    }

    private static IDisposable Begin(ServerCallContext context)
    {
        ArgumentNullException.ThrowIfNull(context);

        // DateTime.MaxValue, in UTC, for a call without a deadline.
        var deadline = context.Deadline == DateTime.MaxValue ? DateTimeOffset.MaxValue : new DateTimeOffset(context.Deadline);
        return AmbientDeadline.Begin(deadline, context.CancellationToken);
    }
}
