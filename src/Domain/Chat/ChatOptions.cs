using System.ComponentModel.DataAnnotations;

namespace RouteService.Domain.Chat;

/// <summary>The limits of the chat.</summary>
public sealed class ChatOptions
{
    /// <summary>Limit of the earlier notes that a post, or the joining of a location, brings: the newest.</summary>
    [Range(1, 1_000_000)]
    public int HistoryPerPost { get; init; } = 1_000;

    /// <summary>The longest message accepted, in bytes of UTF-8.</summary>
    [Range(1, 1_048_576)]
    public int MaxMessageBytes { get; init; } = 4_096;

    /// <summary>Retention of notes, in days.</summary>
    [Range(1, 36_500)]
    public int KeepDays { get; init; } = 30;

    /// <summary>Size of the in-memory cache of the newest notes, in megabytes. Older notes are read from the log on demand.</summary>
    [Range(1, 65_536)]
    public int CacheMegabytes { get; init; } = 64;

    /// <summary>Limit of the locations of one stream.</summary>
    [Range(1, 1_000_000)]
    public int MaxLocationsPerStream { get; init; } = 10_000;

    /// <summary>Limit on unanswered posts of one stream. At the limit its next post is not read until an answer has been sent.</summary>
    [Range(1, 10_000)]
    public int MaxUnansweredPosts { get; init; } = 64;

    /// <summary>Limit of the streams of one client, which is the authenticated caller, else the address; 0 for no limit.</summary>
    [Range(0, 1_000_000)]
    public int MaxStreamsPerClient { get; init; }

    /// <summary>Time that a stream may be behind without a break, in seconds, before it is ended as a slow consumer.</summary>
    [Range(1, 86_400)]
    public int MaxSecondsBehind { get; init; } = 600;
}
