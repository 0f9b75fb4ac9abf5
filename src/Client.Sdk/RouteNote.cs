namespace RouteService.Client;

/// <summary>A note posted at a place.</summary>
/// <param name="Location">Place of the note. Notes meet only at exactly the same coordinate.</param>
/// <param name="Message">Text of the note.</param>
/// <param name="Sequence">
/// Position in the order of all notes, from 1. <see cref="IRouteServiceClient.JoinChatAsync"/> resumes after it.
/// </param>
/// <param name="Id">Id that the author gave the note; null for a note posted without one.</param>
public sealed record RouteNote(Coordinate Location, string Message, long Sequence, string? Id)
{
    /// <summary>Whether the note was posted in this session.</summary>
    public bool IsOwn { get; init; }
}
