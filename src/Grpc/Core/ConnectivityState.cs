namespace Grpc.Core;

/// <summary>How a channel stands with its server (gRPC "Connectivity Semantics and API").</summary>
internal enum ConnectivityState
{
    /// <summary>No connection, and none is being made: the next call, or being asked to connect, makes one.</summary>
    Idle,

    /// <summary>A connection is being made, or the addresses to make one to are being found.</summary>
    Connecting,

    /// <summary>The server has answered on a connection that is still open.</summary>
    Ready,

    /// <summary>The last attempt failed; the next begins after a pause.</summary>
    TransientFailure,

    /// <summary>The channel has been disposed of.</summary>
    Shutdown,
}
