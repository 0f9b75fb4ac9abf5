using System.Text;

namespace RouteService.Domain.Chat;

/// <summary>
/// Ids of notes. An id is its author's own name for a note, unique among all notes, so that a post can be repeated after a break. The same
/// note posted again is kept once, and acknowledged with the sequence it has. Another note with the same id is refused.
/// </summary>
internal static class NoteId
{
    /// <summary>The longest id, in bytes of UTF-8.</summary>
    public const int MaxBytes = 128;

    /// <exception cref="ChatLimitException">The id is too long.</exception>
    public static void CheckLength(string? id)
    {
        if (id is not null && Encoding.UTF8.GetByteCount(id) is var bytes && bytes > MaxBytes)
        {
            throw new ChatLimitException(ChatLimit.IdBytes, bytes, MaxBytes);
        }
    }

    /// <summary>Decides about a post after its commit.</summary>
    /// <param name="post">The post.</param>
    /// <param name="kept">The note in the log: the post's own, or an earlier one with its id.</param>
    /// <returns>The refusal of the post; null if it is acknowledged.</returns>
    public static NoteIdTakenException? Refusal(RouteNote post, LoggedNote kept) =>
        kept.Note == post ? null : new NoteIdTakenException(kept.Id!, kept.Sequence);
}

/// <summary>The id of a post is in the log already, with another location or message. The post is not kept.</summary>
/// <param name="id">The id.</param>
/// <param name="sequence">The sequence of the note that has it.</param>
public sealed class NoteIdTakenException(string id, long sequence)
    : Exception(FormattableString.Invariant($"The id '{id}' is that of another note, {sequence}."))
{
    public string Id => id;

    public long Sequence => sequence;
}
