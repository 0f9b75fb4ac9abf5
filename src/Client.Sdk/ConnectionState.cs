namespace RouteService.Client;

/// <summary>The state of a client's connections, as gRPC's connectivity states.</summary>
public enum ConnectionState
{
    /// <summary>No connection is open; the next call opens one.</summary>
    Idle,

    /// <summary>A connection is being established.</summary>
    Connecting,

    /// <summary>At least one connection is open.</summary>
    Ready,

    /// <summary>No connection can be established at present; the client keeps trying.</summary>
    TransientFailure,

    /// <summary>The client is disposed.</summary>
    Shutdown,
}
