namespace Grpc.Core;

/// <summary>What a client asks of one call.</summary>
internal readonly struct CallOptions
{
    /// <param name="headers">Metadata to send.</param>
    /// <param name="deadline">When the call must have ended, in UTC; null for never. A time that is not marked as UTC fails the call's start.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <param name="writeOptions">For each request message.</param>
    /// <param name="propagationToken">From a call being served, whose deadline and cancellation this one takes over.</param>
    /// <param name="credentials">Adds metadata to this call.</param>
    public CallOptions(
        Metadata? headers = null,
        DateTime? deadline = null,
        CancellationToken cancellationToken = default,
        WriteOptions? writeOptions = null,
        ContextPropagationToken? propagationToken = null,
        CallCredentials? credentials = null)
    {
        Headers = headers;
        Deadline = deadline;
        CancellationToken = cancellationToken;
        WriteOptions = writeOptions;
        PropagationToken = propagationToken;
        Credentials = credentials;
    }

    public Metadata? Headers { get; private init; }

    public DateTime? Deadline { get; private init; }

    public CancellationToken CancellationToken { get; private init; }

    public WriteOptions? WriteOptions { get; private init; }

    public ContextPropagationToken? PropagationToken { get; private init; }

    public CallCredentials? Credentials { get; private init; }

    /// <summary>Whether the call waits while there is no connection, until its deadline, rather than fail at once.</summary>
    public bool IsWaitForReady { get; private init; }

    public CallOptions WithHeaders(Metadata headers) => this with { Headers = headers };

    public CallOptions WithDeadline(DateTime deadline) => this with { Deadline = deadline };

    public CallOptions WithCancellationToken(CancellationToken cancellationToken) => this with { CancellationToken = cancellationToken };

    public CallOptions WithWriteOptions(WriteOptions writeOptions) => this with { WriteOptions = writeOptions };

    public CallOptions WithPropagationToken(ContextPropagationToken propagationToken) => this with { PropagationToken = propagationToken };

    public CallOptions WithCredentials(CallCredentials credentials) => this with { Credentials = credentials };

    public CallOptions WithWaitForReady(bool waitForReady = true) => this with { IsWaitForReady = waitForReady };
}

[Flags]
internal enum WriteFlags
{
    /// <summary>The message may wait for more to come.</summary>
    BufferHint = 0x1,

    /// <summary>The message is not compressed although the call is.</summary>
    NoCompress = 0x2,
}

internal class WriteOptions(WriteFlags flags = default)
{
    public static readonly WriteOptions Default = new();

    public WriteFlags Flags { get; } = flags;
}

/// <summary>What a call being served passes on to a call that its handler makes.</summary>
internal abstract class ContextPropagationToken
{
    private protected ContextPropagationToken()
    {
    }
}

internal class ContextPropagationOptions(bool propagateDeadline = true, bool propagateCancellation = true)
{
    public static readonly ContextPropagationOptions Default = new();

    public bool IsPropagateDeadline { get; } = propagateDeadline;

    public bool IsPropagateCancellation { get; } = propagateCancellation;
}
