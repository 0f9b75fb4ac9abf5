namespace RouteService.Api.Telemetry;

/// <summary>A feature of the management port's connections, which tells requests of that port from others.</summary>
internal sealed class ManagementConnection;
