namespace RouteService.Client;

/// <summary>Health of the service, as the standard gRPC health service reports it.</summary>
public enum ServiceHealth
{
    /// <summary>The service reports no status, or does not know the name.</summary>
    Unknown,

    /// <summary>Answering calls.</summary>
    Serving,

    /// <summary>Running but not ready.</summary>
    NotServing,
}
