namespace RouteService.Client;

/// <summary>What the service says of itself: the answers of the standard gRPC health service.</summary>
public enum ServiceHealth
{
    /// <summary>It does not say, or does not know the name that was asked for.</summary>
    Unknown,

    /// <summary>It answers calls.</summary>
    Serving,

    /// <summary>It is up, and cannot answer calls now.</summary>
    NotServing,
}
