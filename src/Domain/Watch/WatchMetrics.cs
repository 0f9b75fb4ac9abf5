using System.Diagnostics.Metrics;

namespace RouteService.Domain.Watch;

/// <summary>The instruments of the change log and its watches, those of the meter "RouteService.Watch".</summary>
public sealed class WatchMetrics
{
    public const string MeterName = "RouteService.Watch";

    private readonly UpDownCounter<long> _watches;
    private readonly Counter<long> _changes;
    private readonly Counter<long> _resets;
    private readonly Histogram<double> _deliveryDelay;
    private readonly Counter<long> _fallenBehind;
    private readonly Counter<long> _logReads;
    private volatile bool _isFollowing;

    public WatchMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _watches = meter.CreateUpDownCounter<long>("routeservice.watch.streams", "{stream}", "Streams of WatchFeatures that are open.");
        _changes = meter.CreateCounter<long>("routeservice.watch.changes", "{change}", "Changes of features sent to watches.");
        _resets = meter.CreateCounter<long>("routeservice.watch.resets", "{reset}", "Resets sent to watches.");
        _deliveryDelay = meter.CreateHistogram(
            "routeservice.watch.delivery.delay",
            "s",
            "Time from the commit of a change, by the clock of the store, until it was written to a watch.",
            tags: null,
            DelayBuckets.Seconds);
        _fallenBehind = meter.CreateCounter<long>(
            "routeservice.watch.fallen_behind", "{stream}", "Watches ended as slow consumers.");
        _logReads = meter.CreateCounter<long>(
            "routeservice.watch.log_reads", "{read}", "Reads of watches that are too far behind for the changes in memory.");
        meter.CreateObservableGauge(
            "routeservice.watch.following",
            () => _isFollowing ? 1 : 0,
            unit: null,
            "1 while the change log is followed, 0 while it cannot be.");

        // Exported from the start, so that the first event is an increase.
        _changes.Add(0);
        _resets.Add(0);
        _fallenBehind.Add(0);
        _logReads.Add(0);
    }

    public void Opened() => _watches.Add(1);

    public void Closed() => _watches.Add(-1);

    public void Delivered(TimeSpan delay)
    {
        _changes.Add(1);
        _deliveryDelay.Record(Math.Max(0, delay.TotalSeconds));
    }

    public void Reset() => _resets.Add(1);

    public void FellBehind() => _fallenBehind.Add(1);

    public void Follows(bool isFollowing) => _isFollowing = isFollowing;

    public void ReadFromLog() => _logReads.Add(1);
}
