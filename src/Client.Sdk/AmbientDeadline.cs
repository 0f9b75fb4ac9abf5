namespace RouteService.Client;

/// <summary>
/// The deadline and the token of the call that this code serves, for the calls that it makes of RouteService meanwhile: they end by it, and with it. Flows with
/// <c>await</c>, as an <see cref="AsyncLocal{T}"/>.
/// </summary>
public static class AmbientDeadline
{
    private static readonly AsyncLocal<Scope?> Ambient = new();

    internal static Scope? Current => Ambient.Value;

    /// <summary>Sets it until the result is disposed of. Within another scope the earlier deadline counts, and both tokens do.</summary>
    /// <param name="deadline">When the call being served must be over; <see cref="DateTimeOffset.MaxValue"/> for never.</param>
    /// <param name="cancellationToken">Fires when whoever waits for the call being served no longer does.</param>
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
