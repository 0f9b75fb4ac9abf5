using RouteService.Domain.Geography;
using RouteService.Domain.Watch;

namespace RouteService.Postgis.Tests.Watch;

/// <summary>The checker finds what it is there to find: forged histories, each with one thing wrong.</summary>
public sealed class WatchHistoryCheckerTests
{
    private static readonly Coordinate Here = new(1, 1);
    private static readonly Coordinate There = new(9, 9);
    private static readonly Area Near = new Box(new Coordinate(0, 0), new Coordinate(5, 5));

    private readonly List<LoggedChange> _log =
    [
        Logged(1, ChangeKind.Created, Here), Logged(2, ChangeKind.Created, There), Logged(3, ChangeKind.Updated, Here), Logged(4, ChangeKind.Reset, There),
        Logged(5, ChangeKind.Updated, Here), Logged(6, ChangeKind.Deleted, There), Logged(7, ChangeKind.Deleted, Here),
    ];

    [Fact]
    public void What_is_as_promised_has_no_violation()
    {
        Assert.Empty(Check(null, 0, Beat(0), At(2, There), At(3, Here), Reset(4), At(5, Here), At(6, There), Beat(6), At(7, Here)));
        Assert.Empty(Check(null, 0, Beat(0), Reset(4), At(6, There), At(7, Here)));
        Assert.Empty(Check(Near, 1, Beat(1), At(3, Here), Beat(4), At(7, Here)));
        Assert.Empty(Check(null, null, Beat(5)));
        Assert.Empty(Check(null, null));
    }

    [Fact]
    public void A_change_that_is_missing_is_found()
    {
        AssertFound("sent 3 without", Check(null, 0, Beat(0), At(1, Here), At(3, Here)));
        AssertFound("sent 6 without", Check(Near, 4, Beat(4), Beat(6)));
        AssertFound("sent 5 without", Check(null, 0, Beat(0), At(2, There), At(3, Here), At(5, Here)));
    }

    [Fact]
    public void A_repeat_a_swap_and_what_was_not_logged_are_found()
    {
        AssertFound("sent 3 after 3", Check(null, 2, Beat(2), At(3, Here), At(3, Here)));
        AssertFound("sent 2 after 3", Check(null, 1, Beat(1), At(3, Here), At(2, There)));
        AssertFound("and the log has", Check(null, 4, Beat(4), At(5, There)));
        AssertFound("and the log has", Check(null, 4, Beat(4), Reset(5)));
        AssertFound("of elsewhere", Check(Near, 5, Beat(5), At(6, There)));
    }

    [Fact]
    public void A_wrong_beginning_is_found()
    {
        AssertFound("first", Check(null, 4, At(5, Here)));
        AssertFound("begins at 5", Check(null, 4, Beat(5)));
    }

    [Fact]
    public void A_gap_in_the_log_is_found()
    {
        _log.RemoveAt(2);
        AssertFound("the log has 4 after 2", Check(null, 5, Beat(5)));
    }

    private static LoggedChange Logged(long sequence, ChangeKind kind, Coordinate place) => new(sequence, kind, new BoundingBox(place, place), default);

    private static ReceivedChange Beat(long sequence) => new(WatchEventKind.Heartbeat, sequence, default);

    private static ReceivedChange Reset(long sequence) => new(WatchEventKind.Reset, sequence, default);

    private static ReceivedChange At(long sequence, Coordinate place) => new(WatchEventKind.Updated, sequence, place);

    private static void AssertFound(string violation, List<string> violations) =>
        Assert.Contains(violations, found => found.Contains(violation, StringComparison.Ordinal));

    private List<string> Check(Area? area, long? after, params ReceivedChange[] received) =>
        WatchHistoryChecker.Check(_log, "client", area, new WatchStream(after) { Received = [.. received] });
}
