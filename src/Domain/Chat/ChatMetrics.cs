using System.Diagnostics.Metrics;

namespace RouteService.Domain.Chat;

/// <summary>The chat's instruments, those of the meter "RouteService.Chat".</summary>
public sealed class ChatMetrics
{
    public const string MeterName = "RouteService.Chat";

    private static readonly InstrumentAdvice<int> Notes = new()
    {
        HistogramBucketBoundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
    };

    private readonly UpDownCounter<long> _streams;
    private readonly Counter<long> _posts;
    private readonly Histogram<int> _batchSize;
    private readonly Histogram<double> _commitDuration;
    private readonly Histogram<double> _deliveryDelay;
    private readonly Counter<long> _fallenBehind;
    private readonly Counter<long> _logReads;
    private volatile bool _isFollowing;

    public ChatMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _streams = meter.CreateUpDownCounter<long>("routeservice.chat.streams", "{stream}", "Streams of RouteChat that are open.");
        _posts = meter.CreateCounter<long>("routeservice.chat.posts", "{note}", "Notes committed.");
        _batchSize = meter.CreateHistogram("routeservice.chat.commit.size", "{note}", "Notes of one commit.", tags: null, Notes);
        _commitDuration = meter.CreateHistogram(
            "routeservice.chat.commit.duration", "s", "Time of a commit.", tags: null, DelayBuckets.Seconds);
        _deliveryDelay = meter.CreateHistogram(
            "routeservice.chat.delivery.delay",
            "s",
            "Time from a notification or an acknowledgement until its notes were written to the stream.",
            tags: null,
            DelayBuckets.Seconds);
        _fallenBehind = meter.CreateCounter<long>(
            "routeservice.chat.fallen_behind", "{stream}", "Streams ended as slow consumers.");
        _logReads = meter.CreateCounter<long>(
            "routeservice.chat.log_reads", "{read}", "Reads of streams that the cache could not answer.");
        meter.CreateObservableGauge(
            "routeservice.chat.following",
            () => _isFollowing ? 1 : 0,
            unit: null,
            "1 while notes of other processes come in, 0 while the log cannot be followed.");

        // Exported from the start, so that the first event is an increase.
        _posts.Add(0);
        _fallenBehind.Add(0);
        _logReads.Add(0);
    }

    public void Joined() => _streams.Add(1);

    public void Left() => _streams.Add(-1);

    public void Committed(int notes, TimeSpan duration)
    {
        _posts.Add(notes);
        _batchSize.Record(notes);
        _commitDuration.Record(duration.TotalSeconds);
    }

    public void Delivered(TimeSpan delay) => _deliveryDelay.Record(delay.TotalSeconds);

    public void FellBehind() => _fallenBehind.Add(1);

    public void Follows(bool isFollowing) => _isFollowing = isFollowing;

    public void ReadFromLog() => _logReads.Add(1);
}
