using System.Diagnostics;
using System.Diagnostics.Metrics;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>
/// What is told of calls: the meter "Grpc.AspNetCore.Server", and the RPC's attributes on the span that ASP.NET Core has begun (OpenTelemetry's
/// semantic conventions for RPC and for gRPC). With nobody listening a call costs three reads of a flag.
/// </summary>
internal static class ServerTelemetry
{
    public const string MeterName = "Grpc.AspNetCore.Server";

    // Names that clients make up would be labels without bound.
    private const string Unknown = "_OTHER";

    private static readonly Meter Meter = new(MeterName);

    private static readonly Histogram<double> Duration = Meter.CreateHistogram(
        "rpc.server.call.duration",
        "s",
        "From a call's headers to its status.",
        tags: null,
        new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300] });

    private static readonly UpDownCounter<long> Active = Meter.CreateUpDownCounter<long>("rpc.server.active_calls", "{call}", "Calls that have begun and not ended.");
    private static readonly Counter<long> Received = Meter.CreateCounter<long>("rpc.server.request.messages", "{message}", "Messages that ended calls had received.");
    private static readonly Counter<long> Sent = Meter.CreateCounter<long>("rpc.server.response.messages", "{message}", "Messages that ended calls had sent.");

    private static readonly KeyValuePair<string, object?> RpcSystem = new("rpc.system", "grpc");

    // The number, as the convention has it, boxed once.
    private static readonly object[] Codes = [.. Enumerable.Range(0, 17).Select(static code => (object)code)];

    /// <summary>Whether anybody wants to know of calls.</summary>
    public static bool IsEnabled => Duration.Enabled || Active.Enabled || Received.Enabled || Sent.Enabled;

    public static void Began(IMethod method) => Active.Add(1, RpcSystem, Service(method), Name(method));

    /// <summary>Tells of a call that has ended.</summary>
    /// <param name="method">Its method; null for one that there is not.</param>
    /// <param name="status">How.</param>
    /// <param name="duration">How long it took.</param>
    /// <param name="received">Messages of the request.</param>
    /// <param name="sent">Messages of the response.</param>
    public static void Ended(IMethod? method, StatusCode status, TimeSpan duration, long received, long sent)
    {
        var tags = new TagList { RpcSystem, Service(method), Name(method) };
        if (method is not null)
        {
            Active.Add(-1, tags);
        }

        tags.Add("rpc.grpc.status_code", Box(status));
        Duration.Record(duration.TotalSeconds, tags);
        Received.Add(received, tags);
        Sent.Add(sent, tags);
    }

    /// <summary>Makes the request's span one of RPC. What the client did wrong is no error of ours.</summary>
    public static void Describe(HttpContext http, IMethod? method, Status status)
    {
        if (http.Features.Get<IHttpActivityFeature>()?.Activity is not { IsAllDataRequested: true } activity)
        {
            return;
        }

        activity.DisplayName = method is null ? Unknown : method.FullName[1..];
        activity.SetTag(RpcSystem.Key, RpcSystem.Value);
        activity.SetTag("rpc.service", Service(method).Value);
        activity.SetTag("rpc.method", Name(method).Value);
        activity.SetTag("rpc.grpc.status_code", Box(status.StatusCode));
        if (IsServerFault(status.StatusCode))
        {
            activity.SetTag("error.type", status.StatusCode.ToString());
            activity.SetStatus(ActivityStatusCode.Error, status.Detail);
        }
    }

    // The codes that the convention calls errors of a server's span.
    private static bool IsServerFault(StatusCode code) => code
        is StatusCode.Unknown or StatusCode.DeadlineExceeded or StatusCode.Unimplemented or StatusCode.Internal or StatusCode.Unavailable or StatusCode.DataLoss;

    private static object Box(StatusCode code) => (int)code < Codes.Length ? Codes[(int)code] : (int)code;

    private static KeyValuePair<string, object?> Service(IMethod? method) => new("rpc.service", method?.ServiceName ?? Unknown);

    private static KeyValuePair<string, object?> Name(IMethod? method) => new("rpc.method", method?.Name ?? Unknown);
}
