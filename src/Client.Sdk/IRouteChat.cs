namespace RouteService.Client;

/// <summary>
/// A chat session. Its enumeration yields the notes of its places, own notes included: each once, in the order of their sequences. Only the
/// earlier notes of a place that a post joins are out of that order: they arrive before the post, in their own order. When the connection
/// breaks, the session reconnects and continues: no note is lost, and none is repeated.
/// </summary>
/// <remarks>
/// One enumeration at a time; the next continues where the last one stopped. The enumeration ends after <see cref="CompleteAsync"/>, and
/// throws <see cref="RouteServiceException"/> if the session cannot be resumed. Notes that are not read stay with the service, and are
/// fetched when they are read.
/// <para>
/// A session is at 10 000 places at most. At more than 2 000 it has several streams: notes of different places may then overtake each
/// other. Those of one place never do.
/// </para>
/// </remarks>
/// <threadsafety>All members may be called at once from any thread.</threadsafety>
public interface IRouteChat : IAsyncEnumerable<RouteNote>, IAsyncDisposable
{
    /// <summary>
    /// Posts a note, and completes when the service has committed it. If a connection breaks before the acknowledgement arrives, the note
    /// is posted again, and stored once. After the post the session also listens at the place.
    /// </summary>
    /// <param name="location">Place of the note.</param>
    /// <param name="message">Text of the note: at most <see cref="RouteServiceClientOptions.MaxNoteBytes"/> bytes of UTF-8.</param>
    /// <param name="noteId">
    /// Id of the note, unique among all notes: the same note posted again with its id, in any session, is stored once, and another note
    /// with that id is refused. At most 128 bytes of UTF-8. Null (default) for a random id.
    /// </param>
    /// <param name="cancellationToken">Stops waiting. The note may be committed nevertheless.</param>
    /// <returns>The committed note, with its sequence.</returns>
    /// <exception cref="ArgumentException">
    /// The message or the id is too long; or the id is empty, already in flight, or that of another note. The session goes on.
    /// </exception>
    /// <exception cref="RouteServiceException">The session has failed.</exception>
    /// <exception cref="InvalidOperationException">
    /// <see cref="CompleteAsync"/> was called before; or the place would be the session's 10 001st. The session goes on in the second case.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The session or its client is disposed.</exception>
    Task<RouteNote> PostAsync(Coordinate location, string message, string? noteId = null, CancellationToken cancellationToken = default);

    /// <summary>
    /// Ends posting, and completes when all posts are acknowledged. The enumeration ends when all notes that the service owes have arrived.
    /// </summary>
    /// <param name="cancellationToken">Stops waiting for the acknowledgements.</param>
    /// <exception cref="ArgumentException">A post was refused, because its id is that of another note.</exception>
    /// <exception cref="RouteServiceException">The session has failed.</exception>
    /// <exception cref="InvalidOperationException"><see cref="CompleteAsync"/> was called before.</exception>
    /// <exception cref="ObjectDisposedException">The session or its client is disposed.</exception>
    Task CompleteAsync(CancellationToken cancellationToken = default);
}
