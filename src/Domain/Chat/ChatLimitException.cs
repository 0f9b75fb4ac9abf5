namespace RouteService.Domain.Chat;

/// <summary>The limits of the chat (<see cref="ChatOptions"/>).</summary>
public enum ChatLimit
{
    MessageBytes,
    IdBytes,
    LocationsPerStream,
    StreamsPerClient,

    /// <summary>The stream is a slow consumer: it has been behind for too long.</summary>
    SecondsBehind,
}

/// <summary>A stream is over a limit of the chat.</summary>
public sealed class ChatLimitException(ChatLimit limit, long value, long maximum)
    : Exception(FormattableString.Invariant($"{limit} is {value}; the maximum is {maximum}."))
{
    public ChatLimit Limit => limit;

    public long Value => value;

    public long Maximum => maximum;
}
