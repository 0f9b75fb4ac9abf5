namespace RouteService.Client;

/// <summary>
/// Names of the telemetry: one span for each call, with its retries as events, and the histogram <c>rpc.client.call.duration</c> in
/// seconds, both by the OpenTelemetry conventions for RPC; and the counter <c>routeservice.client.retries</c>.
/// </summary>
public static class RouteServiceTelemetry
{
    /// <summary>Name for <c>AddSource</c>.</summary>
    public const string ActivitySourceName = "RouteService.Client";

    /// <summary>Name for <c>AddMeter</c>.</summary>
    public const string MeterName = "RouteService.Client";
}
