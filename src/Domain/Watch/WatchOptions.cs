using System.ComponentModel.DataAnnotations;

namespace RouteService.Domain.Watch;

/// <summary>The change log of features, and the limits of those who watch it.</summary>
public sealed class WatchOptions
{
    /// <summary>Retention of changes, in days.</summary>
    [Range(1, 36_500)]
    public int KeepDays { get; init; } = 7;

    /// <summary>Limit of the changes that are kept, whatever their age: the newest.</summary>
    [Range(1_000, 10_000_000_000)]
    public long KeepChanges { get; init; } = 10_000_000;

    /// <summary>Limit of the watches of one client, which is the authenticated caller, else the address; 0 for no limit.</summary>
    [Range(0, 1_000_000)]
    public int MaxWatchesPerClient { get; init; }

    /// <summary>Time that a client may take to read one message, in seconds, before its watch is ended as a slow consumer.</summary>
    [Range(1, 86_400)]
    public int MaxSecondsBehind { get; init; } = 600;
}
