namespace RouteService.Client;

/// <summary>
/// A session in the chat. Enumerated, it is the notes of its places: each once, own ones too, in the order of their sequences; only the earlier notes of a place
/// that is joined by a post come before it, in their own order. Where the connection breaks it is made anew and the session goes on: no note is lost, and none
/// comes twice.
/// </summary>
/// <remarks>
/// One enumeration at a time; the next goes on where the last one was left. It ends after <see cref="CompleteAsync"/>, and throws
/// <see cref="RouteServiceException"/> where the session cannot be resumed. Notes that nobody reads are left with the service, and fetched when somebody does.
/// </remarks>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public interface IRouteChat : IAsyncEnumerable<RouteNote>, IAsyncDisposable
{
    /// <summary>
    /// Leaves a note, and completes when the service has committed it. A note whose acknowledgement is lost with a connection is posted again, and kept once. The
    /// session listens at the place from then on.
    /// </summary>
    /// <param name="location">Where.</param>
    /// <param name="message">What it says: at most <see cref="RouteServiceClientOptions.MaxNoteBytes"/> bytes of UTF-8.</param>
    /// <param name="noteId">
    /// At most 128 bytes of UTF-8, unique among all notes, so that posting the same note again with its id, in any session, keeps it once. Null, the default,
    /// for a random one.
    /// </param>
    /// <param name="cancellationToken">Stops waiting; whether the note is left is then not known.</param>
    /// <returns>The note, with its sequence.</returns>
    /// <exception cref="ArgumentException">The message or the id is too long, or the id is empty, under way already, or that of another note which has come.</exception>
    /// <exception cref="RouteServiceException">The session has failed.</exception>
    /// <exception cref="InvalidOperationException">After <see cref="CompleteAsync"/>.</exception>
    /// <exception cref="ObjectDisposedException">The session or its client is disposed of.</exception>
    Task<RouteNote> PostAsync(Coordinate location, string message, string? noteId = null, CancellationToken cancellationToken = default);

    /// <summary>Nothing more is posted: what is under way is acknowledged, and the enumeration ends when what the service owes has come.</summary>
    /// <param name="cancellationToken">Stops waiting for the acknowledgements.</param>
    /// <exception cref="RouteServiceException">The session has failed.</exception>
    /// <exception cref="InvalidOperationException">It has been completed before.</exception>
    /// <exception cref="ObjectDisposedException">The session or its client is disposed of.</exception>
    Task CompleteAsync(CancellationToken cancellationToken = default);
}
