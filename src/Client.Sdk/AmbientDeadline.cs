namespace RouteService.Client;

/// <summary>
/// Deadline and cancellation token of the inbound call that this code serves. Calls of RouteService that begin within the scope inherit
/// both: they end by the deadline, and are cancelled with the token. The scope flows with <c>await</c>, as an <see cref="AsyncLocal{T}"/>.
/// In a server on ASP.NET Core gRPC, <see cref="DeadlinePropagationInterceptor"/> opens a scope for every call.
/// </summary>
public static class AmbientDeadline
{
    private static readonly AsyncLocal<Scope?> Ambient = new();

    /// <summary>The innermost scope that is open; null if there is none.</summary>
    internal static Scope? Current
    {
        get
        {
            // Work that outlives its scope still carries it.
            var scope = Ambient.Value;
            while (scope is { IsDisposed: true })
            {
                scope = scope.Outer;
            }

            return scope;
        }
    }

    /// <summary>
    /// Opens a scope, which lasts until the result is disposed. In a nested scope the earlier deadline applies, and both tokens do. Calls
    /// that begin after the disposal are free of the scope, also in background work that began within it.
    /// </summary>
    /// <param name="deadline">
    /// Deadline of the inbound call; <see cref="DateTimeOffset.MaxValue"/> for none. The time until then is measured once, here, so that a
    /// later change of the system's clock does not move the deadline.
    /// </param>
    /// <param name="cancellationToken">Cancelled when the inbound call is cancelled.</param>
    public static IDisposable Begin(DateTimeOffset deadline, CancellationToken cancellationToken = default) =>
        Ambient.Value = new Scope(Current, deadline, cancellationToken);

    internal sealed class Scope : IDisposable
    {
        private readonly TimeSpan _limit;
        private readonly long _start = TimeProvider.System.GetTimestamp();
        private readonly CancellationTokenSource? _both;
        private volatile bool _isDisposed;

        public Scope(Scope? outer, DateTimeOffset deadline, CancellationToken cancellationToken)
        {
            Outer = outer;
            var own = deadline == DateTimeOffset.MaxValue ? TimeSpan.MaxValue : deadline - TimeProvider.System.GetUtcNow();
            _limit = outer is not null && outer.TimeLeft < own ? outer.TimeLeft : own;
            _both = outer is { CancellationToken.CanBeCanceled: true } && cancellationToken.CanBeCanceled
                ? CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, outer.CancellationToken)
                : null;
            CancellationToken = _both?.Token ?? (cancellationToken.CanBeCanceled ? cancellationToken : outer?.CancellationToken ?? default);
        }

        public Scope? Outer { get; }

        public bool IsDisposed => _isDisposed;

        /// <summary>Time until the deadline; <see cref="TimeSpan.MaxValue"/> without one.</summary>
        public TimeSpan TimeLeft => _limit == TimeSpan.MaxValue ? _limit : _limit - TimeProvider.System.GetElapsedTime(_start);

        public CancellationToken CancellationToken { get; }

        public void Dispose()
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
            Ambient.Value = Outer;
            _both?.Dispose();
        }
    }
}
