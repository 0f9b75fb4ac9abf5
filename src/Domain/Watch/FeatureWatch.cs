using System.Runtime.CompilerServices;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Watch;

/// <summary>
/// One watch: the changes in an area, in the order of the log. The features are read when they are due, so several changes of a feature
/// that come together are one event, with its last state. Memory is that of one page, whatever the client is behind.
/// </summary>
/// <threadsafety>For one reader.</threadsafety>
public sealed class FeatureWatch : IDisposable
{
    /// <summary>Silence after which a heartbeat comes.</summary>
    public static readonly TimeSpan HeartbeatPeriod = TimeSpan.FromSeconds(20);

    // Changes whose features are read together, each of up to 64 KiB.
    private const int PageSize = 64;

    private readonly FeatureReads _reads;
    private readonly ChangeFeed _feed;
    private readonly WatchOptions _options;
    private readonly TimeProvider _clock;
    private readonly WatchMetrics _metrics;
    private readonly Area? _area;
    private readonly long? _after;
    private readonly Action _onDispose;

    internal FeatureWatch(
        FeatureReads reads,
        ChangeFeed feed,
        WatchOptions options,
        TimeProvider clock,
        WatchMetrics metrics,
        Area? area,
        long? after,
        Action onDispose)
    {
        _reads = reads;
        _feed = feed;
        _options = options;
        _clock = clock;
        _metrics = metrics;
        _area = area;
        _after = after;
        _onDispose = onDispose;
        feed.Open();
    }

    /// <summary>The events to send, until cancelled. The first is a heartbeat.</summary>
    /// <exception cref="InvalidValueException">The log has not reached the sequence after which the watch was to begin.</exception>
    /// <exception cref="StoreUnavailableException">The store cannot answer.</exception>
    public async IAsyncEnumerable<WatchEvent> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var position = await BeginAsync(cancellationToken);
        yield return WatchEvent.Heartbeat(position.Sequence);

        var lastSent = _clock.GetTimestamp();
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var page = await _feed.ReadAfterAsync(position, PageSize, cancellationToken);
            position = page.Next;
            foreach (var sent in page.IsLost ? [WatchEvent.Reset(position.Sequence)] : await EventsAsync(page.Changes, cancellationToken))
            {
                yield return sent;

                Count(sent);
                lastSent = _clock.GetTimestamp();
            }

            if (_clock.GetElapsedTime(lastSent) >= HeartbeatPeriod)
            {
                // A heartbeat promises that the log is followed. Where it cannot be, this ends the watch, and its client goes elsewhere.
                await _feed.AdvanceAsync(cancellationToken);
                yield return WatchEvent.Heartbeat(position.Sequence);

                lastSent = _clock.GetTimestamp();
            }
            else if (page.Changes.IsEmpty && !page.IsLost)
            {
                await WaitAsync(position, HeartbeatPeriod - _clock.GetElapsedTime(lastSent), cancellationToken);
            }
        }
    }

    /// <summary>Waits for a write to a client that has stopped reading.</summary>
    /// <exception cref="WatchLimitException">The client has not taken the message in time.</exception>
    public async Task WaitForClientAsync(Task write, CancellationToken cancellationToken)
    {
        try
        {
            await write.WaitAsync(TimeSpan.FromSeconds(_options.MaxSecondsBehind), _clock, cancellationToken);
        }
        catch (TimeoutException)
        {
            _metrics.FellBehind();
            throw new WatchLimitException(WatchLimit.SecondsBehind, _options.MaxSecondsBehind);
        }
    }

    public void Dispose()
    {
        _feed.Close();
        _onDispose();
    }

    private async Task<FeedPosition> BeginAsync(CancellationToken cancellationToken)
    {
        // Another process may have reached the client's sequence before this one, so the log is read to its end.
        var head = await _feed.AdvanceAsync(cancellationToken);
        return _after is not { } after ? head
            : after <= head.Sequence ? head with { Sequence = after }
            : throw new InvalidValueException(
                "after_sequence",
                $"after_sequence is {after}, and the change log ends at {head.Sequence}: it is another log, such as that of a backup; "
                + "expected a sequence that it has, or none, and a list of the area.");
    }

    private async Task WaitAsync(FeedPosition position, TimeSpan limit, CancellationToken cancellationToken)
    {
        try
        {
            await _feed.WaitAsync(position).WaitAsync(limit, _clock, cancellationToken);
        }
        catch (TimeoutException)
        {
            // A heartbeat is due.
        }
    }

    /// <summary>The changes in the area; those before a reset are part of it.</summary>
    private async Task<List<WatchEvent>> EventsAsync(ReadOnlyMemory<LoggedChange> changes, CancellationToken cancellationToken)
    {
        var events = new List<WatchEvent>();
        var due = new List<LoggedChange>();
        foreach (var change in changes.ToArray())
        {
            if (change.Kind is ChangeKind.Reset)
            {
                if (_area is null || _area.Boxes.Any(box => box.Intersect(change.Box) is not null))
                {
                    events = [WatchEvent.Reset(change.Sequence)];
                    due.Clear();
                }
            }
            else if (_area?.Contains(change.Location) != false)
            {
                due.Add(change);
            }
        }

        if (due.Count == 0)
        {
            return events;
        }

        var kinds = due.GroupBy(static change => change.Location).ToDictionary(static at => at.Key, static at => at.First().Kind);
        var features = await _reads.ReadAsync(kinds.Keys, cancellationToken);
        var last = new HashSet<Coordinate>();
        due.Reverse();
        due.RemoveAll(change => !last.Add(change.Location));
        due.Reverse();
        events.AddRange(due.Select(change => WatchEvent.Of(change, kinds[change.Location], features.GetValueOrDefault(change.Location))));
        return events;
    }

    private void Count(WatchEvent sent)
    {
        if (sent.Kind is WatchEventKind.Reset)
        {
            _metrics.Reset();
        }
        else
        {
            _metrics.Delivered(_clock.GetUtcNow() - sent.ChangedAt);
        }
    }
}

/// <summary>Kinds of events of a watch.</summary>
public enum WatchEventKind
{
    Created,
    Updated,
    Deleted,

    /// <summary>Anything in the area may have changed.</summary>
    Reset,

    /// <summary>Nothing has changed.</summary>
    Heartbeat,
}

/// <summary>An event of a watch.</summary>
/// <param name="Kind">What has changed.</param>
/// <param name="Sequence">Everything that was due up to this sequence was sent, this event included.</param>
public sealed record WatchEvent(WatchEventKind Kind, long Sequence)
{
    /// <summary>The place of the feature that has changed.</summary>
    public Coordinate Location { get; private init; }

    /// <summary>The feature as it is now, if it was created or updated.</summary>
    public CatalogFeature? Feature { get; private init; }

    /// <summary>When it was changed.</summary>
    internal DateTimeOffset ChangedAt { get; private init; }

    internal static WatchEvent Heartbeat(long sequence) => new(WatchEventKind.Heartbeat, sequence);

    internal static WatchEvent Reset(long sequence) => new(WatchEventKind.Reset, sequence);

    /// <summary>The event of a feature.</summary>
    /// <param name="change">The last change that the event stands for.</param>
    /// <param name="first">The kind of the first one, which tells whether the feature existed before.</param>
    /// <param name="feature">The feature as it is now; null where it is missing.</param>
    internal static WatchEvent Of(LoggedChange change, ChangeKind first, CatalogFeature? feature) => new(
        feature is null ? WatchEventKind.Deleted : first is ChangeKind.Created ? WatchEventKind.Created : WatchEventKind.Updated,
        change.Sequence)
    {
        Location = change.Location,
        Feature = feature,
        ChangedAt = change.Time,
    };
}
