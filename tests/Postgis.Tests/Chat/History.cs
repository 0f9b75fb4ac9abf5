using Grpc.Core;
using RouteService.Domain.Chat;
using RouteService.Domain.Geography;

namespace RouteService.Postgis.Tests.Chat;

/// <summary>One sequenced stream as its client has seen it.</summary>
/// <param name="Listen">Locations that it listens at from the beginning.</param>
/// <param name="After">Sequence after which it resumes; null for the newest notes.</param>
internal sealed record SequencedStream(IReadOnlyCollection<Coordinate> Listen, long? After)
{
    /// <summary>Ids of the posts that were sent in it.</summary>
    public HashSet<string> Posted { get; init; } = [];

    /// <summary>Notes in the order in which they arrived; without their author, which streams do not send.</summary>
    public List<LoggedNote> Received { get; init; } = [];

    /// <summary>Replica that it was opened to.</summary>
    public int Replica { get; init; }

    /// <summary>Its end; null while it is open.</summary>
    public Status? End { get; set; }

    public override string ToString() => $"replica {Replica}, after {After}, {Posted.Count} posted, {Received.Count} received, end {End}";
}

/// <summary>One published stream as its client has seen it: it has posted one note with a unique message.</summary>
internal sealed record PublishedStream(Coordinate Place, string Posted)
{
    /// <summary>Notes in the order in which they arrived.</summary>
    public List<RouteNote> Received { get; init; } = [];
}

/// <summary>The streams of one client, one after the other.</summary>
internal sealed record ClientHistory(string Client, IReadOnlyList<SequencedStream> Streams);
