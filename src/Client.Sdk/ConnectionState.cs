namespace RouteService.Client;

/// <summary>The state of a client's connections, as gRPC's connectivity states.</summary>
public enum ConnectionState
{
    /// <summary>None is open; the next call opens one.</summary>
    Idle,

    /// <summary>One is being made.</summary>
    Connecting,

    /// <summary>At least one is open.</summary>
    Ready,

    /// <summary>None can be made for now; it is tried again.</summary>
    TransientFailure,

    /// <summary>The client is disposed of.</summary>
    Shutdown,
}
