using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>
/// What is told of calls: the meter "Grpc.AspNetCore.Server", and the RPC's attributes on the span that ASP.NET Core has begun (OpenTelemetry's
/// semantic conventions for RPC and for gRPC). With nobody listening a call costs some reads of flags.
/// </summary>
internal static class ServerTelemetry
{
    public const string MeterName = "Grpc.AspNetCore.Server";

    // Names that clients make up would be labels without bound.
    private const string Unknown = "_OTHER";

    private static readonly ConcurrentDictionary<(string Service, string Method), CallCounts> Methods = [];

    private static readonly Meter Meter = new(MeterName);

    private static readonly Histogram<double> Duration = Meter.CreateHistogram(
        "rpc.server.call.duration",
        "s",
        "From a call's headers to its status.",
        tags: null,
        new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300] });

    private static readonly ObservableUpDownCounter<long> Active = Meter.CreateObservableUpDownCounter(
        "rpc.server.active_calls", static () => Methods.Values.Select(static method => method.Active), "{call}", "Calls that have begun and not ended.");

    private static readonly ObservableCounter<long> Received = Meter.CreateObservableCounter(
        "rpc.server.request.messages", static () => Methods.Values.SelectMany(static method => method.Received), "{message}", "Messages that ended calls had received.");

    private static readonly ObservableCounter<long> Sent = Meter.CreateObservableCounter(
        "rpc.server.response.messages", static () => Methods.Values.SelectMany(static method => method.Sent), "{message}", "Messages that ended calls had sent.");

    /// <summary>Whether anybody wants to know of calls.</summary>
    public static bool IsEnabled => Duration.Enabled || Active.Enabled || Received.Enabled || Sent.Enabled;

    /// <summary>The counts of a method; null for methods that there are not.</summary>
    public static CallCounts CountsOf(IMethod? method) => Methods.GetOrAdd(
        (method?.ServiceName ?? Unknown, method?.Name ?? Unknown), static name => new CallCounts(name.Service, name.Method));

    /// <summary>Tells of a call that has ended.</summary>
    /// <param name="counts">Of its method.</param>
    /// <param name="status">How.</param>
    /// <param name="duration">How long it took.</param>
    /// <param name="received">Messages of the request.</param>
    /// <param name="sent">Messages of the response.</param>
    public static void Ended(CallCounts counts, StatusCode status, TimeSpan duration, long received, long sent) =>
        Duration.Record(duration.TotalSeconds, counts.End(status, received, sent));

    /// <summary>Makes the request's span one of RPC. What the client did wrong is no error of ours.</summary>
    public static void Describe(HttpContext http, CallCounts counts, Status status)
    {
        if (http.Features.Get<IHttpActivityFeature>()?.Activity is not { IsAllDataRequested: true } activity)
        {
            return;
        }

        activity.DisplayName = counts.DisplayName;
        foreach (var (key, value) in counts.TagsOf(status.StatusCode))
        {
            activity.SetTag(key, value);
        }

        if (IsServerFault(status.StatusCode))
        {
            activity.SetTag("error.type", status.StatusCode.ToString());
            activity.SetStatus(ActivityStatusCode.Error, status.Detail);
        }
    }

    // The codes that the convention calls errors of a server's span.
    private static bool IsServerFault(StatusCode code) => code
        is StatusCode.Unknown or StatusCode.DeadlineExceeded or StatusCode.Unimplemented or StatusCode.Internal or StatusCode.Unavailable or StatusCode.DataLoss;
}
