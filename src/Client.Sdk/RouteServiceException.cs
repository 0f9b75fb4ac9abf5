using System.Globalization;

namespace RouteService.Client;

/// <summary>A call of RouteService has failed; <see cref="Reason"/> says why and <see cref="IsTransient"/> whether the same call may succeed later.</summary>
public sealed class RouteServiceException : Exception
{
    /// <param name="reason">Why.</param>
    /// <param name="message">In words.</param>
    /// <param name="innerException">What it was made of.</param>
    public RouteServiceException(FailureReason reason, string message, Exception? innerException = null)
        : base(message, innerException) => Reason = reason;

    /// <summary>Why the call has failed.</summary>
    public FailureReason Reason { get; }

    /// <summary>
    /// Whether the same call may succeed later, though it has been retried already: it is <see cref="FailureReason.Unavailable"/>,
    /// <see cref="FailureReason.DeadlineExceeded"/>, <see cref="FailureReason.Exhausted"/>, <see cref="FailureReason.Stalled"/> or
    /// <see cref="FailureReason.CircuitOpen"/>.
    /// </summary>
    public bool IsTransient => Reason is FailureReason.Unavailable or FailureReason.DeadlineExceeded or FailureReason.Exhausted or FailureReason.Stalled
        or FailureReason.CircuitOpen;

    /// <summary>The gRPC status by name, such as <c>UNAVAILABLE</c>; that of the last attempt. Empty where there was none.</summary>
    public string Status { get; init; } = "";

    /// <summary>What the server, or the transport, says of it; that of the last attempt.</summary>
    public string Detail { get; init; } = "";

    /// <summary>What the service finds wrong with the request, field by field; empty where it does not say.</summary>
    public IReadOnlyList<FieldViolation> FieldViolations { get; init; } = [];

    /// <summary>How often the call was sent; 0 where it never was.</summary>
    public int Attempts { get; init; }

    /// <summary>
    /// Of a stream, what is done: the features that ListFeaturesAsync has delivered, the points that the last attempt of RecordRouteAsync has sent, the notes that a
    /// chat session has received.
    /// </summary>
    public long Delivered { get; init; }

    /// <summary>How long the service asks to wait before the next attempt; null where it does not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    internal static string Describe(string method, FailureReason reason, string status, string detail, int attempts)
    {
        var with = status.Length > 0 ? $" with {status}" : "";
        var after = attempts > 1 ? string.Create(CultureInfo.InvariantCulture, $" after {attempts} attempts") : "";
        return $"{method} failed{with}{after}: {(detail.Length > 0 ? detail : "no reason was given.")} {Advice(reason)}".TrimEnd();
    }

    private static string Advice(FailureReason reason) => reason switch
    {
        FailureReason.Unavailable => "Is the address right and the service up? It may work later.",
        FailureReason.DeadlineExceeded => "Give the call more time, or try later.",
        FailureReason.Exhausted => "Call less often, or try later.",
        FailureReason.InvalidRequest => "The request has to change before it is sent again.",
        FailureReason.Unauthenticated => "Set BearerToken, or a client certificate, to what the service accepts.",
        FailureReason.PermissionDenied => "Whoever this client calls as has to be allowed to.",
        FailureReason.Unimplemented => "Is there a RouteService, and one new enough, at this address?",
        FailureReason.Stalled => "The server or the network is stuck; it may work later.",
        FailureReason.CircuitOpen => "It closes again when the service answers.",
        FailureReason.CannotResume => "Ask for smaller areas, or raise MaxResumableFeatures.",
        _ => "",
    };
}
