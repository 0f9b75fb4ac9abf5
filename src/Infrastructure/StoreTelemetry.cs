using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace RouteService.Infrastructure;

/// <summary>Metrics and traces of the store: the meter and the activity source "RouteService.Store".</summary>
public static class StoreTelemetry
{
    public const string Name = "RouteService.Store";

    private static readonly Meter Meter = new(Name);

    private static readonly Histogram<int> BatchSize = Meter.CreateHistogram(
        "routeservice.lookups.batch.size",
        "{point}",
        "Points of one look-up query, by caller.",
        tags: null,
        new InstrumentAdvice<int> { HistogramBucketBoundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] });

    private static readonly Histogram<double> Wait = Meter.CreateHistogram(
        "routeservice.lookups.wait",
        "s",
        "Time from the arrival of a look-up to its query.",
        tags: null,
        new InstrumentAdvice<double>
        {
            HistogramBucketBoundaries = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
        });

    private static readonly Histogram<int> WritesTogether = Meter.CreateHistogram(
        "routeservice.writes.batch.size",
        "{write}",
        "Calls that write features, in one transaction.",
        tags: null,
        new InstrumentAdvice<int> { HistogramBucketBoundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256] });

    private static readonly Counter<long> Imported = Meter.CreateCounter<long>(
        "routeservice.import.records", "{record}", "Records of completed imports.");

    private static readonly Histogram<double> ImportDuration = Meter.CreateHistogram(
        "routeservice.import.duration",
        "s",
        "Time of an import.",
        tags: null,
        new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.1, 1, 5, 10, 30, 60, 300, 1800] });

    private static readonly KeyValuePair<string, object?> ByGetFeature = new("caller", "get_feature");
    private static readonly KeyValuePair<string, object?> ByRecordRoute = new("caller", "record_route");

    internal static ActivitySource Source { get; } = new(Name);

    /// <summary>Whether the waits of look-ups are measured.</summary>
    internal static bool TimesWaits => Wait.Enabled;

    public static void HasImported(long records, TimeSpan duration)
    {
        Imported.Add(records);
        ImportDuration.Record(duration.TotalSeconds);
    }

    internal static void LooksUpForGetFeature(int points) => BatchSize.Record(points, ByGetFeature);

    internal static void LooksUpForRecordRoute(int points) => BatchSize.Record(points, ByRecordRoute);

    internal static void Writes(int calls) => WritesTogether.Record(calls);

    internal static void HasWaited(TimeSpan time) => Wait.Record(time.TotalSeconds);

    /// <summary>
    /// Starts the span of work for several callers, as a child of the first recorded caller's and linked to the others'. Without a recorded
    /// caller, an unrecorded span keeps Npgsql from starting a trace for the query.
    /// </summary>
    /// <param name="name">Name of the span.</param>
    /// <param name="sizeTag">The tag for the number of callers.</param>
    /// <param name="callers">The spans of the callers.</param>
    internal static Activity? Follow(string name, string sizeTag, List<ActivityContext> callers)
    {
        if (!Source.HasListeners())
        {
            return null;
        }

        var recorded = callers.FindAll(static caller => caller.TraceFlags.HasFlag(ActivityTraceFlags.Recorded));
        return recorded.Count == 0
            ? new Activity(name).Start()
            : Source.StartActivity(
                name,
                ActivityKind.Internal,
                recorded[0],
                [new(sizeTag, callers.Count)],
                recorded.Skip(1).Select(static caller => new ActivityLink(caller)));
    }
}
