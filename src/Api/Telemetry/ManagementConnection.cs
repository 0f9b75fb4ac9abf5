namespace RouteService.Api.Telemetry;

/// <summary>A feature of the management port's connections, by which a request tells where it came in.</summary>
internal sealed class ManagementConnection;
