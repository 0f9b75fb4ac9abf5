namespace RouteService.Domain.Watch;

/// <summary>The limits of watches (<see cref="WatchOptions"/>).</summary>
public enum WatchLimit
{
    WatchesPerClient,

    /// <summary>The client is a slow consumer: it has not read a message for too long.</summary>
    SecondsBehind,
}

/// <summary>A watch is over a limit.</summary>
public sealed class WatchLimitException(WatchLimit limit, int maximum)
    : Exception(FormattableString.Invariant($"{limit} is above its maximum of {maximum}."))
{
    public WatchLimit Limit => limit;

    public int Maximum => maximum;
}
