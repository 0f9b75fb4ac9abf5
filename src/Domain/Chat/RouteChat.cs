using RouteService.Domain.Geography;

namespace RouteService.Domain.Chat;

/// <summary>Opens the streams of the chat, within the limits for one client.</summary>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public sealed class RouteChat(NoteFeed feed, NoteWriter writer, ChatOptions options, TimeProvider clock, ChatMetrics metrics)
{
    private readonly ClientCounts _clients = new();

    /// <summary>Opens a stream of notes, of the kind that the client asks for. Its disposal makes room for another.</summary>
    /// <exception cref="ChatLimitException">The client has too many streams, or listens at too many locations.</exception>
    public ChatStream Join(ChatJoin join)
    {
        if (join.Listen.Count > options.MaxLocationsPerStream)
        {
            throw new ChatLimitException(ChatLimit.LocationsPerStream, join.Listen.Count, options.MaxLocationsPerStream);
        }

        var streams = _clients.Add(join.Client);
        if (options.MaxStreamsPerClient > 0 && streams > options.MaxStreamsPerClient)
        {
            _clients.Remove(join.Client);
            throw new ChatLimitException(ChatLimit.StreamsPerClient, streams, options.MaxStreamsPerClient);
        }

        metrics.Joined();
        return join.IsSequenced
            ? new SequencedStream(join, feed, writer, options, clock, metrics, Leave)
            : new PublishedStream(feed, writer, options, clock, metrics, Leave);

        void Leave()
        {
            _clients.Remove(join.Client);
            metrics.Left();
        }
    }
}

/// <summary>How a client joins the chat.</summary>
public sealed record ChatJoin
{
    /// <summary>Whether the stream is sequenced: each note at most once, own notes included. Else it is as published.</summary>
    public bool IsSequenced { get; init; }

    /// <summary>The locations where a sequenced stream listens from the beginning.</summary>
    public IReadOnlyCollection<Coordinate> Listen { get; init; } = [];

    /// <summary>The sequence after which a sequenced stream resumes; null starts with the newest notes.</summary>
    public long? After { get; init; }

    /// <summary>The client, for the limit on streams of one client.</summary>
    public string Client { get; init; } = "";
}
