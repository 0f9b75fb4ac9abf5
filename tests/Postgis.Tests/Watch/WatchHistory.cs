using RouteService.Domain.Geography;
using RouteService.Domain.Watch;

namespace RouteService.Postgis.Tests.Watch;

/// <summary>What a client of WatchFeatures has received on one stream.</summary>
/// <param name="After">Where it was to begin; null for from now on.</param>
internal sealed record WatchStream(long? After)
{
    public List<ReceivedChange> Received { get; init; } = [];
}

/// <summary>A message of a watch.</summary>
internal readonly record struct ReceivedChange(WatchEventKind Kind, long Sequence, Coordinate Location);

/// <summary>
/// Checks the promise of WatchFeatures against the log: each stream begins with a heartbeat where it was to begin, has every change of its area up to its
/// last message, each itself or with a later one of the same feature or by a later reset, in the log's order, and nothing else.
/// </summary>
internal static class WatchHistoryChecker
{
    /// <returns>The violations, in sentences.</returns>
    public static List<string> Check(IReadOnlyList<LoggedChange> log, string client, Area? area, WatchStream stream)
    {
        var violations = new List<string>();
        foreach (var (i, change) in log.Index())
        {
            Expect(i == 0 || change.Sequence == log[i - 1].Sequence + 1, $"the log has {change.Sequence} after {log[Math.Max(0, i - 1)].Sequence}");
        }

        if (stream.Received.Count == 0)
        {
            return violations;
        }

        var logged = log.ToDictionary(static change => change.Sequence);
        var first = stream.Received[0];
        Expect(first.Kind is WatchEventKind.Heartbeat, $"{client} was sent {first} first");
        Expect(stream.After is null || stream.After == first.Sequence, $"{client} begins at {first.Sequence} and not after {stream.After}");
        var last = first.Sequence;
        foreach (var received in stream.Received.Skip(1))
        {
            var isNext = received.Kind is WatchEventKind.Heartbeat ? received.Sequence >= last : received.Sequence > last;
            Expect(isNext, $"{client} was sent {received.Sequence} after {last}");
            last = Math.Max(last, received.Sequence);
            if (received.Kind is not WatchEventKind.Heartbeat)
            {
                var change = logged.GetValueOrDefault(received.Sequence);
                Expect(
                    received.Kind is WatchEventKind.Reset
                        ? change.Kind is ChangeKind.Reset
                        : change.Kind is ChangeKind.Created or ChangeKind.Updated or ChangeKind.Deleted && change.Location == received.Location,
                    $"{client} was sent {received}, and the log has {change}");
                Expect(received.Kind is WatchEventKind.Reset || area?.Contains(received.Location) != false, $"{client} was sent {received} of elsewhere");
            }
        }

        var lastOf = stream.Received.Where(static received => received.Kind is not (WatchEventKind.Heartbeat or WatchEventKind.Reset))
            .GroupBy(static received => received.Location).ToDictionary(static at => at.Key, static at => at.Max(static received => received.Sequence));
        var lastReset = stream.Received.Where(static received => received.Kind is WatchEventKind.Reset).Select(static received => received.Sequence)
            .DefaultIfEmpty().Max();
        foreach (var change in log.Where(change => change.Sequence > first.Sequence && change.Sequence <= last && change.Sequence > lastReset))
        {
            var isDue = change.Kind is ChangeKind.Reset
                ? area is null || area.Boxes.Any(box => box.Intersect(change.Box) is not null)
                : area?.Contains(change.Location) != false;
            Expect(
                !isDue || (change.Kind is not ChangeKind.Reset && lastOf.GetValueOrDefault(change.Location) >= change.Sequence),
                $"{client} was sent {last} without {change}");
        }

        return violations;

        void Expect(bool isSo, string violation)
        {
            if (!isSo)
            {
                violations.Add(violation);
            }
        }
    }
}
