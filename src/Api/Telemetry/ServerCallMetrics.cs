using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Http.Features;

namespace RouteService.Api.Telemetry;

/// <summary>
/// Metrics of the calls that this server answers, and the same attributes on their spans, by OpenTelemetry's conventions for RPC
/// (https://opentelemetry.io/docs/specs/semconv/rpc/): Grpc.AspNetCore has no Meter. As the outermost middleware it sees every end of a
/// call: statuses of services, refusals of the middleware behind it, unknown methods, cancellations and lost connections.
/// </summary>
internal sealed class ServerCallMetrics
{
    public const string MeterName = "RouteService.Server";

    private const string StatusHeader = "grpc-status";
    private const string MessageHeader = "grpc-message";

    private readonly TimeProvider _clock;
    private readonly Histogram<double> _duration;
    private readonly ObservableUpDownCounter<long> _active;
    private readonly ConcurrentDictionary<IMethod, MethodMetrics> _methods = new(ReferenceEqualityComparer.Instance);

    // Clients can make up method names, which would be unbounded labels.
    private readonly MethodMetrics _unknown = new("_OTHER", "_OTHER", name: "_OTHER", type: null);

    public ServerCallMetrics(IMeterFactory meters, TimeProvider clock)
    {
        _clock = clock;
        var meter = meters.Create(MeterName);
        _duration = meter.CreateHistogram(
            "rpc.server.call.duration",
            "s",
            "Duration of a call, from its headers to its status.",
            tags: null,
            new InstrumentAdvice<double>
            {
                HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800],
            });

        // Observable: an instrument that is called for each call costs several times more than a counter in a field.
        _active = meter.CreateObservableUpDownCounter(
            "rpc.server.active_calls", () => Observe(static method => method.Active), "{call}", "Open calls.");
        meter.CreateObservableCounter(
            "rpc.server.request.messages", () => Observe(static method => method.Received), "{message}", "Messages received.");
        meter.CreateObservableCounter(
            "rpc.server.response.messages", () => Observe(static method => method.Sent), "{message}", "Messages sent.");
    }

    /// <summary>The middleware.</summary>
    public Task InvokeAsync(HttpContext http, RequestDelegate next)
    {
        var span = Activity.Current is { IsAllDataRequested: true } current ? current : null;
        return (span is not null || _duration.Enabled || _active.Enabled) && IsCall(http) ? ObserveAsync(http, next, span) : next(http);
    }

    /// <summary>The numbers of a call's method.</summary>
    public MethodMetrics MethodOf(HttpContext http) => http.GetEndpoint()?.Metadata.GetMetadata<GrpcMethodMetadata>()?.Method is { } method
        ? _methods.GetOrAdd(
            method,
            static method => new MethodMetrics(method.ServiceName, method.Name, $"{method.ServiceName}/{method.Name}", method.Type))
        : _unknown;

    /// <summary>The name of the span of a call; null if the request is not a call.</summary>
    public string? SpanNameOf(HttpContext http) => IsCall(http) ? MethodOf(http).Name : null;

    private async Task ObserveAsync(HttpContext http, RequestDelegate next, Activity? span)
    {
        var method = MethodOf(http);
        var started = _clock.GetTimestamp();
        method.Begin();
        try
        {
            await next(http);
        }
        finally
        {
            var status = StatusOf(http);
            method.End(status);
            _duration.Record(_clock.GetElapsedTime(started).TotalSeconds, method.TagsOf(status));
            if (span is not null)
            {
                Describe(span, method, status, http.Response);
            }
        }
    }

    /// <summary>Describes the span of a request as that of a call. A caller's mistake is not an error of the server's span.</summary>
    private static void Describe(Activity span, MethodMetrics method, StatusCode status, HttpResponse response)
    {
        foreach (var (key, value) in method.TagsOf(status))
        {
            span.SetTag(key, value);
        }

        // The same attributes under Grpc.AspNetCore's names.
        span.SetTag("grpc.method", null);
        span.SetTag("grpc.status_code", null);
        if (IsServerFault(status))
        {
            span.SetTag("error.type", status.ToString());
            var message = Trailer(response, MessageHeader);
            span.SetStatus(ActivityStatusCode.Error, message is null ? null : Uri.UnescapeDataString(message));
        }
    }

    private static bool IsCall(HttpContext http) =>
        http.Request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) is true;

    /// <summary>
    /// The status that ended a call. If the caller is gone, a read or write throws and the call ends UNKNOWN: it counts as CANCELLED. So
    /// does a call that ended without a status because its connection was lost.
    /// </summary>
    private static StatusCode StatusOf(HttpContext http)
    {
        if (Trailer(http.Response, StatusHeader) is { } text
            && int.TryParse(text, CultureInfo.InvariantCulture, out var code)
            && (StatusCode)code is not StatusCode.Unknown)
        {
            return (StatusCode)code;
        }

        return http switch
        {
            { RequestAborted.IsCancellationRequested: true } => StatusCode.Cancelled,
            { Response.StatusCode: StatusCodes.Status404NotFound } => StatusCode.Unimplemented,
            _ => StatusCode.Unknown,
        };
    }

    // A response without messages sends its trailers as headers ("Trailers-Only").
    private static string? Trailer(HttpResponse response, string name)
    {
        var trailers = response.HttpContext.Features.Get<IHttpResponseTrailersFeature>()?.Trailers;
        return trailers is not null && trailers.TryGetValue(name, out var value) ? value : response.Headers[name];
    }

    // The codes that the conventions call errors of a server's span.
    private static bool IsServerFault(StatusCode status) => status is StatusCode.Unknown or StatusCode.DeadlineExceeded
        or StatusCode.Unimplemented or StatusCode.Internal or StatusCode.Unavailable or StatusCode.DataLoss;

    private IEnumerable<Measurement<long>> Observe(Func<MethodMetrics, long> number)
    {
        foreach (var method in _methods.Values.Append(_unknown).Where(static method => method.IsUsed))
        {
            yield return new Measurement<long>(number(method), method.Tags);
        }
    }
}
