using System.Globalization;
using RouteService.Api.Errors;
using RouteService.Domain.Chat;
using RouteService.Domain.Geography;

namespace RouteService.Api.Routes;

/// <summary>The request metadata of a RouteChat stream (docs/chat.md).</summary>
internal static class ChatMetadata
{
    private const string Mode = "route-chat-mode";
    private const string Listen = "route-chat-listen";
    private const string After = "route-chat-after";

    /// <param name="headers">Headers of the call. Its Metadata is unavailable if a binary entry is not base64.</param>
    /// <param name="client">Identity of the client for limits.</param>
    /// <exception cref="InvalidRequestException">An entry does not have the form of docs/chat.md.</exception>
    public static ChatJoin ToJoin(this IHeaderDictionary headers, string client)
    {
        var mode = headers[Mode].LastOrDefault();
        if (mode is not (null or "sequenced"))
        {
            throw new InvalidRequestException(
                Mode, $"{Mode} is {InvalidRequestException.Quote(mode)}; expected 'sequenced' or no such entry.");
        }

        var listen = headers[Listen].SelectMany(static entry => ToLocations(entry ?? "")).ToHashSet();
        var after = headers[After].LastOrDefault();
        if (mode is null && (listen.Count > 0 || after is not null))
        {
            throw new InvalidRequestException(Mode, $"{Mode} is missing; {Listen} and {After} are for streams with {Mode}: sequenced.");
        }

        return new ChatJoin
        {
            IsSequenced = mode is not null,
            Listen = listen,
            After = after is null ? null : ToSequence(after),
            Client = client,
        };
    }

    private static long ToSequence(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var sequence)
        ? sequence
        : throw new InvalidRequestException(
            After, $"{After} is {InvalidRequestException.Quote(text)}; expected the sequence of a note, an integer from 0.");

    /// <summary>
    /// The locations of one entry, which may have several: entries of one key can arrive joined by commas (gRPC over HTTP/2,
    /// "Custom-Metadata").
    /// </summary>
    private static IEnumerable<Coordinate> ToLocations(string text)
    {
        const NumberStyles Style = NumberStyles.AllowLeadingSign | NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite;
        foreach (var pair in text.Split(',').Chunk(2))
        {
            if (pair.Length != 2
                || !int.TryParse(pair[0], Style, CultureInfo.InvariantCulture, out var latitude)
                || !int.TryParse(pair[1], Style, CultureInfo.InvariantCulture, out var longitude))
            {
                throw new InvalidRequestException(
                    Listen,
                    $"{Listen} is {InvalidRequestException.Quote(text)}; "
                    + "expected LATITUDE,LONGITUDE in E7 (degrees times 10^7), such as 409146138,-746188906.");
            }

            yield return RouteGuideMapping.ToCoordinate(latitude, longitude, Listen);
        }
    }
}
