namespace RouteService.Client;

/// <summary>A note that somebody left at a place.</summary>
/// <param name="Location">Where; notes meet only at exactly the same coordinate.</param>
/// <param name="Message">What it says.</param>
/// <param name="Sequence">Its place in the order of all notes, from 1. A session that is joined with this goes on behind it.</param>
/// <param name="Id">The id that its author gave it; null where it was posted without.</param>
public sealed record RouteNote(Coordinate Location, string Message, long Sequence, string? Id)
{
    /// <summary>Whether it was posted in this session.</summary>
    public bool IsOwn { get; init; }
}
