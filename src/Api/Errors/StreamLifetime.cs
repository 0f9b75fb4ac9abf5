using System.Diagnostics.CodeAnalysis;
using Grpc.Core;

namespace RouteService.Api.Errors;

/// <summary>Ends the streams that wait for their client when the service stops: a client may be silent for hours.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The source has no timer and no wait handle; a stream may end after its container.")]
internal sealed class StreamLifetime
{
    private static readonly Status Stopping =
        new(StatusCode.Unavailable, "The service is shutting down; call again, and another replica answers.");

    private readonly CancellationTokenSource _ending = new();

    /// <summary>Ends the wait of every open request stream, and of those that open later, with UNAVAILABLE.</summary>
    public Task EndAsync() => _ending.CancelAsync();

    /// <summary>A request stream whose reads end with UNAVAILABLE after <see cref="EndAsync"/>.</summary>
    public IAsyncStreamReader<T> Bind<T>(IAsyncStreamReader<T> requests) => new Reader<T>(requests, _ending.Token);

    private sealed class Reader<T>(IAsyncStreamReader<T> requests, CancellationToken ending) : IAsyncStreamReader<T>
    {
        public T Current => requests.Current;

        public Task<bool> MoveNext(CancellationToken cancellationToken)
        {
            var next = requests.MoveNext(cancellationToken);
            return next.IsCompleted ? next : WaitAsync(next);
        }

        private async Task<bool> WaitAsync(Task<bool> next)
        {
            try
            {
                return await next.WaitAsync(ending);
            }
            catch (OperationCanceledException e) when (e.CancellationToken == ending)
            {
                throw new RpcException(Stopping);
            }
        }
    }
}
