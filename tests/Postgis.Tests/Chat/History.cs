using Grpc.Core;
using RouteService.Domain.Chat;
using RouteService.Domain.Geography;

namespace RouteService.Postgis.Tests.Chat;

/// <summary>One sequenced stream as its client has seen it.</summary>
/// <param name="Listen">The places that it has asked for at the beginning.</param>
/// <param name="After">The sequence behind which it has asked for their notes; null for the newest.</param>
internal sealed record SequencedStream(IReadOnlyCollection<Coordinate> Listen, long? After)
{
    /// <summary>The ids that were handed to the service on it.</summary>
    public HashSet<string> Posted { get; init; } = [];

    /// <summary>In the order in which they came; without their author, who is not told.</summary>
    public List<LoggedNote> Received { get; init; } = [];

    /// <summary>The replica that it was opened to.</summary>
    public int Replica { get; init; }

    /// <summary>How it ended; null while it is open.</summary>
    public Status? End { get; set; }

    public override string ToString() => $"replica {Replica}, after {After}, {Posted.Count} posted, {Received.Count} received, end {End}";
}

/// <summary>One published stream as its client has seen it: it has posted one note, of a message that no other has.</summary>
internal sealed record PublishedStream(Coordinate Place, string Posted)
{
    /// <summary>In the order in which they came.</summary>
    public List<RouteNote> Received { get; init; } = [];
}

/// <summary>The streams of one client, one after the other.</summary>
internal sealed record ClientHistory(string Client, IReadOnlyList<SequencedStream> Streams);
