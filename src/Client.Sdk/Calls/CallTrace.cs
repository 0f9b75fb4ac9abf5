using System.Diagnostics;
using System.Diagnostics.Metrics;
using Grpc.Core;

namespace RouteService.Client.Calls;

/// <summary>
/// The span and the measurement of one call, by the OpenTelemetry conventions for RPC and gRPC
/// (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/). The span is current during the call, which sends its context (W3C traceparent).
/// </summary>
internal readonly struct CallTrace : IDisposable
{
    // The same attributes as in the service's spans and metrics, so that both sides of a call are found by the same names.
    private const string StatusKey = "rpc.grpc.status_code";

    private static readonly KeyValuePair<string, object?> System = new("rpc.system", "grpc");

    private static readonly ActivitySource Source = new(RouteServiceTelemetry.ActivitySourceName, RouteServiceClient.Version);
    private static readonly Meter Meter = new(RouteServiceTelemetry.MeterName, RouteServiceClient.Version);

    private static readonly Histogram<double> Duration = Meter.CreateHistogram<double>(
        "rpc.client.call.duration", "s", "From the start of a call to its end, retries included.", tags: null,
        new InstrumentAdvice<double>
        {
            HistogramBucketBoundaries = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
        });

    private static readonly Counter<long> Retries = Meter.CreateCounter<long>(
        "routeservice.client.retries", "{retry}", "Attempts of calls after the first, and resumptions of streams.");

    private readonly Ended? _ended;

    private CallTrace(Activity? activity, Ended? ended)
    {
        Activity = activity;
        _ended = ended;
    }

    public Activity? Activity { get; }

    public static CallTrace Start(string method, CallContext context)
    {
        var activity = Source.HasListeners() ? StartActivity(method, context.Server) : null;
        return activity is null && !Duration.Enabled
            ? default
            : new CallTrace(activity, new Ended(method, context));
    }

    /// <summary>Records another attempt, or another stream after a break.</summary>
    public static void Retry(Activity? activity, int retry, TimeSpan pause, StatusCode code)
    {
        Retries.Add(1);
        activity?.AddEvent(new ActivityEvent("retry", tags: new ActivityTagsCollection
        {
            ["rpc.retry.attempt"] = retry,
            ["rpc.retry.delay"] = pause.TotalSeconds,
            [StatusKey] = (int)code,
        }));
    }

    /// <summary>Records an attempt in addition to a slow one.</summary>
    public static void Hedge(Activity? activity, int attempt)
    {
        Retries.Add(1);
        activity?.AddEvent(new ActivityEvent("hedge", tags: new ActivityTagsCollection { ["rpc.retry.attempt"] = attempt }));
    }

    public void Fail(Exception failure)
    {
        if (_ended is not null)
        {
            _ended.Status = failure switch
            {
                RouteServiceException error => error.StatusCode ?? StatusCode.Unavailable,
                OperationCanceledException or ObjectDisposedException => StatusCode.Cancelled,
                _ => StatusCode.Unknown,
            };
            Activity?.SetStatus(ActivityStatusCode.Error, failure.Message);
        }
    }

    public void Dispose()
    {
        if (_ended is null)
        {
            return;
        }

        var isOk = _ended.Status == StatusCode.OK;
        if (Duration.Enabled)
        {
            var tags = default(TagList);
            var (service, method) = NamesOf(_ended.Method);
            tags.Add(System);
            tags.Add(service);
            tags.Add(method);
            tags.Add(StatusKey, (int)_ended.Status);
            if (_ended.Context.Server is { } server)
            {
                tags.Add("server.address", server.Host);
                tags.Add("server.port", server.Port);
            }

            if (!isOk)
            {
                tags.Add("error.type", RouteServiceException.NameOf(_ended.Status));
            }

            Duration.Record(_ended.Context.Options.Clock.GetElapsedTime(_ended.Start).TotalSeconds, tags);
        }

        if (Activity is not null)
        {
            Activity.SetTag(StatusKey, (int)_ended.Status);
            if (!isOk)
            {
                Activity.SetTag("error.type", RouteServiceException.NameOf(_ended.Status));
            }

            // The end of a span makes its parent current, but the caller may be in another span by now.
            var current = Activity.Current;
            Activity.Dispose();
            if (current != Activity)
            {
                Activity.Current = current;
            }
        }
    }

    private static Activity? StartActivity(string method, Uri? server)
    {
        var (service, name) = NamesOf(method);
        KeyValuePair<string, object?>[] tags = server is null
            ? [System, service, name]
            : [System, service, name, new("server.address", server.Host), new("server.port", server.Port)];
        return Source.StartActivity(method, ActivityKind.Client, parentContext: default, tags);
    }

    private static (KeyValuePair<string, object?> Service, KeyValuePair<string, object?> Method) NamesOf(string method)
    {
        var slash = method.IndexOf('/', StringComparison.Ordinal);
        return (new("rpc.service", method[..slash]), new("rpc.method", method[(slash + 1)..]));
    }

    private sealed class Ended(string method, CallContext context)
    {
        public string Method { get; } = method;

        public CallContext Context { get; } = context;

        public long Start { get; } = context.Options.Clock.GetTimestamp();

        public StatusCode Status { get; set; } = StatusCode.OK;
    }
}
