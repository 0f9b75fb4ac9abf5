using System.Diagnostics.CodeAnalysis;
using Grpc.Core;

namespace RouteService.Api.Errors;

/// <summary>
/// Ends request streams, and calls without an end of their own, at the shutdown of the service (<c>Shutdown</c> says when): they may go on
/// for hours.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "The source has no timer and no wait handle; a stream may end after its container.")]
internal sealed class StreamLifetime
{
    private static readonly Status Stopping =
        new(StatusCode.Unavailable, "The service is shutting down; call again, and another replica answers.");

    private readonly CancellationTokenSource _ending = new();

    /// <summary>Ends the pending reads of all open request streams, and the reads of later ones, with UNAVAILABLE.</summary>
    public Task EndAsync() => _ending.CancelAsync();

    /// <summary>A request stream whose reads end with UNAVAILABLE after <see cref="EndAsync"/>. Dispose of it with the call.</summary>
    public Reader<T> Bind<T>(IAsyncStreamReader<T> requests) => new(requests, _ending.Token);

    /// <summary>Runs a call that does not end by itself: after <see cref="EndAsync"/> it ends with UNAVAILABLE.</summary>
    /// <param name="call">Ends when its token is cancelled.</param>
    /// <param name="cancellationToken">The client's.</param>
    public async Task RunAsync(Func<CancellationToken, Task> call, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ending.Token);
        try
        {
            await call(either.Token);
        }
        catch (OperationCanceledException) when (_ending.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new RpcException(Stopping);
        }
    }

    /// <summary>
    /// Cancels the pending read at the end. To stop waiting for it is not enough: Kestrel reuses the stream of a call that has ended, and a
    /// read that is still pending then fails a later call with "Reading is already in progress".
    /// </summary>
    internal sealed class Reader<T>(IAsyncStreamReader<T> requests, CancellationToken ending) : IAsyncStreamReader<T>, IDisposable
    {
        // Linked once, as a call reads all its messages with one token.
        private CancellationTokenSource? _either;
        private CancellationToken _token;

        public T Current => requests.Current;

        public Task<bool> MoveNext(CancellationToken cancellationToken)
        {
            if (_either is null || cancellationToken != _token)
            {
                _either?.Dispose();
                _either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, ending);
                _token = cancellationToken;
            }

            var next = requests.MoveNext(_either.Token);
            return next.IsCompletedSuccessfully ? next : WaitAsync(next);
        }

        public void Dispose() => _either?.Dispose();

        private async Task<bool> WaitAsync(Task<bool> next)
        {
            try
            {
                return await next;
            }
            catch (OperationCanceledException) when (ending.IsCancellationRequested && !_token.IsCancellationRequested)
            {
                throw new RpcException(Stopping);
            }
        }
    }
}
