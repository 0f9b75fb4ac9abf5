using System.ComponentModel.DataAnnotations;

namespace RouteService.Domain.Chat;

/// <summary>The bounds of the chat.</summary>
public sealed class ChatOptions
{
    /// <summary>The most earlier notes that answer a post: the newest of them.</summary>
    [Range(1, 1_000_000)]
    public int HistoryPerPost { get; init; } = 1_000;

    /// <summary>The longest message accepted, in bytes of UTF-8.</summary>
    [Range(1, 1_048_576)]
    public int MaxMessageBytes { get; init; } = 4_096;

    /// <summary>The notes kept in all; beyond it the oldest are dropped.</summary>
    [Range(1, 100_000_000)]
    public int MaxNotes { get; init; } = 1_000_000;

    /// <summary>The places one stream can post at.</summary>
    [Range(1, 1_000_000)]
    public int MaxLocationsPerStream { get; init; } = 10_000;

    /// <summary>The posts of one stream that are accepted and not yet answered; a stream that has as many is not read from until it reads.</summary>
    [Range(1, 10_000)]
    public int MaxUnansweredPosts { get; init; } = 64;
}
