namespace RouteService.Client;

/// <summary>
/// Deadline and cancellation token of the call that this code serves. Calls of RouteService that are made within the scope inherit both:
/// they end by the deadline, and are cancelled with the token. The scope flows with <c>await</c>, as an <see cref="AsyncLocal{T}"/>.
/// </summary>
public static class AmbientDeadline
{
    private static readonly AsyncLocal<Scope?> Ambient = new();

    internal static Scope? Current => Ambient.Value;

    /// <summary>
    /// Opens a scope, which lasts until the result is disposed. In a nested scope the earlier deadline applies, and both tokens do.
    /// </summary>
    /// <param name="deadline">Deadline of the call being served; <see cref="DateTimeOffset.MaxValue"/> for none.</param>
    /// <param name="cancellationToken">Cancelled when the inbound call is cancelled.</param>
    public static IDisposable Begin(DateTimeOffset deadline, CancellationToken cancellationToken = default)
    {
        var outer = Ambient.Value;
        var earliest = outer is not null && outer.Deadline < deadline ? outer.Deadline : deadline;
        var scope = new Scope(outer, earliest, cancellationToken);
        Ambient.Value = scope;
        return scope;
    }

    internal sealed class Scope : IDisposable
    {
        private readonly Scope? _outer;
        private readonly CancellationTokenSource? _both;

        public Scope(Scope? outer, DateTimeOffset deadline, CancellationToken cancellationToken)
        {
            _outer = outer;
            Deadline = deadline;
            _both = outer is { CancellationToken.CanBeCanceled: true } && cancellationToken.CanBeCanceled
                ? CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, outer.CancellationToken)
                : null;
            CancellationToken = _both?.Token ?? (cancellationToken.CanBeCanceled ? cancellationToken : outer?.CancellationToken ?? default);
        }

        public DateTimeOffset Deadline { get; }

        public CancellationToken CancellationToken { get; }

        public void Dispose()
        {
            Ambient.Value = _outer;
            _both?.Dispose();
        }
    }
}
