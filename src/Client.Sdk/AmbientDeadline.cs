namespace RouteService.Client;

/// <summary>
/// The deadline and the token of the call that this code serves, for the calls that it makes of RouteService meanwhile: they end by it, and with it. Flows with
/// <c>await</c>, as an <see cref="AsyncLocal{T}"/>.
/// </summary>
public static class AmbientDeadline
{
    private static readonly AsyncLocal<Scope?> Ambient = new();

    internal static Scope? Current => Ambient.Value;

    /// <summary>Sets it until the result is disposed of. Within another scope the earlier deadline counts.</summary>
    /// <param name="deadline">When the call being served must be over; <see cref="DateTimeOffset.MaxValue"/> for never.</param>
    /// <param name="cancellationToken">Fires when whoever waits for the call being served no longer does.</param>
    public static IDisposable Begin(DateTimeOffset deadline, CancellationToken cancellationToken = default)
    {
        var outer = Ambient.Value;
        var earliest = outer is not null && outer.Deadline < deadline ? outer.Deadline : deadline;
        var scope = new Scope(outer, earliest, cancellationToken.CanBeCanceled ? cancellationToken : outer?.CancellationToken ?? default);
        Ambient.Value = scope;
        return scope;
    }

    internal sealed class Scope(Scope? outer, DateTimeOffset deadline, CancellationToken cancellationToken) : IDisposable
    {
        public DateTimeOffset Deadline { get; } = deadline;

        public CancellationToken CancellationToken { get; } = cancellationToken;

        public void Dispose() => Ambient.Value = outer;
    }
}
