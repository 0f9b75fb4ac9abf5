namespace Grpc.Core;

/// <summary>The deadline and cancellation of a call being served, for calls that its handler makes.</summary>
/// <param name="deadline">UTC; <see cref="DateTime.MaxValue"/> for none.</param>
/// <param name="cancellationToken">Fires when the call being served is over.</param>
internal sealed class CallPropagationToken(DateTime deadline, CancellationToken cancellationToken) : ContextPropagationToken
{
    public DateTime Deadline { get; } = deadline;

    public CancellationToken CancellationToken { get; } = cancellationToken;
}
