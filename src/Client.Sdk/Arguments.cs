using System.Text;
using System.Text.Json.Nodes;

namespace RouteService.Client;

/// <summary>
/// Checks of arguments that the client and its double in RouteService.Client.Testing have in common; compiled into both.
/// </summary>
internal static class Arguments
{
    /// <summary>Limit of the places of a chat session.</summary>
    public const int MaxPlaces = 10_000;

    private const int MaxIdBytes = 128;
    private const int MaxBatch = 1_000;
    private const int MaxPage = 1_000;

    public static void CheckTimeout(TimeSpan? timeout)
    {
        if (timeout is { } time && time <= TimeSpan.Zero && time != Timeout.InfiniteTimeSpan)
        {
            throw new ArgumentOutOfRangeException(nameof(timeout), time, "A timeout must be more than zero, or Timeout.InfiniteTimeSpan.");
        }
    }

    /// <returns>The places to listen at, each once.</returns>
    public static HashSet<Coordinate> CheckJoin(IEnumerable<Coordinate>? places, long? after)
    {
        var listen = places?.ToHashSet() ?? [];
        if (listen.Count > MaxPlaces)
        {
            throw new ArgumentException(
                FormattableString.Invariant(
                    $"A session listens at {MaxPlaces} places at most; these are {listen.Count}. Join several sessions."),
                nameof(places));
        }

        if (after is { } sequence)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(sequence, nameof(after));
            if (listen.Count == 0)
            {
                throw new ArgumentException("To resume after a note, name the places to listen at.", nameof(places));
            }
        }

        return listen;
    }

    public static void CheckPost(string message, int maxMessageBytes, string? noteId)
    {
        ArgumentNullException.ThrowIfNull(message);
        CheckNote(message, maxMessageBytes, nameof(message), "note");
        if (noteId is not null)
        {
            ArgumentException.ThrowIfNullOrEmpty(noteId);
            CheckNote(noteId, MaxIdBytes, nameof(noteId), "note's id");
        }
    }

    /// <summary>The failure of a post under the id of another note.</summary>
    public static ArgumentException TakenId(string noteId, string sequence) =>
        new($"The id '{noteId}' is that of another note, {sequence}.", nameof(noteId));

    /// <summary>The failure of a post at a further place than the <see cref="MaxPlaces"/> of its session.</summary>
    public static InvalidOperationException TooManyPlaces(Coordinate location) => new(FormattableString.Invariant(
        $"The session is at {MaxPlaces} places, the most for one session. Post at {location} in another session."));

    public static void CheckUnicode(string text, string parameter)
    {
        // UTF-8 has no unpaired surrogates: another character would be written in their place.
        for (var i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i]))
            {
                continue;
            }

            if (i + 1 == text.Length || !char.IsSurrogatePair(text[i], text[i + 1]))
            {
                throw new ArgumentException(
                    FormattableString.Invariant($"The text has an unpaired surrogate at index {i}; expected Unicode."), parameter);
            }

            i++;
        }
    }

    public static void CheckPut(string? name, JsonObject? properties, string? etag, bool mustNotExist)
    {
        if (name is null && properties is null)
        {
            throw new ArgumentException("There is nothing to write; expected a name, properties, or both.", nameof(name));
        }

        if (mustNotExist && !string.IsNullOrEmpty(etag))
        {
            throw new ArgumentException("A feature that must not exist has no etag; expected either.", nameof(etag));
        }

        CheckUnicode(name ?? "", nameof(name));
    }

    public static void CheckBatch<T>(IReadOnlyCollection<T> features)
    {
        ArgumentNullException.ThrowIfNull(features);
        if (features.Count is 0 or > MaxBatch)
        {
            throw new ArgumentException(
                FormattableString.Invariant($"A batch has 1 to {MaxBatch} features; this one has {features.Count}."), nameof(features));
        }
    }

    public static void CheckAfter(long? after)
    {
        if (after is { } sequence)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(sequence, nameof(after));
        }
    }

    /// <param name="value">Features to ask for at once.</param>
    /// <param name="parameter">Name of the argument.</param>
    public static void CheckPageSize(int value, string parameter)
    {
        if (value is < 1 or > MaxPage)
        {
            throw new ArgumentOutOfRangeException(
                parameter, value, FormattableString.Invariant($"One answer has 1 to {MaxPage} features."));
        }
    }

    private static void CheckNote(string text, int maxBytes, string parameter, string what)
    {
        CheckUnicode(text, parameter);
        if (text.IndexOf('\0', StringComparison.Ordinal) is var index and >= 0)
        {
            throw new ArgumentException(
                FormattableString.Invariant($"A {what} has no character U+0000; this one has it at index {index}."), parameter);
        }

        var bytes = Encoding.UTF8.GetByteCount(text);
        if (bytes > maxBytes)
        {
            throw new ArgumentException(
                FormattableString.Invariant($"A {what} has at most {maxBytes} bytes of UTF-8; this one has {bytes}."), parameter);
        }
    }
}
