namespace RouteService.Client;

/// <summary>
/// What to listen to: one span a call, with its retries as events, and the histogram <c>rpc.client.call.duration</c> in seconds, both by the OpenTelemetry
/// conventions for RPC; and the counter <c>routeservice.client.retries</c>.
/// </summary>
public static class RouteServiceTelemetry
{
    /// <summary>For <c>AddSource</c>.</summary>
    public const string ActivitySourceName = "RouteService.Client";

    /// <summary>For <c>AddMeter</c>.</summary>
    public const string MeterName = "RouteService.Client";
}
